"""Students small enough for tests: images of colours, a teacher that knows them, and settings."""

import torch
from torch import nn

from delt_engine.config.students import EvaluateConfig
from delt_engine.training import image_table
from delt_engine.training.state import TrainingState
from tests.tiny_data import tiny_dataset

TRAIN = image_table.real(tiny_dataset(train=8))
TEST = image_table.test_table(tiny_dataset(test=20), TRAIN)


class ColourTeacher(nn.Module):
    """Knows the colours: the logit of a class is the mean of its channel; notes the mode it was asked in."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(20.0))
        self.norm = nn.BatchNorm2d(3)
        self.modes: list[bool] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.modes.append(self.training)
        return self.scale * self.norm(images).mean(dim=(2, 3))


def config(recipe: str = "delt", **values) -> EvaluateConfig:
    settings = {
        "epochs": 4,
        "student": "convnet-3",
        "student_width": 0.0625,
        "student_stem": "stock",
        "batch_size": 8,
        "learning_rate": 0.02,
        "validate_every": 2,
        "precision": "float32",
    }
    quiet = {} if values.pop("augmented", False) else {"rand_augment": "none", "mix": "none"}
    auto = {} if "rand_augment" in quiet else {"rand_augment": "m5-n4-mstd1"}
    return EvaluateConfig.for_recipe(recipe, **{**settings, **quiet, **auto, **values})


def same(first: TrainingState, second: TrainingState) -> bool:
    facts = [{**state.facts, "seconds": 0} for state in (first, second)]
    equal = all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)
    return first.tensors.keys() == second.tensors.keys() and equal and facts[0] == facts[1]
