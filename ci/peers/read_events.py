"""Reads the event files of a folder with TensorBoard's own reader and prints what it shows: {tag: [[step, value], ..]} as JSON.

    pip install tensorboard==2.21.0
    python ci/peers/read_events.py runs/smoke/mtl-vit-vit-micro-s0
"""
import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
events.Reload()
tags = events.Tags()["scalars"]
json.dump({tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in sorted(tags)}, sys.stdout)
