"""Each command as it is typed: results for people and for tools, errors as one sentence, exit codes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys

import pytest

from delt_engine import __version__, files
from delt_engine.cli import app
from delt_engine.models.card import read_card
from delt_engine.patches.ranking import Ranking
from delt_engine.patches.selection import read_selection
from delt_engine.runs.store import Run, list_runs


def test_version_and_help(delt) -> None:
    assert delt("--version").stdout == f"delt {__version__}\n"
    words = delt("--help").stdout
    for name in ("datasets", "squeeze", "rank", "select", "recover", "run", "resume", "cost", "app"):
        assert f"\n  {name} " in words
        assert delt(name, "--help").exit_code == 0
    assert "DELT Table 8b" in delt("recover", "--help").stdout


@pytest.mark.parametrize("words", ["dance", "recover --speed 9", "recover --ipc many", "recover --method magic"])
def test_an_unknown_command_or_option_is_a_sentence(refusal, words) -> None:
    assert words.split()[-2:][0] in refusal(*words.split())


# cost


def test_cost_of_the_papers_setting_and_of_one_image(answer, delt) -> None:
    found = answer("cost", "--classes", 1000, "--ipc", 50, "--mi", 4000, "--ri", 500)
    assert (found["image_iterations"], found["baseline_image_iterations"]) == (115_500_000, 200_000_000)
    assert (found["saved_percent"], found["num_rounds"], found["images"]) == (42.25, 8, 50_000)
    assert [row["join"] for row in found["rounds"]] == [7, 7, 6, 6, 6, 6, 6, 6]
    found = answer("cost", "--ipc", 1)
    assert (found["saved_percent"], found["has_rounds"]) == (0.0, False)
    assert "IPC 1 has no rounds" in found["notes"][0]
    assert "IPC 1 has no rounds" in delt("cost", "--ipc", 1).stdout


def test_cost_tells_disk_and_hours(answer, delt) -> None:
    words = ["cost", "--classes", "1000", "--ipc", "50", "--image-size", "224", "--rate", "1000"]
    one, eight = (answer(*words, "--ranks", number) for number in (1, 8))
    assert one["hours"] == pytest.approx(115_500_000 / 1000 / 3600)
    assert eight["hours"] == pytest.approx(one["hours"] * 63 / 500)  # 500 batches, 63 on the busiest rank
    pixels = 50_000 * 224 * 224 * 3
    assert 0.6 * pixels < one["bytes_without_rounds"] < pixels < one["bytes"] < 9 * pixels
    assert one["checkpoint_bytes"] == 100 * 224 * 224 * 3 * 3 * 4
    said = delt(*words, "--ranks", "8").stdout
    assert "4.0 h on 8 ranks at 1,000 a second each." in said
    assert "without pictures of the rounds" in said
    assert answer("cost", "--classes", "3")["bytes"] is None
    look = ["cost", "--dataset", "photos", "--rate", "1000", "--bn-targets", "class"]
    assert answer(*look)["targets_seconds"] == 2.5  # half an image-iteration for each of 5,000 training images
    assert "one look at the training images" in delt(*look).stdout
    assert "one of them says it" in delt(*words, "--measure").stderr


def test_cost_takes_the_classes_of_a_dataset_and_refuses_what_cannot_be(answer, refusal, colours) -> None:
    assert [answer("cost", "--dataset", name)["classes"] for name in ("cifar100", colours)] == [100, 3]
    assert answer("cost")["classes"] == 10
    words = refusal("cost", "--classes", 10, "--ipc", 10, "--mi", 100, "--ri", 30, "--json")
    assert "RI = 30" in words
    assert "25 and 50" in words
    assert "classes: 0 given" in refusal("cost", "--classes", 0)
    assert "one of them" in refusal("cost", "--classes", 3, "--dataset", "photos")


# datasets


def test_datasets_are_listed_and_read_and_a_file_that_is_no_image_is_named(answer, delt, colours, tmp_path) -> None:
    entries = answer("datasets")["datasets"]
    assert {"photos", "digits", "cifar10"} <= {entry["name"] for entry in entries}
    assert "photos" in delt("datasets").stdout
    found = answer("datasets", colours)
    assert found["class_names"] == ["blue", "green", "red"]
    assert (found["train_size"], found["test_size"], found["skipped"]) == (48, 24, [])
    copy = shutil.copytree(colours, tmp_path / "copy")
    (copy / "train" / "red" / "text.png").write_text("no image")
    assert [file["path"] for file in answer("datasets", copy)["skipped"]] == ["train/red/text.png"]
    assert "skipped train/red/text.png: " in delt("datasets", copy).stdout


# rank


def test_a_ranking_goes_out_as_a_table_and_ranks_for_other_commands(answer, delt, refusal, data, tmp_path) -> None:
    table, (dataset, *rest) = tmp_path / "ranks.csv", data[1:]
    made = answer("rank", "--dataset", dataset, *rest, "--csv", table)
    assert made["csv"] == str(table)
    taken = answer("rank", "--dataset", dataset, *rest, "--import", table)
    assert taken["imported"] == {"rows": 48, "other_classes": 0, "unknown": 0, "unranked": 0}
    assert (taken["classes"], taken["teacher"]) == (made["classes"], "imported from ranks.csv")
    words = ["--dataset", dataset, *rest, "--ipc", 3, "--mi", 8, "--ri", 8]
    assert answer("select", *words, "--ranker", table)["patches"] == answer("select", *words)["patches"]
    said = delt("rank", "--dataset", dataset, *rest, "--import", table).stdout
    assert f"48 of 48 rows are images of colours. Other commands take it with --ranker {table}." in said
    found = answer("recover", *words, "--ranker", table, "--out", tmp_path / "run")
    assert found["ranker"] == "imported from ranks.csv"
    command = Run.open(tmp_path / "run").record().command
    assert command[command.index("--ranker") + 1] == str(table)
    (tmp_path / "other.csv").write_text("score,img_path,class\n0.5,cat/1.png,cat\n")
    assert "none of the 1 images in" in refusal("recover", *words, "--ranker", tmp_path / "other.csv")
    assert "none of the 1 images in" in refusal("rank", *words[:6], "--import", tmp_path / "other.csv")
    assert "--import says which ranking it is" in refusal("rank", *words[:6], "--import", table, "--ranker", "auto")
    assert "--crops 0" in refusal("select", *words, "--ranker", table, "--crops", 2)


# recover


def test_recover_prints_one_object_and_leaves_a_run(answer, small, tmp_path) -> None:
    found = answer("recover", *small, "--out", tmp_path / "run")
    assert (found["run"], found["status"]) == (str(tmp_path / "run"), "finished")
    assert (found["images"], found["num_rounds"], found["image_iterations"]) == (12, 4, 60)
    assert (found["baseline_image_iterations"], found["saved_percent"]) == (96, 37.5)
    assert found["seconds"] > 0
    run = Run.open(tmp_path / "run")
    assert run.status == "finished"
    command = run.record().command
    assert (command[:3], command[-2:]) == (("delt", "recover", "--dataset"), ("--out", str(tmp_path / "run")))


def test_recover_without_out_makes_a_run_of_the_methods_settings_among_the_users(delt, small, home) -> None:
    result = delt("recover", *small, "--method", "cda")
    assert result.exit_code == 0
    assert "12 images, no rounds, 96 image-iterations (0 % saved)" in result.stdout
    newest = list_runs(home / "runs")[0]
    assert str(newest.path) in result.stdout
    assert newest.experiment.recover.batching == "one-per-class"
    delt("recover", *small, "--method", "sre2l", "--flip", "--early-late")  # only what is typed changes
    config = list_runs(home / "runs")[0].experiment.recover
    assert (config.early_late, config.curriculum, config.initialization) == (True, "constant", "noise")


def test_g_vbsm_needs_teachers_of_two_kinds_or_named_ones(answer, refusal, small, home, tmp_path) -> None:
    said = refusal("recover", *small, "--method", "gvbsm")
    assert "is the only network for" in said
    assert "delt squeeze" in said
    assert "delt recovers from one teacher" in refusal("recover", *small, "--teachers", "a,b")
    file = next((home / "teachers").glob("*.safetensors"))
    found = answer("recover", *small, "--method", "gvbsm", "--teachers", file, "--out", tmp_path / "run")
    assert (found["method"], found["images"], found["image_iterations"]) == ("gvbsm", 12, 96)
    assert "committee" not in found  # one alone
    command = Run.open(tmp_path / "run").record().command
    assert command[command.index("--teachers") + 1] == str(file)


@pytest.mark.parametrize("method", ["dm", "dc"])
def test_batches_of_real_images_are_matched_by_a_typed_command(answer, refusal, small, tmp_path, method) -> None:
    words = ["recover", *small, "--method", method, "--real-batch", "4", "--matching-width", "4"]
    assert f"{method} computes in float32" in refusal(*words, "--precision", "bfloat16")
    found = answer(*words, "--network-epochs", "1", "--out", tmp_path / "run")
    assert (found["method"], found["images"], found["image_iterations"]) == (method, 12, 96)
    assert {"predicted_mb", "measured_mb"} <= set(found["memory"])


def test_progress_goes_to_stderr_and_quiet_ends_it_and_ipc_1_has_no_rounds(answer, delt, small, tmp_path) -> None:
    assert "round 4 of 4" in delt("recover", *small, "--out", tmp_path / "a").stderr
    assert delt("recover", *small, "--out", tmp_path / "b", "--quiet").stderr == ""
    result = delt("recover", *small, "--ipc", 1, "--out", tmp_path / "c")
    assert "3 images, no rounds, 24 image-iterations" in result.stdout
    assert "IPC 1 has no rounds" in result.stderr
    assert "IPC 1 has no rounds" in answer("recover", *small, "--ipc", 1)["notes"][0]


def test_a_folder_in_use_is_refused(refusal, delt, small, tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert "is not empty" in refusal("recover", *small, "--out", tmp_path, code=1)
    assert "is a file" in refusal("recover", *small, "--out", tmp_path / "notes.txt", code=1)
    assert "a file stands" in refusal("recover", *small, "--out", tmp_path / "notes.txt" / "run", code=1)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    delt("recover", *small, "--out", tmp_path / "run")
    before = (tmp_path / "run" / "run.json").read_bytes()
    assert "holds a recover run that is finished" in refusal("recover", *small, "--out", tmp_path / "run", code=1)
    assert (tmp_path / "run" / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--mi 8 --ri 3", "RI = 3 given, but it must divide MI = 8"),
        ("--classes blue,pink", "'pink' given, but"),
        ("--classes pink", "blue, green, red"),
        ("--ipc 0", "ipc: 0 given, but it must be at least 1"),
        ("--ipc 99", "has 16 patches, but IPC 99 needs 99"),
        ("--teacher nobody", "'nobody' given, but no teacher has that name"),
        ("--dataset nowhere", "nowhere"),
        ("--device abacus", "device: 'abacus' given"),
        ("--min-crop 0.9 --max-crop 0.5", "min_crop: 0.9 given"),
    ],
)
def test_wrong_settings_are_one_sentence(refusal, small, tmp_path, options, words) -> None:
    made = tmp_path / "run"
    assert words in refusal("recover", *small, *options.split(), "--out", made, "--quiet")
    assert not made.exists() or Run(made).status == "failed"
    assert not (made / "images").exists()


def test_a_teacher_with_other_classes_is_refused(refusal, small, home, colours, tmp_path) -> None:
    two = tmp_path / "two"
    for split in ("train", "test"):
        (two / split).mkdir(parents=True)
        for name in ("blue", "green"):
            (two / split / name).symlink_to(colours / split / name)
    (teacher,) = (home / "teachers").iterdir()
    options = [*small, "--dataset", two, "--teacher", teacher, "--out", tmp_path / "run"]
    assert "has 3 classes, but two has 2" in refusal("recover", *options)
    assert not (tmp_path / "run").exists()


def test_what_the_disk_or_the_system_refuses_is_one_sentence(refusal, small, tmp_path, monkeypatch) -> None:
    def refuse(number: int):
        def refused(*args, **kwargs):
            raise OSError(number, os.strerror(number), str(tmp_path / "run"))

        return refused

    words = ("recover", *small, "--out", tmp_path / "run", "--quiet")
    with monkeypatch.context() as patched:
        for name in ("replace", "link"):
            patched.setattr(files.os, name, refuse(errno.ENOSPC))
        assert "there is no space left on the disk" in refusal(*words, code=1)
    assert not list((tmp_path / "run").iterdir())
    monkeypatch.setattr(files, "write_bytes", refuse(errno.EACCES))
    assert "there is no permission" in refusal(*words, code=1)


def test_a_paused_run_leaves_75_and_resume_goes_on_and_refuses_what_is_finished(
    answer, refusal, delt, small, tmp_path, monkeypatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("delt_engine.jobs.worker.StopRequests.asked", lambda self: "pause")
        result = delt("recover", *small, "--out", tmp_path / "run", "--json")
    assert (result.exit_code, json.loads(result.stdout)["status"]) == (75, "paused")
    assert result.stderr.startswith("Stopped: run run: it was paused; `delt resume")
    found = answer("resume", tmp_path / "run")
    assert (found["status"], found["images"]) == ("finished", 12)
    assert "it is finished" in refusal("resume", tmp_path / "run", code=1)
    assert "neither a run folder" in refusal("resume", "nobody", code=1)


def test_a_signal_while_it_starts_leaves_no_half_run(answer, delt, small, tmp_path, monkeypatch) -> None:
    def loading(*_args) -> None:
        signal.raise_signal(signal.SIGTERM)  # it does not listen for stop requests yet

    with monkeypatch.context() as patched:
        patched.setattr("delt_engine.cli.recover.made", loading)
        result = delt("recover", *small, "--out", tmp_path / "none")
    assert (result.exit_code, (tmp_path / "none").exists()) == (75, False)
    assert result.stderr == "Stopped: SIGTERM came before there was work to lose; the same command begins again.\n"
    with monkeypatch.context() as patched:
        patched.setattr("delt_engine.pipeline.run.run_experiment", loading)
        result = delt("recover", *small, "--out", tmp_path / "run")
    assert result.exit_code == 75
    assert result.stderr.startswith("Stopped: run run: it was paused; `delt resume")
    assert Run(tmp_path / "run").status == "paused"
    assert answer("resume", tmp_path / "run")["status"] == "finished"


def test_a_queued_run_is_worked_on_by_resume_alone(answer, refusal, small, tmp_path) -> None:
    from delt_engine.cli.options import read_experiment
    from delt_engine.cli.recover import recover

    experiment = read_experiment(recover.make_context("recover", list(small)).params)
    run = Run.create(tmp_path / "run", experiment, command=["delt", "recover"])
    assert "holds a recover run that is queued" in refusal("recover", *small, "--out", run.path, code=1)
    assert answer("resume", run.path)["status"] == "finished"


# run


def test_squeeze_writes_a_teacher_to_a_file(answer, refusal, delt, colours, tmp_path, home, squeeze_options) -> None:
    before = sorted((home / "teachers").iterdir()), list_runs(home / "runs")
    out = tmp_path / "teachers" / "mine.safetensors"
    options = ["--dataset", colours, "--image-size", 8, *squeeze_options, "--out"]
    found = answer("squeeze", *options, out)
    assert (found["teacher"], found["name"], found["accuracy"]) == (str(out), "mine", 100.0)
    assert read_card(out).class_names == ("blue", "green", "red")
    assert (sorted((home / "teachers").iterdir()), list_runs(home / "runs")) == before
    assert [path.name for path in out.parent.iterdir()] == ["mine.safetensors"]
    result = delt("squeeze", *options, tmp_path / "run")
    assert "100.00 % on the test images" in result.stdout
    assert "epoch 4 of 4" in result.stderr
    assert Run(tmp_path / "run").record().kind == "squeeze"
    assert "a file stands" in refusal("squeeze", *options, out / "mine.safetensors", code=1)


def test_rank_shows_quantiles_and_saves(answer, delt, data, tmp_path) -> None:
    found = answer("rank", *data, "--out", tmp_path / "ranking.npz")
    assert found["patches"] == 48
    assert [row["class"] for row in found["classes"]] == ["blue", "green", "red"]
    assert all(row["min"] <= row["q25"] <= row["median"] <= row["q75"] <= row["max"] for row in found["classes"])
    assert len(Ranking.load(tmp_path / "ranking.npz")) == 48
    assert "green" in delt("rank", *data, "--crops", 2, "--classes", "green").stdout
    answer("rank", *data, "--out", tmp_path / "run")
    assert Run(tmp_path / "run").record().kind == "rank"


def test_select_shows_and_exports(answer, delt, small, tmp_path) -> None:
    first = answer("select", *small[:-2])["patches"][:4]
    assert [(row["class"], row["index"], row["start_round"]) for row in first] == [("blue", i, i + 1) for i in range(4)]
    assert [row["rank"] for row in first] == [8, 9, 7, 10]
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
def test_app_hands_over_to_streamlit_if_it_is_there(delt, refusal, monkeypatch, tmp_path, words, flags) -> None:
    handed, script = [], app.studio_dir() / "app.py"
    monkeypatch.setattr(app.os, "execv", lambda program, command: handed.append(command))
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert delt("app", *words).exit_code == 0
    assert handed == [[sys.executable, "-P", "-m", "streamlit", "run", str(script), *flags]]
    monkeypatch.setattr(app, "studio_dir", lambda: tmp_path)
    assert "app.py is not there" in refusal("app", code=1)
