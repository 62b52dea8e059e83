"""Makes heat_maps.json: Grad-CAM and Grad-CAM++ of the last feature map, by PyTorch's autograd, on the formula's weights.

    python3 -P heat_maps.py > heat_maps.json

Needs torch, torchvision and numpy, and -P because a file beside this one is called statistics. README.md says what the formula is. The gradient is taken with respect to the feature map itself,
whatever follows it. Grad-CAM++ is written out as in the paper: alpha = g^2 / (2 g^2 + sum(A) g^3), weight = sum(alpha relu(g)).
"""

import json
import math

import numpy
import torch
import torchvision
from torch import nn

OUTPUTS = [0, 15, 31]
SHAPE = [1, 3, 96, 160]


def uniform(name, count):
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    with numpy.errstate(over="ignore"):
        z = numpy.uint64(state) + numpy.arange(1, count + 1, dtype=numpy.uint64) * numpy.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    z ^= z >> numpy.uint64(31)
    return torch.from_numpy((z >> numpy.uint64(40)).astype(numpy.float32) / numpy.float32(2**24))


def fill(model):
    for key, tensor in model.state_dict().items():
        if key.endswith("num_batches_tracked"):
            continue
        u = uniform(key, tensor.numel()).reshape(tensor.shape)
        if key.endswith("running_var"):
            u = 1 + 0.5 * u
        elif key.endswith(("running_mean", ".bias")):
            u = 0.1 * (2 * u - 1)
        elif tensor.dim() == 1:
            u = 1 + 0.1 * (2 * u - 1)
        else:
            u = float(numpy.float32(math.sqrt(3 / tensor[0].numel()))) * (2 * u - 1)
        tensor.copy_(u)
    return model.eval()


class TwoStage(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = torchvision.models.efficientnet_b0()
        self.backbone.classifier = nn.Identity()
        self.shared_features = nn.Sequential(nn.Linear(1280, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Dropout(0.3))
        self.classifier = nn.Sequential(nn.Linear(512, 256), nn.ReLU(), nn.Dropout(0.2), nn.Linear(256, 40))

    def forward(self, images):
        return self.classifier(self.shared_features(self.backbone(images)))


def maps(model, layer):
    with torch.no_grad():
        fill(model)
    kept = {}
    layer.register_forward_hook(lambda _, __, output: kept.update(map=output))
    logits = model(4 * uniform("image/heat", math.prod(SHAPE)).reshape(SHAPE) - 2)
    found = []
    for output in OUTPUTS:
        a, = kept["map"]
        g, = torch.autograd.grad(logits[0, output], kept["map"], retain_graph=True)[0]
        plain = (g.mean((1, 2), keepdim=True) * a).sum(0).relu()
        alpha = g**2 / (2 * g**2 + a.sum((1, 2), keepdim=True) * g**3)
        alpha = torch.where(g == 0, 0, alpha)
        plus = ((alpha * g.relu()).sum((1, 2), keepdim=True) * a).sum(0).relu()
        found.append({"output": output, "shape": list(plain.shape),
                      "grad_cam": plain.flatten().tolist(), "grad_cam_plus_plus": plus.flatten().tolist()})
    return found


torch.set_num_threads(1)
resnet = torchvision.models.resnet18(num_classes=40)
two_stage = TwoStage()
print(json.dumps({
    "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__},
    "input": "image/heat", "shape": SHAPE,
    "resnet18": maps(resnet, resnet.layer4),
    "efficientnet_b0_seed_head": maps(two_stage, two_stage.backbone.features),
}))
