import json
import os

import pytest
from some_card import CARD
from some_card import write_card as write

from delt_engine.errors import CheckpointError
from delt_engine.models import card as cards
from delt_engine.models.card import TeacherCard, find_teacher, free_teacher_path, has_card, read_card, teacher_files


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Own and shipped teachers in folders of the test."""
    monkeypatch.setattr(cards, "teachers_dir", lambda: tmp_path / "own")
    monkeypatch.setattr(cards, "assets_dir", lambda: tmp_path / "assets")
    return tmp_path / "own", tmp_path / "assets" / "teachers"


def test_card_is_named_after_its_file(tmp_path):
    found = read_card(write(tmp_path / "photos-w0.25.safetensors"))
    assert found.name == "photos-w0.25"
    assert found.class_names == ("cat", "été")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is truncated or no safetensors file"),
        (b"\x00\x01", "is truncated or no safetensors file"),
        (b"\xff" * 40, "is truncated or no safetensors file"),
        ((9).to_bytes(8, "little") + b'{"__meta', "is truncated or no safetensors file"),
        ((2).to_bytes(8, "little") + b"[]", "is truncated or no safetensors file"),
        ((2).to_bytes(8, "little") + b"{}", "holds weights without a teacher card"),
    ],
)
def test_broken_files_are_one_sentence(tmp_path, content, message):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    assert not has_card(path)
    with pytest.raises(CheckpointError, match=message):
        read_card(path)
    path.unlink()
    with pytest.raises(CheckpointError, match=r"broken\.safetensors cannot be read \(No such file or directory\)"):
        read_card(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("width", value) for value in (10_000, 0, "1", True, float("nan"))),
        *(("accuracy", value) for value in ("<b>99</b>", float("nan"), 101)),
        *(("image_size", value) for value in (0, 10**7, None)),
        *(("network", value) for value in (None, ["resnet18"])),
        *(("mean", value) for value in ([0.5], [0.5, 0.5, float("inf")])),
        ("epochs", "x"),
        ("std", [0, 1, 1]),
        ("added_from", 3),
    ],
)
def test_cards_with_odd_values_are_one_sentence(tmp_path, name, value):
    with pytest.raises(CheckpointError, match=f"the card's {name} is "):
        read_card(write(tmp_path / "odd.safetensors", **{name: value}))


@pytest.mark.parametrize(
    ("source", "now"),
    [
        ("delt squeeze; added from a.pth", ("delt squeeze", "a.pth")),
        ("added from a.pth", ("checkpoint a.pth", "a.pth")),
        ("delt squeeze", ("delt squeeze", "")),
    ],
)
def test_old_cards_said_in_their_source_what_they_were_added_from(source, now):
    values = json.loads(CARD.to_json()) | {"source": source}
    del values["added_from"]
    card = TeacherCard.from_json(json.dumps(values))
    assert (card.source, card.added_from) == now
    assert TeacherCard.from_json(card.to_json()) == card


def test_incomplete_card_names_what_is_missing():
    values = json.loads(CARD.to_json())
    del values["mean"]
    with pytest.raises(CheckpointError, match="the card has no 'mean'"):
        TeacherCard.from_json(json.dumps(values))
    for text in ("[1]", "{", json.dumps(values | {"mean": 3})):
        with pytest.raises(CheckpointError, match="the card cannot be read"):
            TeacherCard.from_json(text)
    with pytest.raises(CheckpointError, match="the card names 2 classes but counts 3"):
        TeacherCard.from_json(CARD.to_json().replace('"num_classes": 2', '"num_classes": 3'))


def test_own_teachers_come_first_newest_first_and_hide_shipped_ones(folders):
    own, shipped = folders
    os.utime(write(own / "old.safetensors"), (1, 1))
    os.utime(write(own / "new.safetensors"), (9, 9))
    os.utime(write(own / "photos.safetensors"), (5, 5))
    write(shipped / "photos.safetensors")
    write(shipped / "digits.safetensors")
    assert [name for name, _ in teacher_files()] == ["new", "photos", "old", "digits"]
    assert find_teacher("photos") == own / "photos.safetensors"
    assert find_teacher("digits") == shipped / "digits.safetensors"


def test_auto_takes_the_datasets_own_then_the_shipped(folders):
    own, shipped = folders
    write(shipped / "photos.safetensors")
    write(own / "other.safetensors", dataset="digits")
    (own / "broken.safetensors").write_bytes(b"no")
    write(own / "odd.safetensors", mean=None)
    assert find_teacher("auto", "photos") == shipped / "photos.safetensors"
    large = write(own / "large.safetensors", image_size=64)
    assert find_teacher("auto", "photos") == large
    assert find_teacher("auto", "photos", 32) == shipped / "photos.safetensors"


def test_auto_prefers_a_teacher_of_the_same_classes(folders):
    """Two folders may have one name."""
    own, _ = folders
    os.utime(write(own / "pets.safetensors", dataset="images"), (1, 1))
    os.utime(write(own / "cars.safetensors", dataset="images", class_names=["bus", "van"]), (9, 9))
    assert find_teacher("auto", "images", 32, ("cat", "été")) == own / "pets.safetensors"
    assert find_teacher("auto", "images", 32, ("bus", "van")) == own / "cars.safetensors"
    assert find_teacher("auto", "images", 32, ("oak", "elm")) == own / "cars.safetensors"  # refused when it is loaded
    assert find_teacher("auto", "images") == own / "cars.safetensors"


def test_a_new_teacher_takes_no_other_ones_place(folders):
    own, _ = folders
    assert free_teacher_path("a", "f1") == own / "a.safetensors"
    write(own / "a.safetensors")
    assert free_teacher_path("a", "f1") == own / "a.safetensors"
    assert free_teacher_path("a", "f2") == own / "a-2.safetensors"
    (own / "a-2.safetensors").write_bytes(b"of somebody")
    assert free_teacher_path("a", "f2") == own / "a-3.safetensors"


def test_auto_without_a_teacher_says_how_to_get_one(folders):
    with pytest.raises(CheckpointError) as caught:
        find_teacher("auto", "cifar10", 32)
    assert str(caught.value) == (
        "teacher: there is none for cifar10 at 32 px; train one with "
        "`delt squeeze --dataset cifar10 --image-size 32`, or give a checkpoint with --teacher."
    )
    with pytest.raises(CheckpointError, match="none for my pets; train one with `delt squeeze --dataset '/a/my pets'`"):
        find_teacher("auto", "/a/my pets")  # of a folder its path, as a shell takes it
    with pytest.raises(CheckpointError, match="'auto' given, but it needs a dataset"):
        find_teacher("auto")


def test_unknown_names_and_paths_are_one_sentence(folders, tmp_path):
    write(folders[1] / "photos.safetensors")
    with pytest.raises(CheckpointError, match=r"'fotos' given, but no teacher has that name; did you mean 'photos'\?"):
        find_teacher("fotos")
    with pytest.raises(CheckpointError, match="'zzz' given, but no teacher has that name; known are photos"):
        find_teacher("zzz")
    with pytest.raises(CheckpointError, match=r"a\.pth' given, but it is no file"):
        find_teacher(str(tmp_path / "a.pth"))
    with pytest.raises(CheckpointError, match="given, but it is a folder"):
        find_teacher(str(tmp_path))
    plain = tmp_path / "a.pth"
    plain.write_bytes(b"x")
    assert find_teacher(str(plain)) == plain
