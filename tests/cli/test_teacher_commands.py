"""``delt teachers``: listing, checking, and taking in checkpoints, good and bad ones."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from delt_engine.data.catalogue import load_dataset
from delt_engine.models.card import read_card, teacher_files
from delt_engine.models.health import find_check
from delt_engine.models.teachers import load_teacher


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
    assert (card.name, card.accuracy, card.added_from) == ("my-net", 100.0, "my net.pth")
    assert "my-net" in dict(teacher_files())
    assert delt("teachers", "add", tmp_path / "my net.pth", *fitting).exit_code == 0, "the same weights again"


def test_a_teacher_of_ours_is_added_for_another_dataset_of_its_classes(
    delt, home, monkeypatch, colours, tmp_path
) -> None:
    monkeypatch.setenv("DELT_HOME", str(home))
    path = next(path for _, path in teacher_files() if not read_card(path).added_from)
    before = read_card(path)
    (tmp_path / "sample").symlink_to(colours, target_is_directory=True)
    words = ("--dataset", tmp_path / "sample", "--image-size", "8", "--name", "for-the-sample")
    done = delt("teachers", "add", path, *words, "--json")
    card = read_card(json.loads(done.stdout)["path"])
    assert (card.dataset, card.accuracy, card.fingerprint) == ("sample", before.accuracy, before.fingerprint)
    assert (card.source, card.added_from) == (before.source, path.name)


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


def test_published_weights_are_added_without_a_dataset_or_checked_on_one(
    answer, delt, home, colours, monkeypatch
) -> None:
    monkeypatch.setenv("DELT_HOME", str(home))
    network = load_teacher(teacher_files()[0][0], dataset=load_dataset(str(colours), 8))
    made = replace(network, card=replace(network.card, name="made-v1", accuracy=70.0, added_from="torchvision:made"))
    monkeypatch.setattr("delt_engine.models.published_weights.load_published", lambda *_: made)
    found = answer("teachers", "add", "torchvision:made")
    assert (found["teacher"], found["accuracy"], found["sample"]) == ("made-v1", 70.0, 0)
    assert read_card(found["path"]).added_from == "torchvision:made"
    said = delt("teachers", "add", "torchvision:made", "--name", "again").stdout
    assert "convnet-3 with 3 classes, 70.0 % as published; not measured here. Added as again" in " ".join(said.split())
    found = answer("teachers", "add", "torchvision:made", "--dataset", colours, "--image-size", "8")
    assert (found["accuracy"], found["sample"]) == (100.0, 24)
    done = delt("teachers", "add", "torchvision:made", "--dataset", "photos", "--image-size", "8")
    assert "made-v1 has 3 classes, but photos has 10. Leave --dataset out" in " ".join(done.stderr.split())
