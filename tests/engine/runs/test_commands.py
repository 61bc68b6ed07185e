"""The command of a run says exactly its settings, and is the shortest that does."""

from __future__ import annotations

import pytest

from delt_engine.cli.options import read_experiment, read_run_options
from delt_engine.cli.recovery import recover
from delt_engine.cli.teachers import squeeze
from delt_engine.config import Experiment, RankConfig, RecoverConfig, SelectConfig, SqueezeConfig
from delt_engine.runs.commands import command_for, join_names, split_names
from delt_engine.runs.naming import relevant_settings
from delt_engine.runs.records import RunOptions

COMMANDS = {"recover": recover, "squeeze": squeeze}


def read_back(command: list[str]) -> tuple[Experiment, RunOptions]:
    """What the command line makes of a command."""
    assert command[0] == "delt"
    values = COMMANDS[command[1]].make_context(command[1], command[2:]).params
    return read_experiment(values), read_run_options(values)


def test_defaults_are_left_out() -> None:
    assert command_for(Experiment()) == ["delt", "recover", "--dataset", "photos"]
    assert command_for(Experiment(recover=RecoverConfig.for_method("sre2l"))) == [
        "delt", "recover", "--dataset", "photos", "--method", "sre2l",
    ]  # fmt: skip
    assert command_for(Experiment(), "runs/a")[-2:] == ["--out", "runs/a"]


@pytest.mark.parametrize(
    "experiment",
    [
        Experiment(),
        Experiment(recover=RecoverConfig.for_method("cda", ipc=3, iterations=60, round_iterations=20, flip=False)),
        Experiment(recover=RecoverConfig.for_method("sre2l", early_late=True, learning_rate=0.1, r_bn=0.005)),
        Experiment(recover=RecoverConfig(restart_rounds=True, min_crop=0.2, beta2=0.99, adam_counters="per-image")),
        Experiment(
            dataset="pictures", image_size=64, teacher="mine", classes=("cat", "tench, Tinca tinca", "a b"), seed=7,
            device="cuda:1", rank=RankConfig(crops=5, min_crop=0.3), select=SelectConfig(criterion="top", mosaic=2),
            squeeze=SqueezeConfig(network="convnet-3", width=0.5, stem="small"),
        ),
        Experiment(select=SelectConfig(pinned=(17, 3), dropped=(0,), picked_from="0123abcd")),
    ],
)  # fmt: skip
def test_the_command_line_reads_back_the_same_settings(experiment) -> None:
    found, options = read_back(command_for(experiment, "runs/a"))
    assert relevant_settings(found, "recover") == relevant_settings(experiment, "recover")
    assert options == RunOptions()


def test_squeeze_and_run_options_are_read_back_as_well() -> None:
    experiment = Experiment(seed=3, squeeze=SqueezeConfig(epochs=5, width=0.25, flip=False, learning_rate=0.05))
    found, options = read_back(command_for(experiment, None, "squeeze", RunOptions(keep_teacher=False)))
    assert found == experiment
    assert options == RunOptions(keep_teacher=False)
    wanted = RunOptions(teacher_check=False, snapshot_classes=3, live_seconds=0.5, checkpoint_seconds=7)
    assert read_back(command_for(Experiment(), None, "recover", wanted))[1] == wanted


def test_names_with_commas_survive() -> None:
    names = ("plain", "tench, Tinca tinca", 'with "quotes"', "a b")
    assert split_names(join_names(names)) == names
    assert split_names("cat, dog") == ("cat", "dog")
    assert split_names("") == ()
