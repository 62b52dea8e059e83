"""What two runs of the same training have in common."""

import csv
import json
import struct

# Columns that no two trainings share.
TIMES = ("seconds", "images_per_second", "waiting")


def history(run):
    """The rows of a run without their times."""
    rows = []
    for name in ("steps.csv", "epochs.csv"):
        with open(run / name, newline="") as file:
            rows += [{key: value for key, value in row.items() if key not in TIMES} for row in csv.DictReader(file)]
    return rows


def tensors(content):
    """The bytes of each tensor of a safetensors file. Its metadata hold the time at which the training began."""
    header = struct.unpack("<Q", content[:8])[0]
    entries = json.loads(content[8 : 8 + header])
    entries.pop("__metadata__", None)
    places = {name: [8 + header + offset for offset in entry["data_offsets"]] for name, entry in entries.items()}
    return {name: content[start:end] for name, (start, end) in places.items()}
