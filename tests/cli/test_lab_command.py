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
