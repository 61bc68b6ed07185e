"""A toy dataset, a teacher of one layer and the ranking they give, for tests of ranking."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch

from delt_engine.config import RankConfig
from delt_engine.data.dataset import ArrayImages, Dataset, DatasetSpec
from delt_engine.patches.ranking import Ranking, rank

SIZE = 8
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


class RecordedImages(ArrayImages):
    """Images that count how many are read at a time."""

    def __init__(self, *args):
        super().__init__(*args)
        self.reads = []

    def pixels(self, indices):
        self.reads.append(len(indices))
        return super().pixels(indices)

    def crops(self, indices, boxes):
        self.reads.append(len(indices))
        return super().crops(indices, boxes)


def dataset_of(images):
    # The dataset's own statistics differ from the teacher's on purpose: only the teacher's may be used.
    n = len(images)
    spec = DatasetSpec("toy", "Toy", "built-in", 3, ("a", "b", "c"), SIZE, (0, 0, 0), (1, 1, 1), n, n, "")
    return Dataset(spec, images, images, fingerprint="data-1")


def make_dataset(n=11, native=(SIZE, SIZE)):
    pixels = np.random.default_rng(3).integers(0, 256, (n, *native, 3), dtype=np.uint8)
    return dataset_of(RecordedImages(pixels, np.arange(n) % 3, [f"train/{i:03d}" for i in range(n)], SIZE))


def make_teacher(num_classes=3, network=None):
    if network is None:
        torch.manual_seed(0)
        network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * SIZE * SIZE, num_classes))
    card = SimpleNamespace(name="tiny", num_classes=num_classes, mean=MEAN, std=STD, fingerprint="weights-1")
    return SimpleNamespace(network=network, card=card)


def steps_of(dataset=None, teacher=None, config=None, *, seed=0, **options):
    """Return what ranking yields: progress, then the ranking."""
    dataset, teacher = dataset or make_dataset(), teacher or make_teacher()
    return list(rank(dataset, teacher, config or RankConfig(), seed=seed, **options))


def ranked(*args, **options) -> Ranking:
    *_, result = steps_of(*args, **options)
    assert isinstance(result, Ranking)
    return result
