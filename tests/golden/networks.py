"""Makes networks.json: logits, and a training step, of the networks that models.json does not have, by torchvision and timm in float64 on
the formula's weights and images.

    python3 networks.py > networks.json

Needs torch, torchvision, timm and numpy. README.md says what the formula is and what the file holds.
"""

import json
import math

import timm
import torch
import torchvision
from formula import fill, uniform

TORCHVISION = ["resnet34", "resnet50", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "mobilenet_v3_large"]
TIMM = [f"tf_efficientnet_lite{number}" for number in (1, 2, 3, 4)]
SIZES = {"image/square64": [2, 3, 64, 64], "image/odd75x91": [1, 3, 75, 91]}


def formula(name, shape):
    return torch.from_numpy(uniform(name, math.prod(shape))).reshape(shape)


def fnv1a(text):
    """FNV-1a-64 in hexadecimal."""
    state = 0xCBF29CE484222325
    for byte in text.encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    return f"{state:016x}"


def short(values):
    return [float(f"{value:.6g}") for value in values]


def plain(model):
    """Switches dropout and stochastic depth off."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout | torchvision.ops.StochasticDepth):
            module.p = 0.0
    return model


def golden(model):
    fill(model)
    shapes = {key: list(value.shape) for key, value in sorted(model.state_dict().items()) if "num_batches" not in key}
    lines = "".join(f"{key} {shape}\n" for key, shape in shapes.items())
    model.eval()
    logits = {}
    for name, shape in SIZES.items():
        with torch.no_grad():
            found = model(4 * formula(name, shape) - 2)
        logits[f"eval_logits/{name}"] = {"input": name, "shape": shape, "logits": short(found.flatten().tolist())}
    model.train()
    images, targets = 4 * formula("image/square64", [4, 3, 64, 64]) - 2, (formula("target/square64", [4, 40]) < 0.3).double()
    logits_in_training = model(images)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits_in_training, targets)
    loss.backward()
    gradients = {key: parameter.grad.norm().item() for key, parameter in sorted(model.named_parameters())}
    statistics = {key: value.norm().item() for key, value in sorted(model.state_dict().items()) if "running_" in key}
    return {
        "tensors": len(shapes), "keys": fnv1a(lines), **logits,
        "train_step": {"logits": short(logits_in_training.flatten().tolist()), "loss": loss.item(),
                       "grad_l2": short(gradients.values()), "running_stat_l2": short(statistics.values())},
    }


torch.set_num_threads(1)
networks = {name: golden(plain(getattr(torchvision.models, name)(num_classes=40)).double()) for name in TORCHVISION}
# The momentum of the original: timm has PyTorch's.
networks |= {name: golden(timm.create_model(name, num_classes=40, bn_momentum=0.01).double()) for name in TIMM}
versions = {"torch": torch.__version__, "torchvision": torchvision.__version__, "timm": timm.__version__}
lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(network, separators=(',', ':'))}" for name, network in networks.items())
print(f'{{"versions": {json.dumps(versions)},\n{lines}}}')
