"""The benchmark of students: both trainings compute the same from the same draws."""

import numpy as np
import pytest
import torch
from torch import nn

from delt_engine.bench.evaluate import side_by_side
from delt_engine.config import EvaluateConfig
from delt_engine.training.image_table import ImageTable

NAMES = ("a", "b", "c")


@pytest.mark.parametrize("has_teacher", [True, False])
def test_both_trainings_have_the_same_loss(has_teacher):
    rng = np.random.default_rng(0)
    table = ImageTable(
        rng.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8), np.arange(12) % 3, NAMES, (0.5,) * 3, (0.25,) * 3
    )
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).eval() if has_teacher else None
    kind = {} if has_teacher else {"labels": "hard", "loss": "ce"}
    config = EvaluateConfig.for_recipe(
        "delt",
        epochs=1,
        student="convnet-3",
        student_width=0.0625,
        student_stem="small",
        batch_size=4,
        learning_rate=1e-3,
        rand_augment="none",
        ema_decay=0.0,
        precision="float32",
        min_crop=0.25,
        **kind,
    )
    plain, fast, gap = side_by_side(table, teacher, config, 0, torch.device("cpu"))
    assert plain > 0
    assert fast > 0
    assert gap < 1e-3
