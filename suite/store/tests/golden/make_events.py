"""Makes events.tfevents with TensorBoard's own classes: the file that a test of events.rs must write to the byte.

Made with Python 3.11, tensorboard 2.21.0:
    python make_events.py > events.tfevents
"""
import math
import sys

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


def scalars(wall_time, step, values):
    summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values])
    return Event(wall_time=wall_time, step=step, summary=summary)


writer = RecordWriter(sys.stdout.buffer)
for event in [
    Event(wall_time=1700000000.5, file_version="brain.Event:2"),
    Event(wall_time=1700000000.5, step=251, session_log=SessionLog(status=SessionLog.START)),
    scalars(1700000001.25, 255, [("classification/cross_entropy", 0.1), ("learning_rate", 0.0)]),
    scalars(1700000001.25, 550, [("detection/loss", math.nan)]),
    scalars(1700000002.0, 600, [("validation/AP", 1 / 3)]),
]:
    writer.write(event.SerializeToString())
writer.flush()
