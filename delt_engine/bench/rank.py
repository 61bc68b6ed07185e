"""Measure ranking: plain code and the engine's, in turns, over the same pictures with the same network.

Beside the rates stands how fast the same pictures are decoded with nothing behind it: a ranking cannot be faster than
that. Files are photographs' size, made of smooth random colours, so a decoder has its usual work. Large JPEGs are
decoded at a lower scale where S is much smaller, so pixels and probabilities differ a little there.

Figures of a case: ``decoder_rate``, patches a second of decoding alone; ``decode_percent``, ``copy_percent`` and
``network_percent``, shares of the engine's time; ``workers``.
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

from delt_engine.bench.cases import RankCase
from delt_engine.bench.harness import Measured, Report, Side, each_case, measured, take_turns
from delt_engine.bench.plain_rank import PlainImages, rank_as_published
from delt_engine.config import RankConfig
from delt_engine.data.dataset import ArrayImages, Dataset, DatasetSpec, ImageSet
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

    def rank_fast() -> None:
        item: Any = None
        for item in rank(dataset, teacher, config, seed=0, device=str(device)):
            if isinstance(item, RankProgress) and item.timing:
                timings.append(item.timing)
        fast.append(item.true_class_prob)  # a ranking ends with its result

    sides = [
        Side(lambda _: plain.append(rank_as_published(network, plain_images, config.batch_size, device))),
        Side(lambda _: rank_fast()),
        Side(lambda _: train.pixels(range(count))),
    ]
    take_turns(sides, range(rounds))
    plain_s, fast_s, decode_s = (side.seconds for side in sides)
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
