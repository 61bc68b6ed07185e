"""Measure ranking: plain code and the engine's, in turns, over the same pictures with the same network.

Beside the rates stands how fast the same pictures are decoded with nothing behind it: a ranking cannot be faster than
that. Files are photographs' size, made of smooth random colours, so a decoder has its usual work. Large JPEGs are
decoded at a lower scale where S is much smaller, so pixels and probabilities differ a little there. The plain code is
written for reading: a DataLoader gives batches of pictures, each opened by PIL, resized, cropped to the centre and
normalised; a softmax; the probability of the label.

Figures of a case: ``decoder_rate``, patches a second of decoding alone; ``decode_percent``, ``copy_percent`` and
``network_percent``, shares of the engine's time; ``workers``; ``ahead_ratio``, how many times as long the engine takes
where it reads a batch only when the one before is scored.

Source: DELT data_selection.py ``rank``.
Differs: an image is resized by its largest centred square, as the engine does it (published: short side to S, then the
centre; the pixels are those up to rounding).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from delt_engine.bench.cases import RankCase
from delt_engine.bench.harness import Measured, Report, Side, each_case, measured, take_turns
from delt_engine.config import RankConfig
from delt_engine.data.dataset import ArrayImages, Dataset, DatasetSpec, ImageSet
from delt_engine.data.decode import square_box
from delt_engine.data.folder import FileImages
from delt_engine.models.networks import build_network
from delt_engine.patches.ranking import RankProgress, rank

HEIGHT, WIDTH = 375, 500
"""Native size of the files: the median of ImageNet's."""

NUM_CLASSES = 10
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def bench_rank(
    cases: Sequence[RankCase], *, quick: bool, rounds: int, device: torch.device, report: Report | None = None
) -> Iterator[Measured]:
    """Measure cases, with a third of the pictures if ``quick``."""
    for case in each_case(cases, report):
        with tempfile.TemporaryDirectory(prefix="delt-bench-") as folder:
            yield _measured(case, Path(folder), case.images // (3 if quick else 1), rounds, device)


def _measured(case: RankCase, folder: Path, count: int, rounds: int, device: torch.device) -> Measured:
    train, pictures = _pictures(case, folder, count)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network("resnet18", NUM_CLASSES, image_size=case.image_size, width=case.width)
    network.eval().requires_grad_(requires_grad=False).to(device)
    spec = DatasetSpec(
        "bench", "Bench", "folder", NUM_CLASSES, tuple("abcdefghij"), case.image_size, MEAN, STD, count, 0, ""
    )
    dataset = Dataset(spec, train, train, fingerprint="bench")
    card = SimpleNamespace(name="bench", num_classes=NUM_CLASSES, mean=MEAN, std=STD, fingerprint="bench")
    teacher: Any = SimpleNamespace(network=network, card=card)
    plain_images = PlainImages(pictures, train.labels, case.image_size, MEAN, STD)
    config = RankConfig(batch_size=64)
    with torch.no_grad():  # prepares the libraries
        network(torch.zeros(8, 3, case.image_size, case.image_size, device=device)).cpu()
    plain, fast, timings = [], [], []

    def ranked(*, reads_ahead: bool) -> Any:
        item: Any = None
        for item in rank(dataset, teacher, config, seed=0, device=str(device), reads_ahead=reads_ahead):
            if isinstance(item, RankProgress) and item.timing:
                timing = item.timing
        if reads_ahead:
            timings.append(timing)
            fast.append(item.true_class_prob)  # a ranking ends with its result

    sides = [
        Side(lambda _: plain.append(rank_as_published(network, plain_images, config.batch_size, device))),
        Side(lambda _: ranked(reads_ahead=True)),
        Side(lambda _: ranked(reads_ahead=False)),
        Side(lambda _: train.pixels(range(count))),
    ]
    take_turns(sides, range(rounds))
    plain_s, fast_s, waiting_s, decode_s = (side.seconds for side in sides)
    gaps = [float(np.abs(mine - theirs).max()) for mine, theirs in zip(fast, plain, strict=True)]
    shares = timings[-1].to_record()
    return measured(
        case,
        device,
        plain_s,
        fast_s,
        work=count,
        max_abs_diff=max(gaps),
        decoder_rate=count / median(decode_s),
        decode_percent=shares["decode_percent"],
        copy_percent=shares["copy_percent"],
        network_percent=shares["network_percent"],
        workers=int(shares["workers"]),
        ahead_ratio=median(waited / ahead for waited, ahead in zip(waiting_s, fast_s, strict=True)),
    )


def _pictures(case: RankCase, folder: Path, count: int) -> tuple[ImageSet, Sequence[str] | np.ndarray]:
    """Return the pictures as the engine reads them, and as plain code does."""
    draw, labels = np.random.default_rng(0), np.arange(count) % NUM_CLASSES
    names = [f"{number:05d}.jpg" for number in range(count)]
    if not case.is_files:
        pixels = np.stack([np.asarray(_smooth(draw, case.image_size, case.image_size)) for _ in range(count)])
        return ArrayImages(pixels, labels, names, case.image_size), pixels
    for name in names:
        _smooth(draw, WIDTH, HEIGHT).save(folder / name, quality=90)
    sizes = np.full((count, 2), (HEIGHT, WIDTH))
    return FileImages(folder, names, labels, sizes, case.image_size), [str(folder / name) for name in names]


def _smooth(draw: np.random.Generator, width: int, height: int) -> Image.Image:
    coarse = Image.fromarray(draw.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


class PlainImages(TorchDataset):
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
