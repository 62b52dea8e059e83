"""PyTorch versions of visage's networks, for the measurements in this folder."""

import torch

ATTRIBUTES = 40


def network(architecture):
    """The network that visage calls `architecture`."""
    import torchvision

    if architecture == "resnet18":
        model = torchvision.models.resnet18(weights=None)
        model.fc = torch.nn.Linear(512, ATTRIBUTES)
    elif architecture == "efficientnet-b0":
        model = torchvision.models.efficientnet_b0(weights=None)
        model.classifier = torch.nn.Sequential(
            torch.nn.Linear(1280, 512),
            torch.nn.BatchNorm1d(512),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.3),
            torch.nn.Linear(512, 256),
            torch.nn.ReLU(),
            torch.nn.Dropout(0.2),
            torch.nn.Linear(256, ATTRIBUTES),
        )
    else:
        import timm

        model = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=ATTRIBUTES)
    return model
