"""Writes events.tfevents with TensorBoard's own record writer and messages, and reads it back. Run by hand:

    python3 -m venv /tmp/board && /tmp/board/bin/pip install tensorboard setuptools
    /tmp/board/bin/python events.py            # writes
    /tmp/board/bin/python events.py FOLDER     # shows what TensorBoard finds in the event files of FOLDER
"""

import sys
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

if len(sys.argv) > 1:
    found = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
    found.Reload()
    for tag in found.Tags()["scalars"]:
        print(tag, [(event.step, round(event.value, 4)) for event in found.Scalars(tag)])
    sys.exit()

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


def scalars(seconds, step, values):
    values = [Summary.Value(tag=tag, simple_value=value) for tag, value in values]
    return Event(wall_time=seconds, step=step, summary=Summary(value=values))


with open(Path(__file__).with_suffix(".tfevents"), "wb") as file:
    writer = RecordWriter(file)
    for event in [
        Event(wall_time=1767225600.25, file_version="brain.Event:2"),
        Event(wall_time=1767225600.25, step=300, session_log=SessionLog(status=SessionLog.START)),
        scalars(1767225601.5, 301, [("train/loss", 0.75), ("train/learning_rate", 3e-4)]),
        scalars(1767225602.0, 70000, [("validation/f1", float("nan"))]),
    ]:
        writer.write(event.SerializeToString())
    writer.flush()
