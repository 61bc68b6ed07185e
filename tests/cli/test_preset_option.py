"""``--preset``: a paper's settings as the ground on which what is typed stands, and what it says of itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from small_pictures import flat
from some_card import write_card

from delt_engine.cli import run
from delt_engine.cli.evaluate import read_evaluation
from delt_engine.cli.options import read_experiment, read_training
from delt_engine.cli.presets import presets_told
from delt_engine.data.class_lists import class_titles
from delt_engine.papers.presets import PRESETS
from delt_engine.runs.sources import find_source
from delt_engine.runs.store import Run


def test_recover_starts_from_the_preset_and_says_what_it_changes(answer, delt, small, tmp_path) -> None:
    found = answer("recover", "--preset", "cda-cifar100", *small, "--out", tmp_path / "run")
    recover = Run.open(tmp_path / "run").experiment.recover
    assert (recover.method, recover.min_crop, recover.initialization) == ("cda", 0.4, "noise")
    assert (recover.ipc, recover.iterations, recover.round_iterations) == (4, 8, 2)  # typed
    assert found["preset"]["name"] == "cda-cifar100"
    rows = {row["setting"]: row for row in found["preset"]["changes"]}
    assert rows["recover.iterations"] == {
        "setting": "recover.iterations",
        "default": 4000,
        "value": 1000,
        "origin": "CDA Table 10b",
    }
    assert not [name for name in rows if name.startswith(("squeeze.", "evaluate."))]
    lines = delt("recover", "--preset", "cda-cifar100", *small, "--out", tmp_path / "again").stdout.splitlines()
    assert "preset: recover.min_crop 0.08 -> 0.4 (CDA Appendix B.1 and Table 11)" in lines
    quiet = delt("recover", "--preset", "cda-cifar100", *small, "--out", tmp_path / "quiet", "--quiet").stdout
    assert "preset:" not in quiet


def test_squeeze_and_evaluate_take_their_stages_of_the_preset(answer, small, data, tmp_path) -> None:
    options = ["--network", "convnet-3", "--width", "0.0625", "--epochs", "1", "--batch-size", "16"]
    words = ["squeeze", "--preset", "cda-imagenet-21k", *data, *options, "--no-keep-teacher"]
    words += ["--out", tmp_path / "teacher"]
    changed = {row["setting"] for row in answer(*words)["preset"]["changes"]}
    assert {"squeeze.cutout", "squeeze.label_smoothing", "experiment.dataset"} <= changed
    squeeze = Run.open(tmp_path / "teacher").experiment.squeeze
    assert (squeeze.optimizer, squeeze.cutout, squeeze.label_smoothing, squeeze.epochs) == ("adam", 0.5, 0.2, 1)

    answer("recover", *small, "--out", tmp_path / "run")
    student = ["--student", "convnet-3", "--student-width", "0.0625", "--epochs", "1"]
    words = ["evaluate", tmp_path / "run", "--preset", "cda-tiny-imagenet", *student, "--out", tmp_path / "students"]
    found = answer(*words)
    assert found["recipe"] == "cda-tiny-imagenet"
    assert found["changes"] == {"epochs": [100, 1]}
    evaluate = Run.open(tmp_path / "students").experiment.evaluate
    assert (evaluate.optimizer, evaluate.learning_rate, evaluate.loss, evaluate.batch_size) == ("sgd", 0.2, "kl-t2", 64)
    assert {row["setting"] for row in found["preset"]["changes"]} >= {"evaluate.optimizer", "evaluate.epochs"}


def test_a_file_stands_on_top_of_a_preset_and_its_students_are_trained(answer, refusal, colours, tmp_path) -> None:
    small = {"epochs": 1, "student": "convnet-3", "student_width": 0.0625}
    file = {"dataset": str(colours), "image_size": 8, "recover": {"iterations": 8, "round_iterations": 2}}
    (tmp_path / "file.yaml").write_text(json.dumps({**file, "device": "cpu", "evaluate": small}))
    words = ["run", tmp_path / "file.yaml", "--preset", "delt-cifar10", "--ipc", "4", "--seeds", "2"]
    found = answer(*words, "--out", tmp_path / "run")
    assert found["preset"]["name"] == "delt-cifar10"
    experiment = Run.open(tmp_path / "run").experiment
    assert (experiment.recover.ipc, experiment.recover.iterations, experiment.resize) == (4, 8, "published")
    assert (found["evaluate"]["student"], found["evaluate"]["epochs"], len(found["evaluate"]["seeds"])) == (
        *("convnet-3", 1, 2),
    )
    students = Run.open(tmp_path / "run-students").experiment.evaluate
    assert (students.recipe, students.rand_augment, students.labels) == ("delt", "m5-n4-mstd1", "on-the-fly")
    assert "experiment: nothing given, but it needs a file" in refusal("run")


def test_images_per_class_and_networks_decide_what_the_preset_is() -> None:
    one = read_experiment({"preset": "delt-cifar10", "recover__ipc": 1})
    assert (one.dataset, one.recover.iterations, one.evaluate.batch_size) == ("cifar10", 2000, 10)
    dense = read_experiment({"preset": "cda-imagenet-1k", "squeeze__network": "densenet121"})
    assert (dense.recover.learning_rate, dense.recover.iterations) == (0.5, 1000)
    assert dense.teacher == "imagenet-1k-densenet121-224px"
    conv = read_experiment({"preset": "delt-imagenette-ipc1-convnet-5"})
    assert (conv.image_size, conv.recover.iterations, conv.squeeze.network) == (128, 4000, "convnet-5")
    assert (conv.teacher, conv.ranker) == ("imagenette-convnet-5-128px", "imagenette-resnet18-128px")
    other = read_experiment({"preset": "delt-imagenette-ipc1-convnet-5", "experiment__dataset": "photos"})
    assert (other.dataset, other.teacher, other.ranker) == ("photos", "auto", "")  # its own know other classes
    assert read_training({"preset": "delt-cifar10"}).learning_rate is None  # by rule, for every student
    assert read_training({"preset": "cda-cifar100"}, ipc=50).batch_size == 8


def test_the_network_of_a_teacher_decides_what_the_preset_is(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(tmp_path))
    write_card(tmp_path / "teachers" / "densenet121-imagenet1k_v1.safetensors", network="densenet121")
    resnet50 = write_card(tmp_path / "elsewhere" / "mine.safetensors", network="resnet50")
    dense = {"preset": "cda-imagenet-1k", "experiment__teacher": "densenet121-imagenet1k_v1"}
    found = read_experiment(dense)
    assert (found.recover.learning_rate, found.recover.iterations) == (0.5, 1000)  # CDA Table 16d
    assert found.teacher == "densenet121-imagenet1k_v1"
    of_21k = {"preset": "cda-imagenet-21k", "experiment__teacher": str(resnet50)}
    assert read_experiment(of_21k).recover.learning_rate == 0.1  # CDA Table 21c
    assert read_experiment({"preset": "cda-imagenet-21k"}).recover.learning_rate == 0.05
    assert read_experiment({**dense, "experiment__teacher": "nobody"}).recover.iterations == 4000
    assert read_experiment({**dense, "squeeze__network": "resnet18"}).recover.iterations == 4000
    (tmp_path / "file.json").write_text('{"teacher": "densenet121-imagenet1k_v1"}')
    planned = run._read(tmp_path / "file.json", "cda-imagenet-1k", {}).experiment
    assert (planned.recover.learning_rate, planned.recover.iterations) == (0.5, 1000)


def test_students_of_a_run_are_trained_for_the_network_of_its_teacher(delt, random_run) -> None:
    asked = {"preset": "sre2l-imagenet-1k"}
    assert read_training(asked).recipe == "sre2l"
    source = find_source(random_run)  # its teacher is a ConvNet-3, which published code shows 64 px
    assert read_evaluation(source, asked).evaluate.recipe == "sre2l-tiny-imagenet"


def test_the_whole_real_set_is_shown_as_the_preset_shows_it() -> None:
    asked = {"preset": "delt-imagenette-ipc1-convnet-5"}
    found = read_evaluation(find_source("real"), asked)
    assert (found.dataset, found.image_size, found.resize) == ("imagenette", 128, "published")
    assert read_evaluation(find_source("real"), {**asked, "experiment__resize": "whole"}).resize == "whole"


def test_the_card_of_a_teacher_is_read_without_torch() -> None:
    words = "from delt_engine.cli.options import read_experiment as read; import sys; "
    words += "read({'preset': 'cda-cifar100', 'experiment__teacher': 'photos'}); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", words], check=True, timeout=60)


def test_what_a_preset_cannot_be_is_a_sentence(refusal, delt) -> None:
    said = refusal("recover", "--preset", "delt-cifar")
    assert "preset: 'delt-cifar' given, but did you mean 'delt-cifar10'?" in said
    assert f"`delt recover --help` lists all {len(PRESETS)}." in said
    listed = "".join(delt("recover", "--help").stdout.split())
    assert all(f"{name}," in listed or f"{name}." in listed for name in PRESETS)
    said = refusal("recover", "--preset", "delt-cifar10", "--method", "cda")
    assert "method: 'cda' given, but the preset itself says 'delt'" in said
    for command in (
        *("squeeze", "rank", "select", "recover", "evaluate", "relabel", "run", "compare"),
        *("ablate", "cost", "continual", "prune"),
    ):
        assert "sre2l-imagenet-1k" in " ".join(delt(command, "--help").stdout.split())


@pytest.mark.parametrize("preset", ["delt-cifar10", "sre2l-cifar100"])
def test_what_is_typed_stands_on_top(preset) -> None:
    plain = read_experiment({"preset": preset})
    typed = read_experiment({"preset": preset, "recover__learning_rate": 0.3, "experiment__seed": 7})
    assert (typed.recover.learning_rate, typed.seed) == (0.3, 7)
    assert typed.recover.replace(learning_rate=plain.recover.learning_rate) == plain.recover


def test_an_imported_ranking_ranks_in_the_place_of_a_presets_ranker(answer, refusal, monkeypatch, tmp_path) -> None:
    folders = [folder for folder, _ in class_titles("imagenet-100")]
    for number, folder in enumerate(folders):
        for split in ("train", "val"):
            flat(tmp_path / "data" / "imagenet-100" / split / folder / f"{folder}_1.JPEG", (number, 0, 0))
    monkeypatch.setenv("DELT_DATA", str(tmp_path / "data"))
    rows = [f"0.5,{folder}/{folder}_1.JPEG,{folder}" for folder in [*folders, "n99999999"]]  # of ImageNet-1K's
    (tmp_path / "ranks.csv").write_text("\n".join(["score,img_path,class", *rows]))
    words = ["rank", "--preset", "delt-imagenet-100", "--image-size", "8", "--import", tmp_path / "ranks.csv"]
    found = answer(*words)
    assert found["imported"] == {"rows": 101, "other_classes": 1, "unknown": 0, "unranked": 0}
    assert found["teacher"] == "imported from ranks.csv"
    said = refusal(*words, "--ranker", "imagenet-1k-resnet18-224px")
    assert "ranker: 'imagenet-1k-resnet18-224px' given, but --import says which ranking it is." in said


def test_a_cost_is_that_of_a_presets_recovery(answer, delt) -> None:
    found = answer("cost", "--preset", "cda-cifar100")
    # 100 classes, 10 images each, 1,000 iterations (CDA Table 10b)
    assert (found["classes"], found["image_iterations"], found["image_size"]) == (100, 1_000_000, 32)
    assert {row["setting"] for row in found["preset"]["changes"]} >= {"recover.method", "recover.iterations"}
    assert "recover.learning_rate" not in {row["setting"] for row in found["preset"]["changes"]}  # it costs nothing
    found = answer("cost", "--preset", "delt-imagenet-1k-convnet-4", "--classes", "3", "--mi", "2000")
    assert (found["classes"], found["iterations"], found["image_size"]) == (3, 2000, 64)
    assert (
        "preset: recover.iterations 4,000 -> 1,000 (CDA Table 10b)" in delt("cost", "--preset", "cda-cifar100").stdout
    )


def test_of_several_runs_each_is_told_its_own_changes_and_what_is_alike_is_said_once(capsys) -> None:
    known = [{"ipc": 10}, {"ipc": 50}, {"ipc": 10}]
    ten, fifty, again = presets_told({"preset": "delt-cifar10"}, ("evaluate",), known, silent=False)
    batches = [row["value"] for one in (ten, fifty) for row in one["preset"]["changes"] if "batch" in row["setting"]]
    assert (batches, again) == ([50, 100], ten)  # DELT Table 8a
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(" (")[0] for line in said if "batch" in line] == [
        "preset: evaluate.batch_size by rule -> 50",
        "preset: evaluate.batch_size by rule -> 100",
    ]
    assert len(said) == len(set(said)) == len(ten["preset"]["changes"]) + 1
    assert presets_told({}, ("evaluate",), known, silent=False) == [{}, {}, {}]


def test_continual_learning_and_pruning_train_as_the_preset_does(answer, refusal, random_run) -> None:
    preset = ["--preset", "cda-tiny-imagenet"]
    found = answer("continual", random_run, *preset, "--epochs", "1", "--steps", "1")
    words = found["command"].split()
    assert words[words.index("--recipe") + 1] == "cda-tiny-imagenet"
    changed = {row["setting"] for row in found["preset"]["changes"]}
    assert {"evaluate.optimizer", "evaluate.epochs"} <= changed
    pruned = ["--network", "convnet-3", "--epochs", "1"]
    found = answer("prune", random_run, *preset, *pruned)
    words = found["command"].split()
    assert words[words.index("--recipe") + 1] == "cda-tiny-imagenet"
    changed = {row["setting"] for row in found["preset"]["changes"]}
    assert "evaluate.optimizer" in changed
    assert "evaluate.epochs" not in changed  # pruning has its own
    said = refusal("prune", random_run, "--preset", "fast")
    assert "preset: 'fast' given, but it sets MI and RI of a recovery" in said
