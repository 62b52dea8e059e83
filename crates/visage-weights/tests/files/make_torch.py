"""Writes the checkpoints `torch_*` in this folder with PyTorch and Lightning, as people's training programs do.

The network is that of `tests/golden/tiny_state_dict.pth`, with the values of the same formula. Made with Debian's PyTorch
1.13.1 for CPUs and pytorch-lightning 1.9.5. Run manually:
    python3 make_torch.py
"""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytorch_lightning as lightning
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

FOLDER = Path(__file__).parent


def uniform(name, count):
    """`count` numbers in [0, 1) for a name: see tests/golden/README.md."""
    mask = (1 << 64) - 1
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = (state ^ byte) * 0x100000001B3 & mask
    numbers = []
    for k in range(1, count + 1):
        z = state + k * 0x9E3779B97F4A7C15 & mask
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        z ^= z >> 31
        numbers.append((z >> 40) / 16777216.0)
    return torch.tensor(np.array(numbers, dtype=np.float32))


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, bias=False)
        self.bn = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 2)
        for key, tensor in self.state_dict().items():
            tensor.copy_(self.value(key, tensor))

    @staticmethod
    def value(key, tensor):
        if key.endswith("num_batches_tracked"):
            return torch.tensor(7)
        u = uniform(key, tensor.numel()).reshape(tensor.shape)
        if key == "bn.running_var":
            return 1 + 0.5 * u
        if key == "bn.weight":
            return 1 + 0.1 * (2 * u - 1)
        if key.endswith("weight"):
            return (3 / tensor[0].numel()) ** 0.5 * (2 * u - 1)
        return 0.1 * (2 * u - 1)

    def forward(self, images):
        return self.fc(self.bn(self.conv(images)).mean((2, 3)))


class Compiled(nn.Module):
    """Holds a network as torch.compile does, which came after this version of PyTorch."""

    def __init__(self, network):
        super().__init__()
        self._orig_mod = network


class Classifier(lightning.LightningModule):
    def __init__(self, width, data):
        super().__init__()
        self.save_hyperparameters()
        self.model = Tiny()
        self.loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([2.0, 3.0]))

    def forward(self, images):
        return self.model(images)

    def training_step(self, batch, _):
        return self.loss(self(batch[0]), batch[1])

    def configure_optimizers(self):
        # The weights stay those of the formula.
        optimizer = torch.optim.Adam(self.parameters(), lr=0.0)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]


def stepped(network):
    """The network's Adam after a step of size 0."""
    optimizer = torch.optim.Adam(network.parameters(), lr=0.0)
    network.eval()(torch.ones(2, 3, 3, 3)).sum().backward()
    optimizer.step()
    return optimizer


def lightning_checkpoint():
    images = torch.utils.data.TensorDataset(torch.ones(4, 3, 3, 3), torch.ones(4, 2))
    early = lightning.callbacks.EarlyStopping("nothing", strict=False)
    trainer = lightning.Trainer(
        max_epochs=1, logger=False, callbacks=[early], accelerator="cpu", enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False,
    )
    module = Classifier(width=4, data=Path("faces"))
    trainer.fit(module, torch.utils.data.DataLoader(images, batch_size=2))
    # Training moves the running statistics.
    module.model.load_state_dict(Tiny().state_dict())
    trainer.save_checkpoint(FOLDER / "torch_lightning.ckpt")


network = Tiny()
saved = {"epoch": 3, "net": OrderedDict(network.state_dict()), "optimizer": stepped(network).state_dict(), "acc": 0.5}
torch.save(saved, FOLDER / "torch_net.pth")
torch.save(AveragedModel(nn.DataParallel(network)).state_dict(), FOLDER / "torch_averaged.pth")
average = Tiny()
with torch.no_grad():
    average.fc.bias += 1
both = {"model": Compiled(nn.DataParallel(network)).state_dict(), "ema": average.state_dict(), "step": torch.tensor(5)}
torch.save(both, FOLDER / "torch_ema_legacy.pth", _use_new_zipfile_serialization=False)
lightning_checkpoint()
