"""Writes training.json, the numbers of PyTorch that the tests of this crate compare with. Run by hand:

    python3 -m venv /tmp/torch && /tmp/torch/bin/pip install torch
    /tmp/torch/bin/python training.py
"""

import json
import math
import warnings
from pathlib import Path

import torch
from torch.optim import lr_scheduler as lr

warnings.filterwarnings("ignore")


def optimizer(rate):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate)


def rates(rate, steps, make):
    """The learning rate of each step, the scheduler being stepped after each."""
    sgd = optimizer(rate)
    scheduler = make(sgd)
    found = []
    for _ in range(steps):
        found.append(sgd.param_groups[0]["lr"])
        sgd.step()
        scheduler.step()
    return found


def linear(sgd, start, steps):
    return lr.LinearLR(sgd, start_factor=start, total_iters=steps)


def warm_cosine(sgd):
    cosine = lr.CosineAnnealingLR(sgd, T_max=20)
    return lr.SequentialLR(sgd, [linear(sgd, 0.01, 5), cosine], milestones=[5])


def plateau(values, **options):
    sgd = optimizer(0.1)
    scheduler = lr.ReduceLROnPlateau(sgd, **options)
    found = []
    for value in values:
        scheduler.step(math.nan if value is None else value)
        found.append(sgd.param_groups[0]["lr"])
    return {"values": values, "rates": found}


def smoothed(smoothing):
    """Binary cross-entropy with weights of positives on smoothed targets, and its gradient."""
    logits = torch.tensor([[-3.0, -0.5, 0.0, 2.0], [4.0, 0.25, -1.0, -20.0]], dtype=torch.float64, requires_grad=True)
    targets = torch.tensor([[0.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 1.0]], dtype=torch.float64)
    weights = torch.tensor([1.0, 3.0, 0.5, 9.0], dtype=torch.float64)
    loss = torch.nn.BCEWithLogitsLoss(pos_weight=weights)(logits, targets * (1 - smoothing) + smoothing / 2)
    loss.backward()
    return {"smoothing": smoothing, "logits": logits.flatten().tolist(), "targets": targets.flatten().tolist(),
            "pos_weight": weights.tolist(), "loss": loss.item(), "gradient": logits.grad.flatten().tolist()}


def descent(**options):
    """Five steps of SGD on a bowl whose middle is not at 0."""
    x = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    sgd = torch.optim.SGD([x], lr=0.1, **options)
    curvature = torch.tensor([1.0, 0.5, 3.0], dtype=torch.float64)
    path = []
    for _ in range(5):
        sgd.zero_grad()
        (curvature * (x - 0.25) ** 2).sum().backward()
        sgd.step()
        path.append(x.tolist())
    return {**options, "path": path}


losses = [1.0, 0.9, 0.89999, 0.9, 0.91, 0.5, 0.5, 0.5, 0.49, None, 0.6, 0.6, 0.48, 0.47]
scores = [0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.21, 0.2, 0.2, 0.2, 0.2, 0.2, 0.5]
numbers = {
    "torch": torch.__version__,
    "schedules": {
        "cosine": rates(1e-3, 20, lambda sgd: lr.CosineAnnealingLR(sgd, T_max=20)),
        "cosine to a tenth": rates(2e-2, 13, lambda sgd: lr.CosineAnnealingLR(sgd, T_max=13, eta_min=2e-3)),
        "warm-up then cosine": rates(1e-3, 25, warm_cosine),
        "steps": rates(0.1, 14, lambda sgd: lr.StepLR(sgd, 4, 0.1)),
        "warm-up with steps": rates(
            0.1, 14, lambda sgd: lr.ChainedScheduler([linear(sgd, 0.25, 6), lr.StepLR(sgd, 4, 0.5)])
        ),
        "warm-up": rates(3e-4, 12, lambda sgd: linear(sgd, 0.5, 8)),
    },
    "plateaus": {
        "losses": plateau(losses, factor=0.5, patience=1),
        "losses with a cooldown and a floor": plateau(
            losses, factor=0.1, patience=0, threshold=0.05, cooldown=2, min_lr=0.005
        ),
        "scores": plateau(scores, mode="max", factor=0.1, patience=2, cooldown=1),
    },
    "smoothing": [smoothed(0.0), smoothed(0.1), smoothed(0.5)],
    "descent": [
        descent(momentum=0.0, nesterov=False, weight_decay=0.0),
        descent(momentum=0.9, nesterov=False, weight_decay=0.1),
        descent(momentum=0.9, nesterov=True, weight_decay=0.1),
    ],
}
Path(__file__).with_suffix(".json").write_text(json.dumps(numbers, indent=1) + "\n")
