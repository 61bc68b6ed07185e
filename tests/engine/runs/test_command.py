"""The command of a run says exactly its settings, and is the shortest that does."""

import pytest

from delt_engine.cli.evaluate import read_evaluation, relabel
from delt_engine.cli.options import read_experiment, read_run_options, typed_settings
from delt_engine.cli.recover import recover
from delt_engine.cli.squeeze import squeeze
from delt_engine.config import (
    DEFAULT_DATASET,
    EvaluateConfig,
    Experiment,
    RankConfig,
    RecoverConfig,
    RelabelConfig,
    SelectConfig,
    SqueezeConfig,
)
from delt_engine.runs.command import command_for, relabel_command
from delt_engine.runs.record import RunOptions, relevant_settings
from delt_engine.runs.sources import find_source

COMMANDS = {"recover": recover, "squeeze": squeeze}


def read_back(command: list[str]) -> tuple[Experiment, RunOptions]:
    """What the command line makes of a command."""
    assert command[0] == "delt"
    values = COMMANDS[command[1]].make_context(command[1], command[2:]).params
    return read_experiment(values), read_run_options(values)


def test_defaults_are_left_out() -> None:
    plain = ["delt", "recover", "--dataset", DEFAULT_DATASET]
    assert command_for(Experiment()) == plain
    assert command_for(Experiment(recover=RecoverConfig.for_method("sre2l"))) == [*plain, "--method", "sre2l"]
    large = Experiment.for_method("cda", dataset="imagenette", size=224)
    assert command_for(large) == ["delt", "recover", "--dataset", "imagenette", "--method", "cda"]
    unread = command_for(Experiment.for_method("cda", dataset="pictures", size=224))
    assert unread[-2:] == ["--jitter", "32"]  # what hangs on the size of a folder's images is always said
    assert command_for(Experiment(), "runs/a") == [*plain, "--out", "runs/a"]


@pytest.mark.parametrize(
    "experiment",
    [
        Experiment(),
        Experiment(recover=RecoverConfig.for_method("cda", ipc=3, iterations=60, round_iterations=20, flip=False)),
        Experiment.for_method("cda-init", dataset="imagenette", size=224),
        Experiment(dataset="imagenette", recover=RecoverConfig.for_method("sre2l", jitter=4)),
        Experiment(recover=RecoverConfig.for_method("cda", batching="images")),
        Experiment(recover=RecoverConfig.for_method("sre2l", early_late=True, learning_rate=0.1, r_bn=0.005)),
        Experiment(recover=RecoverConfig(restart_rounds=True, min_crop=0.2, beta2=0.99, adam_counters="per-image")),
        Experiment(
            dataset="pictures",
            image_size=64,
            teacher="mine",
            ranker="r18",
            classes=("cat", "tench, Tinca tinca", "a b"),
            seed=7,
            device="cuda:1",
            rank=RankConfig(crops=5, min_crop=0.3),
            select=SelectConfig(criterion="top", mosaic=2),
            squeeze=SqueezeConfig(network="convnet-3", width=0.5, stem="small"),
        ),
        Experiment.for_method("gvbsm", dataset="imagenette", teachers=("a", "second"), size=224, recover={"pad": 2}),
        Experiment(select=SelectConfig(pinned=(17, 3), dropped=(0,), picked_from="0123abcd")),
    ],
)
def test_the_command_line_reads_back_the_same_settings(experiment) -> None:
    found, options = read_back(command_for(experiment, "runs/a"))
    assert relevant_settings(found, "recover") == relevant_settings(experiment, "recover")
    assert options == RunOptions()


def test_squeeze_and_run_options_are_read_back_as_well() -> None:
    experiment = Experiment(seed=3, squeeze=SqueezeConfig(epochs=5, width=0.25, flip=False, learning_rate=0.05))
    options = RunOptions(keep_teacher=False)
    assert read_back(command_for(experiment, None, "squeeze", options)) == (experiment, options)
    wanted = RunOptions(teacher_check=False, snapshot_classes=3, live_seconds=0.5, checkpoint_seconds=7)
    assert read_back(command_for(Experiment(), None, "recover", wanted))[1] == wanted


@pytest.mark.parametrize(
    ("evaluate", "form"),
    [
        ({}, {}),
        ({"recipe": "rded", "epochs": 20, "batch_size": 64, "flip": False}, {"form": "float32", "label_epochs": 8}),
        ({"recipe": "edc", "mix": "mixup", "mix_alpha": 0.5, "temperature": 4.0}, {"label_epochs": 3}),
        ({"recipe": "sre2l", "batch_size": None, "min_crop": None}, {}),
        ({"relabeller": "densenet121"}, {}),
    ],
)
def test_relabelling_is_read_back(evaluate, form) -> None:
    experiment = Experiment(
        dataset="pictures",
        image_size=64,
        seed=4,
        device="cpu",
        relabel=RelabelConfig(**form),
        evaluate=EvaluateConfig.for_recipe(**{"recipe": "delt", **evaluate}),
        squeeze=SqueezeConfig(width=0.5),
    )
    command = relabel_command(experiment, "labels", "real")
    assert command[:5] == ["delt", "relabel", "real", "--dataset", "pictures"]
    values = relabel.make_context("relabel", command[2:]).params
    assert (values["source"], str(values["out"])) == ("real", "labels")
    found = read_evaluation(find_source("real"), values)
    assert found.replace(relabel=RelabelConfig(**typed_settings(values).get("relabel", {}))) == experiment
