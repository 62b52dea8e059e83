"""Writes the small weight files in this folder with Python's own pickler, without PyTorch.

The pickler gets stand-ins with PyTorch's names, so that it emits the same as torch.save. Run manually:
    python3 make.py
"""

import collections
import io
import os
import pickle
import struct
import sys
import types
import zipfile
from pathlib import Path

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
FOLDER = Path(__file__).parent


def module(name):
    sys.modules[name] = types.ModuleType(name)
    return sys.modules[name]


torch = module("torch")
utils = module("torch._utils")


def named(owner, name, made):
    made.__module__, made.__qualname__, made.__name__ = owner.__name__, name, name
    setattr(owner, name, made)
    return made


rebuild_tensor = named(utils, "_rebuild_tensor_v2", lambda *_: None)
rebuild_parameter = named(utils, "_rebuild_parameter", lambda *_: None)
rebuild_typed = named(utils, "_rebuild_tensor_v3", lambda *_: None)
# The name in a file, then struct's letter for an element.
FLOAT = named(torch, "FloatStorage", type("FloatStorage", (), {"letter": "f"}))
LONG = named(torch, "LongStorage", type("LongStorage", (), {"letter": "q"}))
COMPLEX = named(torch, "ComplexFloatStorage", type("ComplexFloatStorage", (), {"letter": "d"}))
UNTYPED = named(torch, "UntypedStorage", type("UntypedStorage", (), {"letter": "B"}))


class Dtype:
    """Pickled by name, as torch.dtype is."""

    def __init__(self, name):
        self.name = name

    def __reduce__(self):
        return self.name


torch.uint64 = Dtype("uint64")
Dtype.__module__ = "torch"


class Storage:
    def __init__(self, kind, key, values, part=None):
        self.kind, self.key, self.values, self.part = kind, key, values, part

    def bytes(self):
        return struct.pack(f"<{len(self.values)}{self.kind.letter}", *self.values)


class Tensor:
    def __init__(self, storage, offset, shape, strides, dtype=None):
        self.storage, self.offset, self.shape, self.strides, self.dtype = storage, offset, shape, strides, dtype

    def __reduce__(self):
        described = (self.storage, self.offset, self.shape, self.strides, False, collections.OrderedDict())
        if self.dtype:
            return rebuild_typed, (*described, self.dtype)
        return rebuild_tensor, described


class Parameter:
    def __init__(self, tensor):
        self.tensor = tensor

    def __reduce__(self):
        return rebuild_parameter, (self.tensor, True, collections.OrderedDict())


class Pickler(pickle.Pickler):
    def __init__(self, file, protocol, legacy):
        super().__init__(file, protocol)
        self.legacy, self.storages = legacy, {}

    def persistent_id(self, thing):
        if not isinstance(thing, Storage):
            return None
        self.storages[thing.key] = thing
        described = ("storage", thing.kind, thing.key, "cpu", len(thing.values))
        return (*described, thing.part) if self.legacy else described


def write_legacy(name, saved, protocol=2):
    with open(FOLDER / name, "wb") as file:
        pickle.dump(MAGIC, file, protocol)
        pickle.dump(VERSION, file, protocol)
        sizes = {"short": 2, "int": 4, "long": 4}
        pickle.dump({"protocol_version": VERSION, "little_endian": True, "type_sizes": sizes}, file, protocol)
        pickler = Pickler(file, protocol, legacy=True)
        pickler.dump(saved)
        keys = sorted(pickler.storages)
        pickle.dump(keys, file, protocol)
        for key in keys:
            file.write(struct.pack("<q", len(pickler.storages[key].values)))
            file.write(pickler.storages[key].bytes())


def write_zip(name, saved, protocol=2, **options):
    code = io.BytesIO()
    pickler = Pickler(code, protocol, legacy=False)
    pickler.dump(saved)
    with zipfile.ZipFile(FOLDER / name, "w", **options) as archive:
        def add(entry, data):
            archive.writestr(zipfile.ZipInfo(f"archive/{entry}"), data, compress_type=options.get("compression"))
        add("data.pkl", code.getvalue())
        add("byteorder", b"little")
        for key, storage in pickler.storages.items():
            add(f"data/{key}", storage.bytes())
        add("version", b"3\n")


def floats(storage, offset, shape, strides):
    return Tensor(storage, offset, shape, strides)


def network():
    """Two names for one tensor, a part of a storage, a parameter, and the number of batches as an integer."""
    weight = Storage(FLOAT, "94000000000016", [0.5, -1.0, 2.0, 0.25, 8.0, -0.125])
    tied = floats(weight, 0, (2, 3), (3, 1))
    return collections.OrderedDict(
        [
            ("embed.weight", tied),
            ("decode.weight", tied),
            ("column.weight", floats(weight, 1, (2,), (3,))),
            ("bn.bias", Parameter(floats(Storage(FLOAT, "94000000000032", [1.5, 2.5]), 0, (2,), (1,)))),
            ("bn.num_batches_tracked", Tensor(Storage(LONG, "94000000000048", [7]), 0, (), ())),
        ]
    )


class Attack:
    def __reduce__(self):
        return os.system, ("echo visage ran this",)


def training(state_dict):
    """What a training program keeps: the optimiser's tensors are on storages that the network does not use."""
    momentum = floats(Storage(FLOAT, "10000000000000", [9.0] * 6), 0, (2, 3), (3, 1))
    return {
        "epoch": 12,
        "best": 0.875,
        "name": "tiny",
        "scaler": None,
        "history": [1, 2.5, (3, None)],
        "digest": b"\x00\x01",
        "seen": {1, 2},
        "optimizer": {"state": {0: {"step": 10**30, "momentum_buffer": momentum}}, "param_groups": [{"lr": 1e-3}]},
        "state_dict": state_dict,
    }


write_legacy("legacy.pth", network())
write_legacy("legacy_training_protocol4.pth", training(network()), protocol=4)
write_zip("zip_training_protocol5.pth", training(network()), protocol=5)
write_zip("zip_untyped.pth", {"counts": Tensor(Storage(UNTYPED, "0", b"\xff" * 8 + b"\x01" + b"\x00" * 7), 1, (1,), (1,), torch.uint64)})
write_zip("zip_compressed.pth", network(), compression=zipfile.ZIP_DEFLATED)
write_zip("zip_complex.pth", {"spectrum": Tensor(Storage(COMPLEX, "0", [0.0, 1.0]), 0, (2,), (1,))})
write_zip("attack.pth", {"state_dict": network(), "extra": Attack()})
write_legacy("attack_legacy.pth", Attack())
# A part of a storage, as PyTorch 0.3 described it.
root = Storage(FLOAT, "16", [0.0, 1.0, 2.0, 3.0, 4.0], part=("17", 2, 3))
write_legacy("legacy_part.pth", {"part": floats(root, 1, (2,), (1,))})
