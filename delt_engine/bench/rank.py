"""Measure ranking: plain code and the engine's, in turns, over the same pictures with the same network.

Beside the rates stands how fast the same pictures are decoded with nothing behind it: a ranking cannot be faster than
that. Files are photographs' size, made of smooth random colours, so a decoder has its usual work.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

from delt_engine.bench.cases import named
from delt_engine.bench.plain_rank import PlainImages, rank_as_published
from delt_engine.config import RankConfig
from delt_engine.data.dataset import ArrayImages, Dataset, DatasetSpec, ImageSet
from delt_engine.data.folder import FileImages
from delt_engine.models.networks import build_network
from delt_engine.patches.ranking import Ranking, RankProgress, rank
from delt_engine.patches.scoring import RankTiming

HEIGHT, WIDTH = 375, 500
"""Native size of the files: the median of ImageNet's."""

NUM_CLASSES = 10
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Report = Callable[[str, int, int], None]


@dataclass(frozen=True)
class RankCase:
    """One line of the benchmark: pictures and the network that scores them.

    ``width`` is the network's; ``images`` how many pictures there are, a third of them with ``--quick``.
    """

    name: str
    title: str
    image_size: int
    width: float
    images: int
    is_files: bool = True


CASES = (
    RankCase("arrays-32", "pictures of 32 px in an array, quarter-width ResNet-18", 32, 0.25, 1500, False),
    RankCase("files-32", "photographs in files at 32 px, quarter-width ResNet-18", 32, 0.25, 240),
    RankCase("files-224", "photographs in files at 224 px, quarter-width ResNet-18", 224, 0.25, 96),
)


@dataclass(frozen=True)
class RankResult:
    """What was measured of one case; rates are patches a second, shares percent of the engine's time.

    ``max_abs_diff`` is of the probabilities. Large JPEGs are decoded at a lower scale where S is much smaller, so
    pixels and probabilities differ a little there.
    """

    case: str
    title: str
    device: str
    threads: int
    plain_rate: float
    fast_rate: float
    ratio: float
    max_abs_diff: float
    decoder_rate: float
    decode_percent: float
    copy_percent: float
    network_percent: float
    workers: int

    def to_record(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def find_cases(names: Sequence[str]) -> tuple[RankCase, ...]:
    """Return the cases of some names, all when none is given.

    Raises:
        ConfigError: there is no such case.
    """
    return named(CASES, names) or CASES


def bench_rank(
    cases: Sequence[RankCase], *, quick: bool, rounds: int, device: torch.device, report: Report | None = None
) -> Iterator[RankResult]:
    """Measure cases.

    Args:
        cases: what to measure.
        quick: with a third of the pictures.
        rounds: how often each is measured; medians are told.
        device: where.
        report: told what is measured, how many cases are done, and of how many.
    """
    for done, case in enumerate(cases):
        if report:
            report(case.title, done, len(cases))
        with tempfile.TemporaryDirectory(prefix="delt-bench-") as folder:
            yield _measured(case, Path(folder), case.images // (3 if quick else 1), rounds, device)


def _measured(case: RankCase, folder: Path, count: int, rounds: int, device: torch.device) -> RankResult:
    train, pictures = _pictures(case, folder, count)
    network = _network(case, device)
    spec = DatasetSpec(
        "bench", "Bench", "folder", NUM_CLASSES, tuple("abcdefghij"), case.image_size, MEAN, STD, count, 0, ""
    )
    dataset = Dataset(spec, train, train, fingerprint="bench")
    card = SimpleNamespace(name="bench", num_classes=NUM_CLASSES, mean=MEAN, std=STD, fingerprint="bench")
    teacher: Any = SimpleNamespace(network=network, card=card)
    plain_images = PlainImages(pictures, train.labels, case.image_size, MEAN, STD)
    config = RankConfig(batch_size=64)
    _warm_up(network, case.image_size, device)
    plain_s, fast_s, decode_s, gaps, timing = [], [], [], [], None
    for _ in range(rounds):
        plain, seconds = _timed(lambda: rank_as_published(network, plain_images, config.batch_size, device))
        plain_s.append(seconds)
        (ranking, timing), seconds = _timed(lambda: _ranked(dataset, teacher, config, device))
        fast_s.append(seconds)
        decode_s.append(_timed(lambda: train.pixels(range(count)))[1])
        gaps.append(float(np.abs(ranking.true_class_prob - plain).max()))
    shares = timing.to_record()
    return RankResult(
        case.name,
        case.title,
        str(device),
        torch.get_num_threads(),
        count / median(plain_s),
        count / median(fast_s),
        median(p / f for p, f in zip(plain_s, fast_s, strict=True)),
        max(gaps),
        count / median(decode_s),
        shares["decode_percent"],
        shares["copy_percent"],
        shares["network_percent"],
        int(shares["workers"]),
    )


def _ranked(dataset: Dataset, teacher: Any, config: RankConfig, device: torch.device) -> tuple[Ranking, RankTiming]:
    timing = None
    for item in rank(dataset, teacher, config, seed=0, device=str(device)):
        if isinstance(item, RankProgress):
            timing = item.timing or timing
    return item, timing


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


def _network(case: RankCase, device: torch.device) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_network("resnet18", NUM_CLASSES, image_size=case.image_size, width=case.width)
    return network.eval().requires_grad_(requires_grad=False).to(device)


def _warm_up(network: torch.nn.Module, image_size: int, device: torch.device) -> None:
    with torch.no_grad():
        network(torch.zeros(8, 3, image_size, image_size, device=device)).cpu()


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    found = work()
    return found, time.perf_counter() - began
