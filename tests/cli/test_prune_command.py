"""``delt prune``: what is printed and kept, that an answer is found again, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from delt_engine.applications.slimmed_file import load_slimmed
from delt_engine.models.card import read_card
from delt_engine.runs.prunings import PRUNINGS, networks_dir

NETWORK = ["--network", "convnet-3"]
TRAINING = ["--epochs", "2", "--student-batch-size", "16", "--rand-augment", "none"]


@pytest.fixture
def prune(answer, random_run):
    return lambda *words: answer("prune", random_run, *NETWORK, *TRAINING, *words)


def kept() -> set[str]:
    return {one["pruning"] for one in PRUNINGS.summaries()}


def test_numbers_are_printed_and_kept_and_found_again(prune, delt, random_run) -> None:
    others = kept()
    found = prune("--seeds", "2")
    assert found["before"] == 100.0  # the teacher is such a network itself, so none is trained
    assert not networks_dir().exists()
    assert {"pruned", "finetuned", "kept_percent", "finetuned_std"} <= set(found)
    assert found["kept_percent"] == 50.0
    assert [(layer["channels"], layer["kept"] <= 8) for layer in found["layers"]] == [(8, True)] * 3
    assert found["parameters"]["before"] > found["parameters"]["after"] > 0
    assert found["macs"]["kept_percent"] < 60
    assert (found["source"], found["method_title"], found["seeds"]) == (random_run, "Random real", [0, 1])
    again = prune("--seeds", "1")
    assert (again["created"], again["seeds"]) == (found["created"], [0])
    assert again["results"] == found["results"][:1]
    assert kept() - others == {found["pruning"]}
    network, card = load_slimmed(Path(found["pruning"]) / "network-1.safetensors")
    assert sum(each.numel() for each in network.parameters()) == found["results"][1]["parameters"]["after"]
    assert card.accuracy == found["results"][1]["finetuned"]
    words = found["command"].split()
    assert words[:3] == ["delt", "prune", random_run]
    table = delt(*words[1:]).stdout
    assert "Random real" in table
    assert "Fine-tuned" in table


def test_a_network_that_is_not_there_is_trained_first_and_kept(prune, delt) -> None:
    words = ["--width", "0.125", "--network-epochs", "1"]
    found = prune(*words, "--sparsity-epochs", "0")
    card = read_card(networks_dir() / f"{found['network_name']}.safetensors")
    assert (card.width, card.epochs, card.fingerprint) == (0.125, 1, found["network_fingerprint"])
    assert found["sparse"] == found["before"] == pytest.approx(card.accuracy)
    other = prune(*words, "--percent", "25", "--progress-json")
    assert other["network_fingerprint"] == card.fingerprint
    assert other["kept_percent"] == 75.0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--network resnet18", "network: ResNet given, but slimming needs a chain of convolutions"),
        ("--percent 100", "percent: 100.0 given, but it must be below 100"),
        ("--percent 95", "percent: 95 given, but with 10 % of each layer staying"),
        ("--checkpoint nobody", "checkpoint: 'nobody' given"),
        ("--network no-such", "network: 'no-such' given"),
    ],
)
def test_what_cannot_be_is_said(refusal, random_run, words, sentence) -> None:
    assert sentence in refusal("prune", random_run, *NETWORK, "--epochs", "1", "--quiet", *words.split())


def test_images_of_some_classes_are_refused(refusal, delt, colours, random_run, tmp_path) -> None:
    made = delt(
        "recover",
        "--dataset",
        colours,
        "--image-size",
        8,
        "--method",
        "random",
        "--ipc",
        2,
        "--classes",
        "red,blue",
        "--device",
        "cpu",
        "--out",
        tmp_path / "two",
        "--quiet",
    )
    assert made.exit_code == 0, made.stderr
    assert "has 2 of the 3 classes of colours" in refusal("prune", tmp_path / "two", *NETWORK, "--quiet")


def test_real_images_and_folders_are_pruned_on_as_well(answer, delt, data, colours, tmp_path) -> None:
    words = ["prune", "real", colours / "train", *data, *NETWORK, *TRAINING, "--recipe", "hard", "--quiet"]
    real, folder = answer(*words)
    assert (real["method"], real["images"], real["teacher"]) == ("real", 48, None)
    assert (folder["method"], folder["images"]) == ("folder", 48)
    assert real["pruning"] != folder["pruning"]  # the same images, but of another source
