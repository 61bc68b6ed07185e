"""What a run with published squares ranks, starts from, tests on and says of itself."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_pictures import folder
from tiny_data import tiny_dataset
from tiny_ranking import make_teacher

from delt_engine.config import Experiment, RankConfig
from delt_engine.data.dataset import Dataset, as_shown
from delt_engine.data.decode import squared
from delt_engine.patches.ranking import rank
from delt_engine.patches.selection import Patch, SelectedImage, patch_pixels
from delt_engine.pipeline.inputs import load_inputs
from delt_engine.training import image_table


@pytest.fixture
def data() -> Dataset:
    return as_shown(tiny_dataset(train=2, test=2, size=56), "published")


def test_the_setting_reaches_the_dataset_and_the_record(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    root = folder(tmp_path / "pets", classes=2)
    experiment = Experiment(dataset=str(root), image_size=8)
    whole = load_inputs(experiment, needs_teacher=False)
    cut = load_inputs(experiment.replace(resize="published"), needs_teacher=False)
    assert (whole.dataset_record.resize, cut.dataset_record.resize) == ("whole", "published")
    assert cut.dataset_record.fingerprint == f"{whole.dataset_record.fingerprint}-published"


def test_the_pixels_that_are_ranked_start_an_image(data: Dataset) -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 56 * 56, 3))
    *_, ranking = rank(data, make_teacher(network=network), RankConfig(), seed=0)
    assert ranking.crop_box.tolist() == [[3, 3, 49, 49]] * 6  # 7 eighths of 56 px
    patch = Patch(1, data.train.names[1], (3, 3, 49, 49), 0, 0.5, 0)
    start = patch_pixels(data, SelectedImage(0, 0, (patch,), 1, 10))
    np.testing.assert_array_equal(start, squared(data.train.original(1), 56, "published"))


def test_tests_see_the_centre_and_training_on_real_images_the_whole(data: Dataset) -> None:
    np.testing.assert_array_equal(image_table.test_table(data).image_u8, data.test.pixels(range(6)))
    np.testing.assert_array_equal(
        image_table.real(data).image_u8, tiny_dataset(train=2, test=2, size=56).train.pixels(range(6))
    )
