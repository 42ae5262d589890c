"""Reads the event files of a folder with both of TensorBoard's own readers and prints what they show: {tag: [[step, value], ..]} as JSON.

    pip install tensorboard==2.21.0
    python ci/peers/read_events.py runs/smoke/mtl-vit-vit-micro-s0
"""
import json
import sys

from tensorboard.backend.event_processing import event_accumulator, plugin_event_accumulator
from tensorboard.util.tensor_util import make_ndarray

# What notebooks and scripts use.
events = event_accumulator.EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
events.Reload()
shown = {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in sorted(events.Tags()["scalars"])}

# What the page has with --load_fast=false, and where there is no tensorboard-data-server. It takes the first START for no restart.
events = plugin_event_accumulator.EventAccumulator(sys.argv[1], size_guidance={"tensors": 0})
events.Reload()
for tag in events.Tags()["tensors"]:
    page = [[e.step, make_ndarray(e.tensor_proto).item()] for e in events.Tensors(tag)]
    if str(page) != str(shown.get(tag)):
        sys.exit(f"{tag}: the page shows {page}, scripts read {shown.get(tag)}")

json.dump(shown, sys.stdout)
