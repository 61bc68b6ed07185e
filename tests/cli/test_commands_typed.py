"""Each command as it is typed: results for people and for tools, errors as one sentence, exit codes."""

from __future__ import annotations

import errno
import json
import os
import sys

import pytest
from PIL import Image

from delt_engine import __version__, files
from delt_engine.cli import app
from delt_engine.models.card import read_card
from delt_engine.patches.ranking import Ranking
from delt_engine.patches.selection import read_selection
from delt_engine.runs.store import Run, list_runs

pytest_plugins = ["colour_folder"]


def only_json(result) -> dict:
    """The one JSON object on stdout."""
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("\n") == 1
    return json.loads(result.stdout)


def sentence(result, code: int) -> str:
    """The one sentence on stderr, with nothing on stdout."""
    assert result.exit_code == code
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("Error: ")
    assert "Traceback" not in lines[0]
    return lines[0]


def test_version_and_help(delt) -> None:
    assert delt("--version").stdout == f"delt {__version__}\n"
    words = delt("--help").stdout
    names = ("datasets", "squeeze", "rank", "select", "recover", "run", "resume", "cost", "app")
    assert [name for name in names if f"\n  {name} " not in words] == []
    for name in names:
        assert delt(name, "--help").exit_code == 0
    assert "DELT Table 8b" in delt("recover", "--help").stdout


def test_an_unknown_command_or_option_is_a_sentence(delt) -> None:
    assert "dance" in sentence(delt("dance"), 2)
    assert "--speed" in sentence(delt("recover", "--speed", "9"), 2)
    assert "--ipc" in sentence(delt("recover", "--ipc", "many"), 2)
    assert "--method" in sentence(delt("recover", "--method", "magic"), 2)


# cost


def test_cost_of_the_papers_setting(delt) -> None:
    found = only_json(delt("cost", "--classes", 1000, "--ipc", 50, "--mi", 4000, "--ri", 500, "--json"))
    assert found["saved_percent"] == 42.25
    assert found["image_iterations"] == 115_500_000
    assert found["baseline_image_iterations"] == 200_000_000
    assert (found["num_rounds"], found["images"]) == (8, 50_000)
    assert [row["join"] for row in found["rounds"]] == [7, 7, 6, 6, 6, 6, 6, 6]


def test_cost_tells_disk_and_hours(delt) -> None:
    words = ["cost", "--classes", "1000", "--ipc", "50", "--image-size", "224", "--rate", "1000"]
    one, eight = (json.loads(delt(*words, "--ranks", number, "--json").stdout) for number in (1, 8))
    assert one["hours"] == pytest.approx(115_500_000 / 1000 / 3600)
    assert eight["hours"] == pytest.approx(one["hours"] * 63 / 500)  # 500 batches, 63 on the busiest rank
    pixels = 50_000 * 224 * 224 * 3
    assert 0.6 * pixels < one["bytes_without_rounds"] < pixels < one["bytes"] < 9 * pixels
    assert one["checkpoint_bytes"] == 100 * 224 * 224 * 3 * 3 * 4
    said = delt(*words, "--ranks", "8").stdout
    assert "4.0 h on 8 ranks at 1,000 a second each." in said
    assert "without pictures of the rounds" in said
    assert json.loads(delt("cost", "--classes", "3", "--json").stdout)["bytes"] is None
    assert "one of them says it" in delt(*words, "--measure").stderr


def test_cost_takes_the_classes_of_a_dataset(delt, colours) -> None:
    assert only_json(delt("cost", "--dataset", "cifar100", "--json"))["classes"] == 100
    assert only_json(delt("cost", "--dataset", colours, "--json"))["classes"] == 3
    assert only_json(delt("cost", "--json"))["classes"] == 10


def test_cost_refuses_what_cannot_be(delt) -> None:
    words = sentence(delt("cost", "--classes", 10, "--ipc", 10, "--mi", 100, "--ri", 30, "--json"), 2)
    assert "RI = 30" in words
    assert "25 and 50" in words
    assert "classes: 0 given" in sentence(delt("cost", "--classes", 0), 2)
    assert "one of them" in sentence(delt("cost", "--classes", 3, "--dataset", "photos"), 2)
    assert "ipc: 0 given" in sentence(delt("cost", "--ipc", 0), 2)


def test_cost_says_that_ipc_1_has_no_rounds(delt) -> None:
    found = only_json(delt("cost", "--ipc", 1, "--json"))
    assert (found["saved_percent"], found["has_rounds"]) == (0.0, False)
    assert "IPC 1 has no rounds" in found["notes"][0]
    assert "IPC 1 has no rounds" in delt("cost", "--ipc", 1).stdout


# datasets


def test_datasets_are_listed_and_read(delt, colours) -> None:
    entries = only_json(delt("datasets", "--json"))["datasets"]
    assert {"photos", "digits", "cifar10"} <= {entry["name"] for entry in entries}
    assert "photos" in delt("datasets").stdout
    found = only_json(delt("datasets", colours, "--json"))
    assert found["class_names"] == ["blue", "green", "red"]
    assert (found["train_size"], found["test_size"], found["skipped"]) == (48, 24, [])


def test_a_file_that_is_no_image_is_named(delt, tmp_path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(5):
            Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / name / f"{number}.png")
    (tmp_path / "a" / "text.png").write_text("no image")
    found = only_json(delt("datasets", tmp_path, "--json"))
    assert [file["path"] for file in found["skipped"]] == ["a/text.png"]
    assert "skipped a/text.png: " in delt("datasets", tmp_path).stdout


# recover


def test_recover_prints_one_object_and_leaves_a_run(delt, small, tmp_path) -> None:
    found = only_json(delt("recover", *small, "--out", tmp_path / "run", "--json"))
    assert found["run"] == str(tmp_path / "run")
    assert (found["images"], found["num_rounds"], found["image_iterations"]) == (12, 4, 60)
    assert (found["status"], found["baseline_image_iterations"], found["saved_percent"]) == ("finished", 96, 37.5)
    assert found["seconds"] > 0
    run = Run.open(tmp_path / "run")
    assert run.status == "finished"
    assert run.record().command[:3] == ("delt", "recover", "--dataset")
    assert run.record().command[-2:] == ("--out", str(tmp_path / "run"))


def test_recover_without_out_makes_a_run_among_the_users(delt, small, home) -> None:
    result = delt("recover", *small, "--method", "cda")
    assert result.exit_code == 0
    assert "12 images, no rounds, 96 image-iterations (0 % saved)" in result.stdout
    newest = list_runs(home / "runs")[0]
    assert str(newest.path) in result.stdout
    assert newest.experiment.recover.batching == "images"
    assert only_json(delt("recover", *small, "--json"))["run"].startswith(str(home / "runs"))


def test_progress_goes_to_stderr_and_quiet_ends_it(delt, small, tmp_path) -> None:
    result = delt("recover", *small, "--out", tmp_path / "a")
    assert "round 4 of 4" in result.stderr
    assert delt("recover", *small, "--out", tmp_path / "b", "--quiet").stderr == ""


def test_only_what_was_typed_changes_the_methods_settings(delt, small, tmp_path) -> None:
    delt("recover", *small, "--method", "sre2l", "--flip", "--early-late", "--out", tmp_path / "a")
    config = Run.open(tmp_path / "a").experiment.recover
    assert (config.early_late, config.curriculum, config.initialization) == (True, "constant", "noise")


def test_a_folder_in_use_is_refused(delt, small, tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert "is not empty" in sentence(delt("recover", *small, "--out", tmp_path), 1)
    assert "is a file" in sentence(delt("recover", *small, "--out", tmp_path / "notes.txt"), 1)
    assert "a file stands" in sentence(delt("recover", *small, "--out", tmp_path / "notes.txt" / "run"), 1)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    delt("recover", *small, "--out", tmp_path / "run")
    before = (tmp_path / "run" / "run.json").read_bytes()
    assert "holds a recover run that is finished" in sentence(delt("recover", *small, "--out", tmp_path / "run"), 1)
    assert (tmp_path / "run" / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--mi", "8", "--ri", "3"], "RI = 3 given, but it must divide MI = 8"),
        (["--classes", "blue,pink"], "'pink' given, but"),
        (["--ipc", "0"], "ipc: 0 given, but it must be at least 1"),
        (["--ipc", "99"], "has 16 patches, but IPC 99 needs 99"),
        (["--teacher", "nobody"], "'nobody' given, but no teacher has that name"),
        (["--dataset", "nowhere"], "nowhere"),
        (["--device", "abacus"], "device: 'abacus' given"),
        (["--min-crop", "0.9", "--max-crop", "0.5"], "min_crop: 0.9 given"),
    ],
)
def test_wrong_settings_are_one_sentence(delt, small, tmp_path, options, words) -> None:
    result = delt("recover", *small, *options, "--out", tmp_path / "run", "--quiet")
    assert words in sentence(result, 2)
    made = tmp_path / "run"
    assert not made.exists() or Run(made).status == "failed"
    assert not (made / "images").exists()


def test_an_unknown_class_lists_the_classes(delt, small, tmp_path) -> None:
    words = sentence(delt("recover", *small, "--classes", "pink", "--out", tmp_path / "run"), 2)
    assert "blue, green, red" in words
    assert not (tmp_path / "run").exists()


def test_an_empty_folder_is_named(delt, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    words = sentence(delt("recover", "--dataset", tmp_path / "empty", "--out", tmp_path / "run"), 2)
    assert str(tmp_path / "empty") in words
    assert not (tmp_path / "run").exists()


def test_a_teacher_with_other_classes_is_refused(delt, small, home, colours, tmp_path) -> None:
    two = tmp_path / "two"
    for split in ("train", "test"):
        (two / split).mkdir(parents=True)
        for name in ("blue", "green"):
            (two / split / name).symlink_to(colours / split / name)
    (teacher,) = (home / "teachers").iterdir()
    options = [*small, "--dataset", two, "--teacher", teacher, "--out", tmp_path / "run"]
    assert "has 3 classes, but two has 2" in sentence(delt("recover", *options), 2)
    assert not (tmp_path / "run").exists()


def test_a_full_disk_is_one_sentence(delt, small, tmp_path, monkeypatch) -> None:
    def full(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "replace", full)
    monkeypatch.setattr(files.os, "link", full)
    words = sentence(delt("recover", *small, "--out", tmp_path / "run", "--quiet"), 1)
    assert "there is no space left on the disk" in words
    assert not list((tmp_path / "run").iterdir())


def test_a_refusal_of_the_system_anywhere_is_one_sentence(delt, small, tmp_path, monkeypatch) -> None:
    def refused(*args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(tmp_path / "run"))

    monkeypatch.setattr(files, "write_bytes", refused)
    assert "there is no permission" in sentence(delt("recover", *small, "--out", tmp_path / "run", "--quiet"), 1)


def test_ctrl_c_and_pause_leave_130(delt, small, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("delt_engine.jobs.worker.StopRequests.asked", lambda self: "pause")
    result = delt("recover", *small, "--out", tmp_path / "run", "--json")
    assert result.exit_code == 130
    assert json.loads(result.stdout)["status"] == "paused"
    assert result.stderr.startswith("Stopped: run run: it was paused; `delt resume")
    monkeypatch.undo()


def test_resume_goes_on_and_refuses_what_is_finished(delt, small, tmp_path, monkeypatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("delt_engine.jobs.worker.StopRequests.asked", lambda self: "cancel")
        delt("recover", *small, "--out", tmp_path / "run", "--quiet")
    assert Run(tmp_path / "run").status == "cancelled"
    found = only_json(delt("resume", tmp_path / "run", "--json"))
    assert (found["status"], found["images"]) == ("finished", 12)
    assert "it is finished" in sentence(delt("resume", tmp_path / "run"), 1)
    assert "neither a run folder" in sentence(delt("resume", "nobody"), 1)


def test_ipc_1_says_that_it_has_no_rounds(delt, small, tmp_path) -> None:
    result = delt("recover", *small, "--ipc", 1, "--out", tmp_path / "run")
    assert "3 images, no rounds, 24 image-iterations" in result.stdout
    assert "IPC 1 has no rounds" in result.stderr
    assert "IPC 1 has no rounds" in only_json(delt("recover", *small, "--ipc", 1, "--json"))["notes"][0]


def test_a_queued_run_is_worked_on_by_resume_alone(delt, small, tmp_path) -> None:
    from delt_engine.cli.options import read_experiment
    from delt_engine.cli.recover import recover

    experiment = read_experiment(recover.make_context("recover", list(small)).params)
    run = Run.create(tmp_path / "run", experiment, command=["delt", "recover"])
    assert "holds a recover run that is queued" in sentence(delt("recover", *small, "--out", run.path), 1)
    assert only_json(delt("resume", run.path, "--json"))["status"] == "finished"


# run


def test_run_does_a_whole_file(delt, colours, tmp_path, home) -> None:
    (tmp_path / "experiment.yaml").write_text(
        f"dataset: {colours}\nimage_size: 8\ndevice: cpu\n"
        "recover: {method: cda, ipc: 2, iterations: 4, round_iterations: 2}\n"
    )
    found = only_json(delt("run", tmp_path / "experiment.yaml", "--out", tmp_path / "run", "--json"))
    assert (found["method"], found["images"]) == ("cda", 6)
    assert Run(tmp_path / "run").experiment.recover.curriculum == "cosine"


def test_run_squeezes_where_there_is_no_teacher(delt, colours, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    (tmp_path / "experiment.yaml").write_text(
        f"dataset: {colours}\nimage_size: 8\ndevice: cpu\n"
        "squeeze: {network: convnet-3, width: 0.0625, epochs: 4, batch_size: 16, min_crop: 1}\n"
        "recover: {ipc: 2, iterations: 4, round_iterations: 2}\n"
    )
    found = only_json(delt("run", tmp_path / "experiment.yaml", "--json"))
    assert found["images"] == 6
    assert sorted(run.record().kind for run in list_runs(tmp_path / "home" / "runs")) == ["recover", "squeeze"]


def test_run_names_what_is_wrong_in_the_file(delt, tmp_path) -> None:
    (tmp_path / "bad.yaml").write_text("recover: {iterations: 10, round_iterations: 4}\n")
    assert "RI = 4" in sentence(delt("run", tmp_path / "bad.yaml"), 2)
    assert "cannot be read" in sentence(delt("run", tmp_path / "absent.yaml"), 2)


# squeeze, rank, select


def test_squeeze_writes_a_teacher_to_a_file(delt, colours, tmp_path, home, squeeze_options) -> None:
    before = sorted((home / "teachers").iterdir()), list_runs(home / "runs")
    out = tmp_path / "teachers" / "mine.safetensors"
    options = ["--dataset", colours, "--image-size", 8, *squeeze_options, "--out", out]
    found = only_json(delt("squeeze", *options, "--json"))
    assert (found["teacher"], found["name"], found["accuracy"]) == (str(out), "mine", 100.0)
    assert read_card(out).class_names == ("blue", "green", "red")
    assert (sorted((home / "teachers").iterdir()), list_runs(home / "runs")) == before
    assert [path.name for path in out.parent.iterdir()] == ["mine.safetensors"]
    result = delt("squeeze", *options[:-1], tmp_path / "run")
    assert "100.00 % on the test images" in result.stdout
    assert "epoch 4 of 4" in result.stderr
    assert Run(tmp_path / "run").record().kind == "squeeze"


def test_squeeze_refuses_a_place_it_cannot_write_before_it_trains(delt, colours, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "mine.safetensors"
    assert "a file stands" in sentence(delt("squeeze", "--dataset", colours, "--out", out), 1)


def test_rank_shows_quantiles_and_saves(delt, small, tmp_path) -> None:
    words = [*small[:4], "--device", "cpu"]
    found = only_json(delt("rank", *words, "--out", tmp_path / "ranking.npz", "--json"))
    assert found["patches"] == 48
    assert [row["class"] for row in found["classes"]] == ["blue", "green", "red"]
    assert all(row["min"] <= row["q25"] <= row["median"] <= row["q75"] <= row["max"] for row in found["classes"])
    assert len(Ranking.load(tmp_path / "ranking.npz")) == 48
    assert "green" in delt("rank", *words, "--crops", 2, "--classes", "green").stdout
    only_json(delt("rank", *words, "--out", tmp_path / "run", "--json"))
    assert Run(tmp_path / "run").record().kind == "rank"


def test_select_shows_and_exports(delt, small, tmp_path) -> None:
    found = only_json(delt("select", *small[:-2], "--json"))
    assert [(row["class"], row["index"], row["start_round"]) for row in found["patches"][:4]] == [
        ("blue", 0, 1),
        ("blue", 1, 2),
        ("blue", 2, 3),
        ("blue", 3, 4),
    ]
    assert [row["rank"] for row in found["patches"][:4]] == [8, 9, 7, 10]
    assert "train/blue/" in delt("select", *small[:-2], "--criterion", "top").stdout
    result = delt("select", *small[:-2], "--mosaic", 2, "--out", tmp_path / "selection.csv")
    assert "48 patches of 3 classes" in result.stdout
    assert len(read_selection(tmp_path / "selection.csv")) == 12


# app


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        ([], ["--server.headless=true"]),
        (["--port", "8600", "--browser"], ["--server.port=8600", "--server.headless=false"]),
        (["--server.headless=false", "--theme.base=dark"], ["--server.headless=false", "--theme.base=dark"]),
    ],
)
def test_app_hands_over_to_streamlit(delt, monkeypatch, words, flags) -> None:
    handed = []
    monkeypatch.setattr(app.os, "execv", lambda program, command: handed.append(command))
    monkeypatch.setattr(app.os, "chdir", lambda path: handed.append(path))
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert delt("app", *words).exit_code == 0
    root = app.PROJECT
    assert handed == [root, [sys.executable, "-m", "streamlit", "run", str(root / "app.py"), *flags]]


def test_app_that_is_not_there_is_a_sentence(delt, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(app, "PROJECT", tmp_path)
    assert "app.py is not there" in sentence(delt("app"), 1)
