"""``delt evaluate`` and ``delt compare`` as typed, on the tiny world: settings, results, what is used again."""

from __future__ import annotations

import csv
import json

import pytest
import torch
from click.testing import CliRunner
from other_teachers import moved
from tiny_world import finished

from delt_engine.cli import compare_plan, main
from delt_engine.cli.compare import compare
from delt_engine.cli.compare_plan import plan_comparison, shortened, shortening_note
from delt_engine.cli.evaluate import evaluate, read_evaluation
from delt_engine.cli.options import read_run_options
from delt_engine.config import EvaluateConfig, Experiment
from delt_engine.jobs.evaluations import evaluation_experiment, for_students
from delt_engine.models.checkpoints import load_state
from delt_engine.models.networks import build_network, may_take_small_stem, takes_width
from delt_engine.papers.method_settings import BASIS_NOTES, method_settings, taken_over
from delt_engine.pipeline import recover_batch
from delt_engine.pipeline import run as pipeline
from delt_engine.runs.command import command_for, compare_command
from delt_engine.runs.record import RunOptions
from delt_engine.runs.sources import find_source
from delt_engine.runs.store import Run, list_runs

pytest_plugins = ["tiny_world"]
pytestmark = pytest.mark.usefixtures("one_thread")

QUICK = ["--epochs", "2", "--rand-augment", "none"]


@pytest.fixture
def typed(world, monkeypatch):
    """Type a command; the tiny dataset answers to every name."""
    monkeypatch.setattr(compare_plan, "size_of", lambda dataset, image_size=None: 8)

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


def test_several_students_are_a_run_each_in_one_table_and_used_again(typed, source, world) -> None:
    words = ["evaluate", "source", *QUICK, "--student-width", "0.0625", "--students"]
    found = json.loads(typed(*words, "convnet-3,resnet18", "--json", "-q").stdout)
    assert [(one["student"], one["student_width"]) for one in found] == [
        ("convnet-3", 0.0625),
        ("resnet18", 0.0625),
    ]
    runs = [Run.open(one["run"]) for one in found]
    assert ["--student" in run.record().command for run in runs] == [True, True]
    assert {run.id for run in list_runs()} == {"source", *(run.id for run in runs)}
    alone = json.loads(typed(*words[:-1], "--student", "convnet-3", "--json", "-q").stdout)
    assert (alone["top1_last"], alone["per_class"]) == (found[0]["top1_last"], found[0]["per_class"])
    said = typed(*words, "convnet-3,resnet18", "--seeds", "1").output
    assert "resnet18 (2 of 2): train students: run" in said
    assert "is used again" in said
    assert "Top-1, last epoch (%)" in said
    typed(*words, "convnet-3,resnet18", "--out", world / "many", "-q")
    assert [run.id for run in sorted(list_runs(world / "many"), key=lambda run: run.id)] == [
        "convnet-3",
        "resnet18",
    ]


@pytest.mark.parametrize(
    ("students", "more", "words"),
    [
        ("convnet-3,convnet-3", (), "students: convnet-3 given twice"),
        (",", (), "students: none given"),
        ("convnet-3,alexnet", (), "alexnet given, but it cannot take images of 8 px"),
        ("convnet-3,resnet19", (), "'resnet19' given, but it must be"),
        ("convnet-3", ("--student", "resnet18"), "student: given beside --students"),
    ],
)
def test_students_that_cannot_be_are_refused_before_any_is_trained(typed, source, students, more, words) -> None:
    assert words in typed("evaluate", "source", *QUICK, "--students", students, *more, code=2).output
    assert [run.id for run in list_runs()] == ["source"]


def test_width_and_stem_go_to_the_students_that_can_have_them() -> None:
    config = EvaluateConfig(student_width=0.5, student_stem="small", epochs=7)
    found = for_students(config, ["resnet18", "densenet121", "swin_t", "auto"])
    assert [(one.student, one.student_width, one.student_stem, one.epochs) for one in found] == [
        ("resnet18", 0.5, "small", 7),
        ("densenet121", None, "small", 7),
        ("swin_t", None, "auto", 7),
        ("auto", 0.5, "small", 7),
    ]
    for name in ("squeezenet1_0", "regnet_x_400mf"):
        stem = "small" if may_take_small_stem(name) else "stock"
        build_network(name, 3, width=0.25 if takes_width(name) else 1, stem=stem, image_size=64)


COMPARE = ["compare", "--dataset", "colours", "--ipc", "4", "--mi", "8", "--ri", "2", "--device", "cpu", *QUICK]


def test_several_students_of_a_comparison_are_a_row_each(typed, world) -> None:
    moved("other")
    words = [*COMPARE, "--methods", "random,real", "--students", "convnet-3,resnet18", "--student-width", "0.0625"]
    words += ["--teacher", "colours", "--relabel-teacher", "other"]
    rows = json.loads(typed(*words, "--json", "-q").stdout)["rows"]
    assert [(row["method"], row["student"]) for row in rows] == [
        ("random", "convnet-3"),
        ("random", "resnet18"),
        ("real", "convnet-3"),
        ("real", "resnet18"),
    ]
    assert len({row["run"] for row in rows[:2]}) == 1
    assert rows[0]["cosine_similarity"] == rows[1]["cosine_similarity"]
    runs = {run.id: run for run in list_runs()}
    assert len(runs) == 5
    for row in rows:
        assert runs[row["evaluation"]].record().relabeller.name == "other"
        assert "labelled by other" in row["training"]
    assert runs[rows[0]["run"]].record().relabeller is None
    again = json.loads(typed(*words, "--json", "-q").stdout)["rows"]
    assert [row["evaluation"] for row in again] == [row["evaluation"] for row in rows]
    assert "alexnet given, but it cannot take" in typed(*COMPARE, "--students", "alexnet", code=2).output
    assert len(list_runs()) == 5


def test_compare_fills_one_table_in_the_order_asked_and_uses_what_is_there(typed, world) -> None:
    files = [word for name in ("csv", "latex", "markdown") for word in (f"--{name}", world / f"table.{name}")]
    words = [*COMPARE, "--methods", "random,delt,real", "--json", "-q"]
    found = json.loads(typed(*words, *files).stdout)
    rows = found["rows"]
    assert [row["method"] for row in rows] == ["random", "delt", "real"]
    assert [row["ipc"] for row in rows] == [4, 4, 24]
    assert [row["iterations"] for row in rows] == [0, 8, None]
    assert found["settings"] == "published"
    assert found["notes"] == [
        BASIS_NOTES["published"],
        "On top, for all: --mi 8 --ri 2.",
        "Shortened against the papers: MI 8 instead of 4,000 and students of 2 instead of 300 epochs.",
    ]
    assert [row["settings"] for row in rows] == ["", "DELT Table 8b for CIFAR-10", ""]
    for row in rows:
        assert 0 <= row["top1_last"] <= row["top1_best"] <= 100
        assert -1 <= row["cosine_similarity"] <= 1
        assert row["seconds"] == pytest.approx((row["synthesis_seconds"] or 0) + row["train_seconds"], abs=2e-3)
    with (world / "table.csv").open() as file:
        assert [row["method_title"] for row in csv.DictReader(file)] == ["Random real", "DELT", "All real images"]
    first = (world / "table.latex").read_text().splitlines()[0]
    assert first.startswith("% Students: convnet-3 x 0.0625, DELT, 2 epochs (shortened). Images: each method under")
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
        loop = recover_batch.recover

        def stopped(*args, **kwargs):
            for step in loop(*args, **kwargs):
                if step.iteration == 5:
                    patched.setattr(pipeline.StopRequests, "asked", lambda self: "cancel")
                yield step

        patched.setattr(recover_batch, "recover", stopped)
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
            "methods: 'dalt' given, but it must be one of delt, delt-plus, cda, cda-init, cda-early-late, ",
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
    plans = {name: Experiment.for_method(name, recover={"iterations": 1000}) for name in ("delt", "cda")}
    assert shortening_note({"delt": Experiment()}, EvaluateConfig(), {"delt": 4000}) == ""
    assert shortening_note(plans, EvaluateConfig(), {"delt": 1000, "cda": 1000}) == ""
    said = shortening_note(plans, EvaluateConfig(), {"delt": 4000, "cda": 1000})
    assert said == "Shortened against the papers: MI 1,000 instead of 4,000."
    said = shortening_note(plans, EvaluateConfig(), {"delt": 4000, "cda": 2000})
    assert said == "Shortened against the papers: MI 1,000 instead of 2,000 to 4,000."


def planned(basis: str, *words: str):
    values = compare.make_context("compare", ["--dataset", "colours", *words]).params
    return plan_comparison(("delt", "cda-init", "cda", "sre2l", "rded", "random"), basis, values)


def test_what_is_typed_stands_on_top_of_every_papers_settings(typed) -> None:
    plan = planned("published", "--mi", "40", "--ri", "10", "--r-bn", "0.5", "--criterion", "top", "--mosaic", "2")
    found = {name: one.recover for name, one in plan.experiments.items()}
    made = ("delt", "cda-init", "cda", "sre2l")
    assert [(found[name].iterations, found[name].r_bn) for name in made] == [(40, 0.5)] * 4
    assert [found[name].round_iterations for name in made] == [10, 40, 40, 40]  # pictures of start and end only
    assert [found[name].min_crop for name in made] == [0.08, 0.4, 0.4, 1.0]
    assert [found[name].flip for name in made] == [True, True, True, False]
    patches = {name: (one.select.criterion, one.select.mosaic) for name, one in plan.experiments.items()}
    assert patches == {
        "delt": ("top", 2),
        "cda-init": ("top", 2),
        "cda": ("medium", 1),
        "sre2l": ("medium", 1),
        "rded": ("top", 1),
        "random": ("random", 1),
    }
    assert "On top, for all: --mi 40 --ri 10 --r-bn 0.5 --criterion top --mosaic 2." in plan.notes
    assert plan.origins["cda-init"] == "CDA Table 10b for CIFAR-100"
    assert plan.origins["sre2l"].startswith("SRe2L's published code (recover_cifar.py)")


def test_a_preset_gives_dataset_images_per_class_and_the_training_of_the_students(typed) -> None:
    plan = planned("published", "--preset", "delt-cifar10-ipc1", "--seeds", "2")
    assert {one.recover.ipc for one in plan.experiments.values()} == {1}
    assert {(one.dataset, one.resize) for one in plan.experiments.values()} == {("colours", "published")}
    assert (plan.evaluate.rand_augment, plan.evaluate.seeds, plan.evaluate.epochs) == ("m5-n4-mstd1", 2, 300)
    assert (plan.evaluate.batch_size, plan.evaluate.learning_rate) == (None, None)  # by rule, for every student
    plan = planned("published", "--preset", "cda-tiny-imagenet", "--ipc", "3")
    assert (plan.evaluate.recipe, plan.evaluate.batch_size) == ("cda-tiny-imagenet", 64)
    assert plan.experiments["delt"].recover.ipc == 3


@pytest.mark.parametrize(
    ("basis", "size", "words", "resize", "note"),
    [
        ("published", 224, "", "published", "the short side to 256 px, then the centre, as published."),
        ("published", 64, "", "published", "the short side to 72 px, then the centre, as published."),
        ("published", 224, "--resize whole", "whole", "Squares: whole, where the papers' code takes published."),
        ("published", 32, "", "whole", ""),
        ("published", 32, "--resize published", "published", ""),  # at 32 px it is the same
        ("published", 64, "--preset cda-tiny-imagenet", "published", "72 px, then the centre, as published."),
        ("equal", 64, "--preset cda-tiny-imagenet", "whole", ""),
        ("equal", 64, "--preset delt-tiny-imagenet", "published", ""),
        ("equal", 224, "", "whole", ""),
        ("equal", 224, "--resize published", "published", ""),
    ],
)
def test_pictures_become_squares_as_in_the_papers(typed, monkeypatch, basis, size, words, resize, note) -> None:
    monkeypatch.setattr(compare_plan, "size_of", lambda dataset, image_size=None: size)
    plan = planned(basis, *words.split())
    assert {one.resize for one in plan.experiments.values()} == {resize}
    squares = [one for one in plan.notes if one.startswith("Squares")]
    assert squares == [] if not note else squares[0].endswith(note)


def test_under_equal_settings_methods_differ_in_what_makes_them_only(typed) -> None:
    plan = planned("equal", "--learning-rate", "0.1")
    delt, *others = (plan.experiments[name].recover.model_dump() for name in ("delt", "cda-init", "cda", "sre2l"))
    own = {"method", "early_late", "initialization", "batching", "curriculum", "jitter", "round_iterations"}
    for other in others:
        assert {name for name in delt if delt[name] != other[name]} <= own
        assert (other["iterations"], other["learning_rate"], other["min_crop"]) == (4000, 0.1, 0.08)
    assert plan.notes[0] == "Images: all methods under the same settings, but for what makes each of them."
    assert plan.origins == dict.fromkeys(("delt", "cda-init", "cda", "sre2l"), "the same settings") | {
        "rded": "RDED's published code",
        "random": "",
    }


@pytest.mark.parametrize("basis", ["published", "equal"])
@pytest.mark.parametrize(
    "recover",
    [
        {"ipc": 10},
        {"ipc": 4, "iterations": 40, "round_iterations": 10, "r_bn": 0.5, "flip": False, "pack": 2},
        {"method": "random", "iterations": 0, "round_iterations": 1, "early_late": False, "ipc": 3},
    ],
)
def test_the_apps_command_makes_the_same_comparison(typed, basis, recover) -> None:
    base = Experiment(
        dataset="colours", seed=7, recover=recover, rank={"crops": 2}, select={"criterion": "min", "pinned": (1, 2)}
    )
    methods = ("delt", "cda-init", "sre2l", "random")
    top = taken_over(base, basis, 8)
    _, _, *words = compare_command(base, methods, basis, tuple(top))
    values = compare.make_context("compare", list(words)).params
    assert (values.pop("settings"), values.pop("methods")) == (basis, ",".join(methods))
    plan = plan_comparison(methods, basis, values)
    assert plan.experiments == {name: method_settings(name, base, basis, top, 8).experiment for name in methods}


@pytest.mark.parametrize(("size", "resize"), [(224, "whole"), (224, "published"), (32, "whole")])
def test_the_apps_command_cuts_pictures_as_the_plan_does(typed, monkeypatch, size, resize) -> None:
    monkeypatch.setattr(compare_plan, "size_of", lambda dataset, image_size=None: size)
    _, _, *words = compare_command(Experiment(dataset="colours", image_size=size, resize=resize), ("delt",))
    plan = plan_comparison(("delt",), "published", compare.make_context("compare", list(words)).params)
    assert plan.experiments["delt"].resize == resize
    assert ("--resize" in words) == (size == 224)
