"""The lines of PyTorch that train on an export, form by form: shown beside the download, and run by a test."""

from __future__ import annotations

import json
from collections.abc import Sequence

_FOLDER = """\
import torch
from torchvision import datasets, models, transforms

normalise = transforms.Compose([transforms.ToTensor(), transforms.Normalize({mean}, {std})])
data = datasets.ImageFolder({place}, normalise)
"""
_HUGGING_FACE = """\
import torch
from datasets import load_dataset
from torchvision import models, transforms

normalise = transforms.Compose([transforms.ToTensor(), transforms.Normalize({mean}, {std})])
data = [(normalise(row["image"]), row["label"]) for row in load_dataset({place}, split="train")]
"""
_WEBDATASET = """\
import glob
import torch
import webdataset
from torchvision import models, transforms

normalise = transforms.Compose([transforms.ToTensor(), transforms.Normalize({mean}, {std})])
shards = webdataset.WebDataset(sorted(glob.glob({place})), shardshuffle=False).decode("pil")
data = [(normalise(image), label) for image, label in shards.to_tuple("png", "cls")]
"""
_ARRAYS = """\
import numpy as np
import torch
from torchvision import models

file = np.load({place})
images = (torch.from_numpy(file["images"]).permute(0, 3, 1, 2) / 255 - {mean_tensor}) / {std_tensor}
data = torch.utils.data.TensorDataset(images, torch.from_numpy(file["labels"]))
"""
_TENSORS = """\
import torch
from torchvision import models

images = torch.load({place}, weights_only=True)
data = torch.utils.data.TensorDataset(images, torch.arange(len(images)) // {ipc})
"""
_TRAINING = """\
network = models.resnet18(num_classes={classes})
optimizer = torch.optim.AdamW(network.parameters(), lr=0.001)
for images, labels in torch.utils.data.DataLoader(data, batch_size={batch}, shuffle=True):  # one epoch
    loss = torch.nn.functional.cross_entropy(network(images), labels)
    optimizer.zero_grad(), loss.backward(), optimizer.step()
"""
_OPENED = {
    "imagefolder": (_FOLDER, "/train"),
    "zip": (_FOLDER, ""),
    "hf": (_HUGGING_FACE, ""),
    "webdataset": (_WEBDATASET, "/*.tar"),
    "npz": (_ARRAYS, "/images.npz"),
    "dd-ranking": (_TENSORS, "/images.pt"),
    "published": (_FOLDER, ""),
    "fkd": (_FOLDER, "/train"),
}


def training_lines(
    form: str, place: str, *, mean: Sequence[float], std: Sequence[float], num_classes: int, ipc: int
) -> str:
    """Return a script that trains a ResNet-18 for an epoch on an export in ``place``; ``form`` is of FORMATS.

    ``mean`` and ``std`` are those the images are normalised with, per channel of pixels in [0, 1].
    """
    opened, below = _OPENED[form]
    mean, std = [round(value, 4) for value in mean], [round(value, 4) for value in std]
    as_tensor = "torch.tensor({}).view(3, 1, 1)"
    lines = opened.format(
        place=json.dumps(place.replace("\\", "/") + below, ensure_ascii=False),  # its name may hold anything
        mean=mean,
        std=std,
        mean_tensor=as_tensor.format(mean),
        std_tensor=as_tensor.format(std),
        ipc=ipc,
    )
    return lines + _TRAINING.format(classes=num_classes, batch=min(50, max(2, num_classes * ipc)))
