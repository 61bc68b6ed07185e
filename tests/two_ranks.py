"""The same trainings by one rank and by two; run as a script it is one of two, and keeps what it ended with.

``python two_ranks.py NUMBER FOLDER``: the ranks find each other through a file in FOLDER.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor, nn

from delt_engine.config import SqueezeConfig
from delt_engine.config.students import EvaluateConfig
from delt_engine.errors import RunCancelled
from delt_engine.pipeline.train import TrainingRun
from delt_engine.training import image_table, students, trainer
from delt_engine.training import squeeze as squeezing
from delt_engine.training.distributed import Team
from delt_engine.training.relabel import TeacherLabels
from delt_engine.training.students import TrainedEpoch
from tests.tiny_data import tiny_dataset

SQUEEZE = SqueezeConfig(
    network="convnet-3",
    width=0.1,
    epochs=2,
    batch_size=15,
    learning_rate=0.05,
    label_smoothing=0.1,
    rand_augment="m5-n1-p0.1",
    cutout=0.5,
)
STUDENT = EvaluateConfig.for_recipe(
    "delt",
    epochs=3,
    student="convnet-3",
    student_width=0.0625,
    student_stem="stock",
    batch_size=7,
    optimizer="sgd",
    learning_rate=0.05,
    temperature=2.0,
    validate_every=1,
    precision="float32",
    ema_decay=0.7,
    rand_augment="m5-n2-mstd1",
    cutout=0.5,
)
TRAIN = image_table.real(tiny_dataset(train=8))  # 24 images: steps of 7, 7, 7 and 3, which two ranks do not divide
TEST = image_table.test_table(tiny_dataset(), TRAIN)


def without_batchnorm(*_args, **_kwargs) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.GroupNorm(2, 8),
        nn.ReLU(),
        nn.AvgPool2d(4),
        nn.Flatten(),
        nn.Linear(32, 3),
    )


class ColourTeacher(nn.Module):
    """The logit of a class is the mean of its channel."""

    def forward(self, images: Tensor) -> Tensor:
        return 4 * images.mean(dim=(2, 3))


class Recorded(TeacherLabels):
    """Labels that know whole batches alone, as a store does."""

    def soft_logits(self, epoch: int, batch_number: int, images: Tensor, rows: slice) -> Tensor:
        generator = torch.Generator().manual_seed(100 * epoch + batch_number)
        count = 3 if batch_number == 3 else 7
        return torch.randn(count, 3, generator=generator)[rows]


def squeezed(team: Team) -> dict[str, Tensor]:
    """Return the weights and the numbers of a teacher, of which the second epoch goes on from the first one's state."""
    run = squeezing.squeeze(tiny_dataset(), SQUEEZE, seed=3, device="cpu", team=team)
    first = next(record for record in run if isinstance(record, squeezing.SqueezedEpoch))
    state = team.first(lambda: first.state)
    run.close()
    records = list(squeezing.squeeze(tiny_dataset(), SQUEEZE, seed=3, device="cpu", state=state, team=team))
    epochs = [first, *(record for record in records if isinstance(record, squeezing.SqueezeEpoch))]
    numbers = torch.tensor([[each.loss, each.train_accuracy, each.test_accuracy] for each in epochs])
    return {**records[-1].network.state_dict(), "numbers": numbers}


def student(team: Team, labels: TeacherLabels | None = None, config: EvaluateConfig = STUDENT) -> dict[str, Tensor]:
    """Return the state after the last epoch, which follows from going on after the first, and the numbers."""
    run = students.evaluate(TRAIN, TEST, ColourTeacher(), config, seed=2, device="cpu", labels=labels, team=team)
    state = next(record for record in run if isinstance(record, TrainedEpoch)).state
    run.close()
    run = students.evaluate(
        TRAIN, TEST, ColourTeacher(), config, seed=2, device="cpu", labels=labels, team=team, state=state
    )
    for record in run:
        if isinstance(record, TrainedEpoch):
            last, loss = record.state, record.loss
    result = replace(record, seconds=0.0)
    numbers = torch.tensor([loss, result.top1_last, result.top1_ema, result.top5_last, *result.per_class])
    return {**last.tensors, "numbers": numbers}


def plainly(case: Callable[..., dict[str, Tensor]]) -> Callable[..., dict[str, Tensor]]:
    """Return the same training of a network without BatchNorm."""

    def train(*arguments) -> dict[str, Tensor]:
        with mock.patch.object(trainer, "build_network", without_batchnorm):
            return case(*arguments)

    return train


def student_of_stored_labels(team: Team) -> dict[str, Tensor]:
    """By a loss that also asks for the classes of both images of a mix."""
    config = STUDENT.replace(loss="mse-ce", cross_entropy_weight=0.5)
    return plainly(student)(team, Recorded(ColourTeacher()), config)


def agreed(team: Team) -> dict[str, Tensor]:
    """Return what the ranks tell each other: the second wants more, the first knows more."""
    known = team.first(lambda: {"epoch": 7, "weights": torch.arange(3.0)})
    return {"highest": torch.tensor(team.highest(team.number, 5 - team.number)), "known": known["weights"]}


def normalised(number: int) -> nn.BatchNorm2d:
    """Return a layer that has seen two batches of a rank."""
    layer, generator = nn.BatchNorm2d(3), torch.Generator().manual_seed(number)
    for _ in range(2):
        layer(torch.randn(4, 3, 2, 2, generator=generator) * (1 + number) + number)
    return layer


def averaged(team: Team) -> dict[str, Tensor]:
    layer = normalised(team.number)
    team.average_statistics(layer)
    return layer.state_dict()


CASES: dict[str, Callable[[Team], dict[str, Tensor]]] = {
    "squeezed": squeezed,
    "squeezed_without_batchnorm": plainly(squeezed),
    "student": student,
    "student_without_batchnorm": plainly(student),
    "student_of_stored_labels": student_of_stored_labels,
    "averaged": averaged,
    "agreed": agreed,
}


def stopped(team: Team) -> RunCancelled:
    """Return the error of a training that was asked to stop; its traceback has all that was there."""

    def stop(_step: object) -> None:
        raise RunCancelled("pause")

    steps = squeezing.squeeze(tiny_dataset(), SQUEEZE, seed=3, device="cpu", team=team)
    with pytest.raises(RunCancelled) as caught:
        TrainingRun.finish(SimpleNamespace(take=stop), steps)
    return caught.value


def main(number: int, folder: Path) -> None:
    """Do all trainings as one of two ranks."""
    torch.set_num_threads(1)
    importlib.import_module("torch._dynamo")  # see delt_engine.jobs.ranks.joined
    dist.init_process_group("gloo", store=dist.FileStore(str(folder / "store"), 2), rank=number, world_size=2)
    for name, case in CASES.items():
        found = {key: value.contiguous() for key, value in case(Team(number, 2)).items()}
        save_file(found, folder / f"{name}-{number}.safetensors")
    error = stopped(Team(number, 2))
    dist.destroy_process_group()
    until = time.monotonic() + 10  # a thread that has just ended may still be listed
    while (names := threads_of_the_group()) and time.monotonic() < until:
        pass
    assert str(error) == "pause"
    (folder / f"threads-{number}.json").write_text(json.dumps(names))


def threads_of_the_group() -> list[str]:
    """Return the names of this process's threads that are gloo's; on Linux alone they can be seen."""
    found = []
    for task in Path("/proc/self/task").glob("*/comm"):
        with contextlib.suppress(OSError):  # it has just ended
            found.append(task.read_text().strip())
    return [name for name in found if "gloo" in name]


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
