"""``delt lab`` as it is typed: what it leaves behind, and what it refuses."""

from __future__ import annotations

import shlex

import pytest

from delt_engine.lab.material import lab_folders, open_lab

SMALL = ("--ipc", 4, "--mi", 8, "--ri", 2, "--start-rounds", "1,3", "--every", 4, "--device", "cpu")


def test_a_lab_is_recorded_and_found_by_the_app(answer, delt, colours) -> None:
    words = ("--title", "Three colours", "--opens-with", "green")
    found = answer("lab", "--dataset", colours, "--image-size", 8, *SMALL, *words)
    assert found["subjects"] == 3
    made = open_lab(lab_folders()["colours"])
    assert str(made.folder) == found["out"]
    assert (made.record.title, made.record.opens_with) == ("Three colours", "green")
    assert made.record.moments == (0, 2, 4, 5, 6, 8)
    for subject in made.record.subjects:
        assert made.tiles(subject.film).shape[:2] == (2, len(made.record.moments))

    # The command that it says makes it again.
    words = shlex.split(made.record.command)
    again = delt(*words[1:], "--out", made.folder.parent / "again", "--device", "cpu", "--quiet")
    assert again.exit_code == 0, again.stderr
    first, second = (open_lab(folder).record for folder in (made.folder, made.folder.parent / "again"))
    assert first.subjects == second.subjects


def test_the_lab_as_one_file_takes_what_is_there(answer, refusal, delt, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("delt_engine.cli.lab._recorded", lambda *_, **__: pytest.fail("nothing is recorded anew"))
    path = tmp_path / "lesson.html"
    found = answer("lab", "--dataset", "cifar10-mini", "--html", path)
    assert (found["path"], found["bytes"]) == (str(path), path.stat().st_size)
    assert len(found["lessons"]) == 4
    assert found["bytes"] <= 8_000_000
    assert found["left_out"] == []
    said = delt("lab", "--html", path, "--out", found["lab"]).stdout
    assert said.startswith("4 lessons, 10 classes, ")
    assert said.rstrip().endswith(str(path))
    assert "is a folder" in refusal("lab", "--html", tmp_path)


def test_a_lab_that_is_not_there_is_recorded_for_its_file(answer, colours, tmp_path) -> None:
    path = tmp_path / "lesson.html"
    words = ("--dataset", colours, "--image-size", 8, *SMALL, "--out", tmp_path / "lab", "--html", path)
    found = answer("lab", *words)
    assert found["lab"] == str(tmp_path / "lab")
    assert found["classes"] == ["blue", "green", "red"]
    assert "No run of CDA" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--start-rounds", "1,9"), "end at 4 at most"),
        (("--start-rounds", "one"), "numbers with commas"),
        (("--ipc", "3"), "at least 4"),
        (("--patches", "9"), "1 to ipc = 4"),
        (("--opens-with", "pink"), "pink"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_computed(refusal, colours, words, said) -> None:
    assert said in refusal("lab", "--dataset", colours, "--image-size", 8, *SMALL, *words)
