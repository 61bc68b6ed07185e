"""Ranking as published code runs it: what the engine's ranking is measured against.

Written for reading: a DataLoader gives batches of pictures, each opened by PIL, resized, cropped to the centre and
normalised; a softmax; the probability of the label.

Source: DELT data_selection.py ``rank``.
Differs: an image is resized by its largest centred square, as the engine does it (published: short side to S, then the
centre; the pixels are those up to rounding).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from delt_engine.data.decode import square_box


class PlainImages(Dataset):
    """Pictures, from files or from an array, as normalised tensors and labels."""

    def __init__(
        self,
        pictures: Sequence[str] | np.ndarray,
        labels: np.ndarray,
        image_size: int,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        self.pictures, self.labels, self.image_size = pictures, labels, image_size
        self.mean, self.std = torch.tensor(mean)[:, None, None], torch.tensor(std)[:, None, None]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one image (3, S, S) and its label."""
        found = self.pictures[index]
        picture = Image.open(found).convert("RGB") if isinstance(found, str) else Image.fromarray(found)
        top, left, height, width = square_box(picture.height, picture.width)
        size = (self.image_size, self.image_size)
        picture = picture.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
        return (pixels - self.mean) / self.std, int(self.labels[index])


def rank_as_published(network: nn.Module, images: PlainImages, batch_size: int, device: torch.device) -> np.ndarray:
    """Return the probability of the label of every image, float32 (n,)."""
    network.eval()
    found = []
    with torch.no_grad():
        for batch, labels in DataLoader(images, batch_size=batch_size, shuffle=False):
            logits = network(batch.to(device))
            probs = torch.softmax(logits, dim=1)
            found.append(probs.gather(1, labels.to(device)[:, None])[:, 0].cpu())
    return torch.cat(found).numpy()
