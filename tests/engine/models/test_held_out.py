"""Second networks: which one is taken, that auto never takes one as the teacher, and the command that makes one."""

import os
import shutil
from pathlib import Path

import pytest

from delt_engine.errors import CheckpointError
from delt_engine.models.card import find_teacher, read_card
from delt_engine.models.held_out import command, find_second, second_dir
from delt_engine.paths import assets_dir, teachers_dir

SHIPPED = assets_dir() / "second"
PHOTOS = read_card(SHIPPED / "photos.safetensors")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An empty home."""
    monkeypatch.setenv("DELT_HOME", str(tmp_path))


@pytest.mark.parametrize("name", ["photos", "digits"])
def test_a_small_second_network_ships_that_auto_never_takes(name: str) -> None:
    path = SHIPPED / f"{name}.safetensors"
    card, teacher = read_card(path), read_card(find_teacher("auto", name))
    assert path.stat().st_size < 120_000
    assert card.accuracy > 85
    assert card.network != teacher.network == "resnet18"
    assert card.dataset_fingerprint == teacher.dataset_fingerprint
    assert find_second(name, 32, card.class_names, teacher.network, teacher.fingerprint) == path
    assert find_teacher("auto", name) != path


def _second(**about) -> Path:
    return find_second(**{"dataset": "photos", "image_size": 32, "class_names": PHOTOS.class_names, **about})


def _kept(folder: Path, name: str, origin: Path, age: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = Path(shutil.copy(origin, folder / name))
    os.utime(path, (1_000_000 - age, 1_000_000 - age))
    return path


def test_the_users_own_come_first_newest_first() -> None:
    older = _kept(second_dir(), "a.safetensors", SHIPPED / "photos.safetensors", age=10)
    newer = _kept(second_dir(), "b.safetensors", SHIPPED / "photos.safetensors")
    assert _second() == newer
    newer.unlink()
    assert _second() == older
    older.write_bytes(b"damaged")
    assert _second() == SHIPPED / "photos.safetensors"


def test_the_teacher_itself_and_its_kind_are_no_witnesses() -> None:
    """With a convnet-3 as the teacher, the shipped convnet-3 is out and the shipped ResNet is in."""
    assert _second(teacher_network="convnet-3") == assets_dir() / "teachers" / "photos.safetensors"
    assert _second(teacher_fingerprint=PHOTOS.fingerprint) == assets_dir() / "teachers" / "photos.safetensors"
    own = _kept(teachers_dir(), "conv.safetensors", SHIPPED / "photos.safetensors")
    assert _second(teacher_network="resnet18") == SHIPPED / "photos.safetensors" != own


@pytest.mark.parametrize("about", [{"image_size": 64}, {"class_names": ("a", "b")}, {"dataset": "flowers"}])
def test_another_size_other_classes_and_other_data_have_none(about) -> None:
    with pytest.raises(CheckpointError, match="there is no network for .* besides the teacher; train one with"):
        _second(**about)


def test_the_command_makes_one_that_is_found() -> None:
    words = command("flowers", 64, "resnet18")
    assert words.startswith("delt squeeze --dataset flowers --image-size 64 --network convnet-3 --out ")
    assert words.endswith(str(second_dir() / "flowers-convnet-3-64px.safetensors"))
    assert "--network resnet18" in command("flowers", 64, "convnet-3")
