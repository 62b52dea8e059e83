"""Whether PyTorch reads a state dict that visage wrote as what it is: `python3 written_state_dict.py written_state_dict.pth`.

`crates/visage-weights/tests/golden.rs` writes the file. Needs torch and numpy. README.md says what the formula is.
"""

import sys

import numpy
import torch
from formula import uniform


def formula(name, count):
    return torch.from_numpy(uniform(name, count).astype(numpy.float32))


state = torch.load(sys.argv[1], weights_only=True)
expected = {
    "conv.weight": formula("conv.weight", 72).reshape(4, 3, 3, 2),
    "norm.num_batches_tracked": torch.tensor(1 << 40),
    "bytes": torch.tensor([[0, 1], [128, 255]], dtype=torch.uint8),
    "nothing": torch.empty(0, 5),
    "Größe": formula("Größe", 7),
}
assert set(state) == set(expected), set(state)
for name, tensor in expected.items():
    found = state[name]
    assert found.dtype == tensor.dtype and found.shape == tensor.shape and torch.equal(found, tensor), name
    assert found.is_contiguous() and not found.requires_grad and found.device.type == "cpu", name
# Mapped into memory, which needs storages that are not compressed.
assert torch.equal(torch.load(sys.argv[1], weights_only=True, mmap=True)["conv.weight"], expected["conv.weight"])
print(f"{sys.argv[1]}: as written, by torch {torch.__version__}")
