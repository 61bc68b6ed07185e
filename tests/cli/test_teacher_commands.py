"""``delt teachers``: listing, checking, and taking in checkpoints, good and bad ones."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from delt_engine.models.card import read_card, teacher_files
from delt_engine.models.health import find_check


@pytest.fixture
def weights(home, monkeypatch) -> dict:
    """The weights of the teacher that knows the colours."""
    monkeypatch.setenv("DELT_HOME", str(home))
    return load_file(teacher_files()[0][1])


@pytest.fixture
def fitting(colours) -> list[str]:
    return ["--dataset", str(colours), "--image-size", "8", "--network", "convnet-3", "--width", "0.0625"]


def test_teachers_are_listed_and_a_check_is_measured_and_saved(answer, delt, colours) -> None:
    found = answer("teachers")["teachers"]
    assert [card["network"] for card in found if card["dataset"] == "colours"] == ["convnet-3"]
    assert "colours-convnet-3" in delt("teachers").stdout
    done = delt("teachers", "check", "--dataset", colours, "--image-size", "8", "--json", "--progress-json")
    found = json.loads(done.stdout)
    assert (found["accuracy"], found["sample"], found["test_size"], found["verdict"]) == (100.0, 24, 24, "good")
    assert find_check(found["teacher_fingerprint"], found["dataset_fingerprint"]).accuracy == 100.0
    last = json.loads(done.stderr.splitlines()[-1])
    assert last == {"what": "check", "done": 24, "total": 24}


def test_a_checkpoint_is_checked_and_added(delt, fitting, weights, tmp_path) -> None:
    torch.save({"state_dict": {f"module.{key}": value for key, value in weights.items()}}, tmp_path / "my net.pth")
    done = delt("teachers", "add", tmp_path / "my net.pth", *fitting, "--json")
    assert done.exit_code == 0, done.stderr
    card = read_card(json.loads(done.stdout)["path"])
    assert (card.name, card.accuracy, card.source) == ("my-net", 100.0, "added from my net.pth")
    assert "my-net" in dict(teacher_files())
    assert delt("teachers", "add", tmp_path / "my net.pth", *fitting).exit_code == 0, "the same weights again"


def test_a_teacher_of_ours_is_added_for_another_dataset_of_its_classes(
    delt, home, monkeypatch, colours, tmp_path
) -> None:
    monkeypatch.setenv("DELT_HOME", str(home))
    path = teacher_files()[0][1]
    before = read_card(path)
    (tmp_path / "sample").symlink_to(colours, target_is_directory=True)
    words = ("--dataset", tmp_path / "sample", "--image-size", "8", "--name", "for-the-sample")
    done = delt("teachers", "add", path, *words, "--json")
    card = read_card(json.loads(done.stdout)["path"])
    assert (card.dataset, card.accuracy, card.fingerprint) == ("sample", before.accuracy, before.fingerprint)
    assert card.source == f"{before.source}; added from {path.name}"


def test_a_checkpoint_in_another_class_order_is_not_added(delt, fitting, weights, tmp_path) -> None:
    turned = {name: value.roll(1, 0) if name.startswith("classifier") else value for name, value in weights.items()}
    torch.save(turned, tmp_path / "turned.pt")
    done = delt("teachers", "add", tmp_path / "turned.pt", *fitting)
    assert done.exit_code == 2
    assert "class order?" in done.stderr
    assert "It was not added" in done.stderr
    assert "turned" not in dict(teacher_files())


def test_what_could_run_code_or_is_another_teacher_is_refused(delt, fitting, weights, tmp_path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "object.pt")
    assert "can run code, so it was refused" in delt("teachers", "add", tmp_path / "object.pt", *fitting).stderr
    torch.save(weights, tmp_path / "first.pt")
    assert delt("teachers", "add", tmp_path / "first.pt", *fitting, "--name", "taken").exit_code == 0
    other = {key: value + 0.001 if value.is_floating_point() else value for key, value in weights.items()}
    torch.save(other, tmp_path / "second.pt")
    done = delt("teachers", "add", tmp_path / "second.pt", *fitting, "--name", "taken")
    assert "another teacher named taken" in done.stderr


def test_a_zip_of_images_becomes_a_dataset_and_a_bad_one_leaves_nothing(answer, delt, colours, home, tmp_path) -> None:
    packed = shutil.make_archive(str(tmp_path / "my colours"), "zip", colours)
    found = answer("datasets", packed)
    assert (found["root"], found["num_classes"]) == (str(home / "datasets" / "my colours"), 3)
    (tmp_path / "bad.zip").write_bytes(b"no zip")
    done = delt("datasets", tmp_path / "bad.zip")
    assert (done.exit_code, "bad.zip is not a zip, or is damaged" in done.stderr) == (2, True)
    assert [entry.name for entry in (home / "datasets").iterdir()] == ["my colours"]
