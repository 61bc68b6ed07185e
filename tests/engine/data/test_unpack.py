"""Uploaded zips: what is in them comes out whole and safely, or one sentence and nothing."""

from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from delt_engine.data import browse, unpack
from delt_engine.data.layout import list_files
from delt_engine.data.unpack import is_upload, remove_upload, unpack_zip, unpacked_dir
from delt_engine.errors import DataError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def packed(path: Path, *names: str | zipfile.ZipInfo) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, picture())
    return path


CLASSES = ("cat/1.png", "dog/1.png")


def test_of_two_uploads_of_one_name_at_once_each_gets_a_folder(tmp_path, monkeypatch) -> None:
    path, rename = packed(tmp_path / "pets.zip", *CLASSES), Path.rename

    def slower(made: Path, place: Path) -> Path:
        if not place.exists():
            monkeypatch.setattr(Path, "rename", rename)
            assert unpack_zip(path) == place  # the other one, between the look and the move
        return rename(made, place)

    monkeypatch.setattr(Path, "rename", slower)
    assert unpack_zip(path).name == "pets-2"
    assert all(list_files(unpacked_dir() / name).names == list(CLASSES) for name in ("pets", "pets-2"))


@pytest.mark.parametrize("around", ["", "pets/", "pets/all/"])
def test_the_dataset_in_a_zip_becomes_a_folder_of_the_zips_name(tmp_path, around) -> None:
    extra = ("__MACOSX/cat/._1.png", "notes.txt", f"{around}cat/.hidden.png")
    path, seen = packed(tmp_path / "my pets.zip", *(around + name for name in CLASSES), *extra), []
    folder = unpack_zip(path, lambda *step: seen.append(step))
    assert folder == unpacked_dir() / "my pets"
    assert list_files(folder).names == list(CLASSES)
    assert (seen[-1], is_upload(folder)) == (("unpack", 2, 2), True)
    assert unpack_zip(path).name == "my pets-2"
    assert [entry.name for entry in unpacked_dir().iterdir() if entry.name.startswith(".")] == []
    remove_upload(folder)
    assert not folder.exists()
    with pytest.raises(DataError, match="was not uploaded here"):
        remove_upload(tmp_path)


def test_train_and_val_stay_apart(tmp_path) -> None:
    names = [f"x/{half}/{name}" for half in ("train", "val") for name in CLASSES]
    listing = list_files(unpack_zip(packed(tmp_path / "x.zip", *names)))
    assert (listing.has_split, listing.is_test.tolist()) == (True, [False, False, True, True])


def link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("cat/2.png")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ((*CLASSES, "../dog/2.png"), r"leads out of its folder \('\.\./dog/2\.png'\)"),
        ((*CLASSES, "/etc/2.png"), "leads out of its folder"),
        ((*CLASSES, "C:\\x\\2.png"), "leads out of its folder"),
        ((*CLASSES, link()), "holds a link"),
        (("1.png", "2.png"), r"dataset: bad\.zip has images but no class folders"),
        (("a/cat/1.png",), r"dataset: bad\.zip/a has one class folder, 'cat'"),
        (("readme.txt",), "holds no images"),
    ],
)
def test_a_bad_zip_is_one_sentence_and_leaves_nothing(tmp_path, names, text) -> None:
    path = packed(tmp_path / "bad.zip", *names)
    with pytest.raises(DataError, match=text) as caught:
        unpack_zip(path)
    assert "\n" not in str(caught.value)
    assert list(unpacked_dir().iterdir()) == []


def test_what_is_no_zip_or_damaged_or_too_large_is_refused(tmp_path, monkeypatch) -> None:
    path = packed(tmp_path / "x.zip", *CLASSES)
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT")] ^= 255
    (tmp_path / "torn.zip").write_bytes(content)
    (tmp_path / "none.zip").write_bytes(b"PK no zip")
    for name in ("torn.zip", "none.zip"):
        with pytest.raises(DataError, match=f"dataset: {name} is not a zip, or is damaged"):
            unpack_zip(tmp_path / name)
    monkeypatch.setattr(unpack, "MAX_FILES", 1)
    with pytest.raises(DataError, match="holds 2 images of .* but at most 1"):
        unpack_zip(path)
    assert list(unpacked_dir().iterdir()) == []


def test_only_folders_below_the_roots_are_looked_into(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("DELT_DATA", str(tmp_path / "data"))
    for name in ("me/.secret", "data/pets/cat", "data/pets/dog", "other"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("cat", "dog"):
        (tmp_path / "data/pets" / name / "1.png").write_bytes(picture())
    (tmp_path / "data" / "way-out").symlink_to(tmp_path / "other")
    assert browse.roots() == (tmp_path / "data", tmp_path / "me")
    found = browse.look(tmp_path / "data")
    assert (found.folders, found.classes, "holds" in found.why_not or bool(found.why_not)) == (
        ("pets", "way-out"),
        0,
        True,
    )
    assert browse.look(tmp_path / "data" / "pets").classes == 2
    assert browse.look(tmp_path / "me").folders == ()
    for place in ("other", "data/way-out", "data/../other"):
        with pytest.raises(DataError, match="outside the folders that can be looked into"):
            browse.look(tmp_path / place)
