"""``delt continual``: what is printed and kept, that it goes on where it was stopped, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from delt_engine.applications.continual import class_order
from delt_engine.runs.continuals import CONTINUALS

TRAINING = ["--epochs", "1", "--student-batch-size", "16", "--rand-augment", "none"]


def plain(found: dict) -> list:
    """What was measured, without the time it took."""
    return [[{**step, "seconds": 0} for step in one["steps"]] for one in found["results"]]


def test_accuracies_are_printed_kept_found_again_and_gone_on_with(answer, delt, random_run) -> None:
    words = ["continual", random_run, *TRAINING, "--steps", "3", "--orders", "2"]
    found = answer(*words)
    assert found["classes_seen"] == [1, 2, 3]
    assert len(found["accuracies"]) == len(found["accuracies_std"]) == 3
    assert found["accuracies"][0] == 100.0
    for number in range(3):
        tops = [one["steps"][number]["top1"] for one in found["results"]]
        assert found["accuracies"][number] == pytest.approx(sum(tops) / 2)
    names = ("blue", "green", "red")
    for one in found["results"]:
        came = [name for step in one["steps"] for name in step["classes"]]
        assert came == [names[index] for index in class_order(3, one["seed"])]
    assert (found["source"], found["method_title"]) == (random_run, "Random real")
    assert (found["orders"], found["seeds"]) == (2, [0, 1])
    assert found["labels"] == "soft"
    again = answer(*words[:-2])
    assert again["results"] == found["results"][:1]
    path = Path(found["continual"]) / "continual.json"
    record = json.loads(path.read_text())
    record["results"][1]["steps"] = record["results"][1]["steps"][:1]  # as a kill after the first step leaves it
    path.write_text(json.dumps(record))
    half = next(one for one in CONTINUALS.summaries() if one["source"] == random_run)
    assert (half["orders"], len(half["seeds"])) == (1, 2)
    assert plain(answer(*words)) == plain(found)
    shown = delt(*found["command"].split()[1:]).stdout
    assert "Random real" in shown
    assert "step by step: 100.0" in shown


def test_random_real_images_at_the_same_budget_stand_beside(answer, random_run, colours, data) -> None:
    words = ["--steps", "2", *TRAINING, "--labels", "hard"]
    own, real = answer("continual", random_run, *words, "--random-real")
    assert (real["method"], real["ipc"], real["images"], real["source"]) == ("random", 4, 12, "random-real")
    assert own["classes_seen"] == real["classes_seen"] == [2, 3]
    assert (own["labels"], own["teacher"]) == ("hard", None)
    assert own["continual"] != real["continual"]
    assert own["command"].split()[:3] == ["delt", "continual", random_run]
    assert "--labels hard" in own["command"]
    assert "--loss" not in own["command"]
    assert "--random-real" in real["command"]
    folder = answer("continual", colours / "train", *data, *words)
    assert (folder["method"], folder["images"]) == ("folder", 48)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--steps 4", "steps: 4 given, but colours has 3 classes"),
        ("--steps 0", "steps: 0 given"),
        ("--labels soft --recipe hard", "labels: soft given, but the recipe is one for hard labels"),
        ("--steps 2 --student no-such", "'no-such' given, but it must be convnet"),
    ],
)
def test_what_cannot_be_is_said(refusal, random_run, words, sentence) -> None:
    assert sentence in refusal("continual", random_run, *TRAINING, "--quiet", *words.split())
