"""``delt evaluate`` and ``delt compare`` as typed, on the tiny world: settings, results, what is used again."""

from __future__ import annotations

import csv
import json

import pytest
import torch
from click.testing import CliRunner
from tiny_world import finished

from delt_engine.cli import compare as compare_module
from delt_engine.cli import main
from delt_engine.cli.compare import shortened, shortening_note
from delt_engine.cli.evaluate import evaluate, read_evaluation
from delt_engine.cli.options import read_run_options
from delt_engine.config import EvaluateConfig, Experiment
from delt_engine.jobs.evaluations import evaluation_experiment
from delt_engine.models.checkpoints import load_state
from delt_engine.pipeline import recover
from delt_engine.pipeline import run as pipeline
from delt_engine.runs.command import command_for
from delt_engine.runs.record import RunOptions
from delt_engine.runs.sources import find_source
from delt_engine.runs.store import Run, list_runs

pytest_plugins = ["tiny_world"]
pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = ["--epochs", "2", "--rand-augment", "none"]


@pytest.fixture
def typed(world, monkeypatch):
    """Type a command; the tiny dataset answers to every name."""
    monkeypatch.setattr(compare_module, "size_of", lambda dataset, image_size=None: 8)

    def run(*words, code: int = 0):
        done = CliRunner().invoke(main, [str(word) for word in words])
        assert done.exit_code == code, done.output
        return done

    return run


@pytest.fixture
def source(world, settings) -> Run:
    return finished(world / "home" / "runs" / "source", settings("random"))


def test_evaluate_prints_the_result_and_names_the_run_it_made(typed, source) -> None:
    found = json.loads(typed("evaluate", "source", *QUICK, "--json", "-q").stdout)
    expected = {"kind": "evaluate", "status": "finished", "source": "source", "method": "random", "epochs": 2}
    assert found.items() >= expected.items()
    assert (found["is_shortened"], found["seeds"]) == (True, [0])
    assert 0 <= found["top1_last"] <= 100
    run = Run.open(found["run"])
    assert run.record().source == "source"
    assert run.record().command == ("delt", "evaluate", "source", *QUICK, "--out", str(run.path))
    said = typed("evaluate", source.path, *QUICK, "--seeds", "2").output
    assert "Random real, IPC 4: top-1" in said
    assert "over 2 seeds" in said
    assert "recipe DELT shortened to 2 epochs" in said
    assert "student 2 of 2, epoch 2 of 2: loss" in said


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        (EvaluateConfig(), {}),
        (EvaluateConfig.for_recipe("rded", epochs=30, seeds=3), {"seed": 9}),
        (EvaluateConfig.for_recipe("edc", batch_size=10, learning_rate=0.002, flip=False, ema_decay=0.9), {}),
        (EvaluateConfig.for_recipe("hard", student="mobilenet_v2", student_width=0.5, student_stem="small"), {}),
        (EvaluateConfig.for_recipe("edc", batch_size=None, learning_rate=None, min_crop=None), {}),
        (EvaluateConfig(loss="kl-t2", mix="mixup", mix_alpha=0.8, min_crop=0.5, precision="float32"), {}),
    ],
)
def test_the_command_line_reads_back_the_same_evaluation(source, config, changes) -> None:
    for ref, extra in (("source", {}), ("real", {"dataset": "colours", "image_size": 16, "teacher": "colours"})):
        found = find_source(ref)
        experiment = evaluation_experiment(found, config, **changes, **extra)
        options = RunOptions(teacher_check=False, checkpoint_seconds=7)
        program, name, *words = command_for(experiment, "out", "evaluate", options, found.ref)
        values = evaluate.make_context("evaluate", words).params
        assert (program, name, values.pop("source")) == ("delt", "evaluate", ref)
        assert read_evaluation(find_source(ref), values) == experiment
        assert read_run_options(values) == options


def test_settings_that_the_run_itself_says_are_refused(typed, source) -> None:
    for option, given in (("dataset", "photos"), ("width", "0.5")):
        said = typed("evaluate", "source", f"--{option}", given, code=2).output
        assert said.startswith(f"Error: {option}: ")
        assert f"{given} given, but run source itself says it".replace("photos", "'photos'") in said
    typed("evaluate", "nothing", code=2)
    assert [run.id for run in list_runs()] == ["source"]  # nothing was made


COMPARE = ["compare", "--dataset", "colours", "--ipc", "4", "--mi", "8", "--ri", "2", "--device", "cpu", *QUICK]


def test_compare_fills_one_table_in_the_order_asked_and_uses_what_is_there(typed, world) -> None:
    files = [word for name in ("csv", "latex", "markdown") for word in (f"--{name}", world / f"table.{name}")]
    words = [*COMPARE, "--methods", "random,delt,real", "--json", "-q"]
    found = json.loads(typed(*words, *files).stdout)
    rows = found["rows"]
    assert [row["method"] for row in rows] == ["random", "delt", "real"]
    assert [row["ipc"] for row in rows] == [4, 4, 24]
    assert [row["iterations"] for row in rows] == [0, 8, None]
    assert found["notes"] == [
        "Shortened against the papers: MI 8 instead of 4,000 and students of 2 instead of 300 epochs."
    ]
    for row in rows:
        assert 0 <= row["top1_last"] <= row["top1_best"] <= 100
        assert -1 <= row["cosine_similarity"] <= 1
        assert row["seconds"] == pytest.approx((row["synthesis_seconds"] or 0) + row["train_seconds"], abs=2e-3)
    with (world / "table.csv").open() as file:
        assert [row["method_title"] for row in csv.DictReader(file)] == ["Random real", "DELT", "All real images"]
    first = (world / "table.latex").read_text().splitlines()[0]
    assert first.startswith("% Students: convnet-3 x 0.0625, DELT, 2 epochs (shortened). Shortened against the papers")
    assert (world / "table.markdown").read_text().count("\n| ") == 4

    made = {run.id for run in list_runs()}
    assert len(made) == 5
    again = typed(*words[:-1])
    assert json.loads(again.stdout)["rows"] == rows
    assert {run.id for run in list_runs()} == made
    assert "delt (2 of 3): recover: run" in again.stderr
    assert "is used again" in again.stderr
    typed(*COMPARE, "--methods", "random", "--fresh", "-q")
    assert len(list_runs()) == 7
    other = json.loads(typed(*COMPARE, "--methods", "random", "--json", "-q", "--seeds", "2").stdout)["rows"][0]
    assert len(list_runs()) == 8  # the images are used again, the students are not
    assert other["seeds"] == [0, 1]


def test_compare_puts_its_runs_into_a_folder_under_plain_names(typed, world) -> None:
    names = ["colours-cda", "colours-cda-students", "colours-random", "colours-random-students"]
    for _ in range(2):  # the second time they are used again
        typed(*COMPARE, "--methods", "cda,random", "--into", world / "examples", "-q")
        made = {run.id: run for run in list_runs(world / "examples")}
        assert sorted(made) == names
    assert list_runs() == []
    cda = made["colours-cda"]
    assert cda.rounds_written(cda.classes[0]) == [0, 1]  # its start and its end
    assert made["colours-cda-students"].record().source == str(cda.path)


def test_checkpoints_that_do_not_say_what_they_are_are_known_by_their_weights(typed, world, tiny_teacher) -> None:
    weights = load_state(tiny_teacher)
    words = [*COMPARE, "--methods", "random", "--network", "convnet-3", "--width", "0.0625", "--json"]
    for name in ("a", "b"):
        torch.save(weights, world / f"{name}.pth")
        done = typed(*words, "--teacher", world / f"{name}.pth")
    assert "is used again" in done.stderr  # the same weights in another file
    made = len(list_runs())
    next(weight for weight in weights.values() if weight.ndim > 1).mul_(0.5)
    torch.save(weights, world / "b.pth")
    assert "is used again" not in typed(*words, "--teacher", world / "b.pth").stderr
    assert len(list_runs()) == made + 2


def test_compare_goes_on_where_it_was_stopped(typed, monkeypatch) -> None:
    with monkeypatch.context() as patched:
        loop = recover.recover

        def stopped(*args, **kwargs):
            for step in loop(*args, **kwargs):
                if step.iteration == 5:
                    patched.setattr(pipeline.StopRequests, "asked", lambda self: "cancel")
                yield step

        patched.setattr(recover, "recover", stopped)
        done = typed(*COMPARE, "--methods", "random,delt", "-q", code=130)
    assert done.output.startswith("Stopped: delt: run ")
    ids = {run.id for run in list_runs()}
    done = typed(*COMPARE, "--methods", "random,delt", "--json")
    assert "delt (2 of 2): recover: run" in done.stderr
    assert "goes on" in done.stderr
    assert len(list_runs()) == len(ids) + 1  # only the students of delt were missing
    assert all(run.status == "finished" for run in list_runs())
    assert len(json.loads(done.stdout)["rows"]) == 2


def test_a_failure_names_the_method_and_wrong_methods_are_refused_at_once(typed) -> None:
    done = typed(*COMPARE, "--ipc", "30", "--methods", "random", "-q", code=2)
    assert done.output.startswith("Error: random: class 'red' has 24 patches, but IPC 30 needs 30")
    for methods, sentence in (
        (
            "delt,dalt",
            "methods: 'dalt' given, but it must be one of delt, cda, cda-init, cda-early-late, ",
        ),
        ("delt,delt", "methods: delt given twice, but each method is compared once."),
        ("", "methods: '' given, but it must be one of"),
    ):
        assert sentence in typed(*COMPARE, "--methods", methods, code=2).output


def test_the_built_in_datasets_are_shortened_unless_said_otherwise() -> None:
    assert shortened({}, {}) == ({"iterations": 200, "round_iterations": 50}, {"epochs": 60})
    typed = ({"iterations": 4000, "round_iterations": 500}, {"epochs": 300})
    assert shortened(*typed) == typed
    assert shortened({"iterations": 400}, {})[0] == {"iterations": 400, "round_iterations": 100}
    plans = {"delt": Experiment()}
    assert shortening_note(plans, EvaluateConfig()) == ""
