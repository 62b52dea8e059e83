"""Makes heat_maps.json: Grad-CAM, Grad-CAM++ and Score-CAM of the last feature map, and LayerCAM of the last that is twice as fine,
by PyTorch, on the formula's weights.

    python3 heat_maps.py > heat_maps.json

Needs torch, torchvision and numpy. README.md says what the formula is. The gradient is taken with respect to the feature map itself,
whatever follows it. Grad-CAM++ is written out as in the paper: alpha = g^2 / (2 g^2 + sum(A) g^3), weight = sum(alpha relu(g)).
Score-CAM too: the image times each channel of the map, upsampled, then stretched to 0 to 1; a softmax over the channels of the
logits that are left; the sum of the channels so weighed, behind a ReLU. LayerCAM: relu(sum(relu(g) A)), position by position.
"""

import json
import math

import numpy
import torch
import torchvision
from formula import fill, uniform
from torch import nn

OUTPUTS = [0, 15, 31]
SHAPE = [1, 3, 96, 160]


def formula(name, count):
    return torch.from_numpy(uniform(name, count).astype(numpy.float32))


class TwoStage(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = torchvision.models.efficientnet_b0()
        self.backbone.classifier = nn.Identity()
        self.shared_features = nn.Sequential(nn.Linear(1280, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Dropout(0.3))
        self.classifier = nn.Sequential(nn.Linear(512, 256), nn.ReLU(), nn.Dropout(0.2), nn.Linear(256, 40))

    def forward(self, images):
        return self.classifier(self.shared_features(self.backbone(images)))


def maps(model, layer, early):
    fill(model).eval()
    kept = {}
    layer.register_forward_hook(lambda _, __, output: kept.update(map=output))
    early.register_forward_hook(lambda _, __, output: kept.update(early=output))
    image = 4 * formula("image/heat", math.prod(SHAPE)).reshape(SHAPE) - 2
    logits = model(image)
    layer_map, early_map = kept["map"], kept["early"]
    with torch.no_grad():
        masks = nn.functional.interpolate(layer_map, SHAPE[2:], mode="bilinear", align_corners=False)[0]
        least, most = masks.amin((1, 2), keepdim=True), masks.amax((1, 2), keepdim=True)
        masks = torch.where(most > least, (masks - least) / (most - least), 0)
        scores = torch.cat([model(image * mask[:, None]) for mask in masks.split(64)])
    kept["map"] = layer_map
    found = []
    for output in OUTPUTS:
        a, = kept["map"]
        g, = torch.autograd.grad(logits[0, output], kept["map"], retain_graph=True)[0]
        plain = (g.mean((1, 2), keepdim=True) * a).sum(0).relu()
        alpha = g**2 / (2 * g**2 + a.sum((1, 2), keepdim=True) * g**3)
        alpha = torch.where(g == 0, 0, alpha)
        plus = ((alpha * g.relu()).sum((1, 2), keepdim=True) * a).sum(0).relu()
        score = (scores[:, output].softmax(0)[:, None, None] * a).sum(0).relu()
        g, = torch.autograd.grad(logits[0, output], early_map, retain_graph=True)[0]
        fine = (g.relu() * early_map[0]).sum(0).relu()
        found.append({"output": output, "shape": list(plain.shape),
                      "grad_cam": plain.flatten().tolist(), "grad_cam_plus_plus": plus.flatten().tolist(),
                      "score_cam": score.flatten().tolist(),
                      "fine_shape": list(fine.shape), "layer_cam": fine.flatten().tolist()})
    return found


torch.set_num_threads(1)
resnet = torchvision.models.resnet18(num_classes=40)
two_stage = TwoStage()
print(json.dumps({
    "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__},
    "input": "image/heat", "shape": SHAPE,
    "resnet18": maps(resnet, resnet.layer4, resnet.layer3),
    "efficientnet_b0_seed_head": maps(two_stage, two_stage.backbone.features, two_stage.backbone.features[5]),
}))
