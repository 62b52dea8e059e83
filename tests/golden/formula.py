"""The formula of README.md."""

import math

import numpy as np


def uniform(name, count):
    """`count` numbers in 0..1, each a multiple of 2^-24, which f32 holds exactly."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(state) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)) / 2**24


def weights(key, shape):
    """The tensor of a model with this key and shape, in f32."""
    u = uniform(key, math.prod(shape)).astype(np.float32).reshape(shape)
    if key.endswith("running_var"):
        return 1 + 0.5 * u
    if key.endswith(("running_mean", ".bias")):
        return 0.1 * (2 * u - 1)
    if len(shape) == 1:
        return 1 + 0.1 * (2 * u - 1)
    return np.float32(math.sqrt(3 / math.prod(shape[1:]))) * (2 * u - 1)


def fill(model):
    """Gives a model of PyTorch the formula's weights."""
    import torch

    with torch.no_grad():
        for key, tensor in model.state_dict().items():
            if not key.endswith("num_batches_tracked"):
                tensor.copy_(torch.from_numpy(weights(key, tuple(tensor.shape))))
    return model
