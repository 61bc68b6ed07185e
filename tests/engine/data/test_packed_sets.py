"""Sets in .npz and in tar shards: what does not fit is one sentence, and nothing stored in them is run."""

import io
import tarfile

import numpy as np
import pytest
from foreign_layouts import images_of, png

from delt_engine.data.published_sets import read_foreign
from delt_engine.errors import DataError

SCALE = ((0.5,) * 3, (0.5,) * 3)
IMAGES = images_of(2, 1)[:, 0]


def tar(path, files: dict[str, bytes]):
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    ("about", "label"),
    [
        ({"cls": b"7"}, "7"),
        ({"json": b'{"class": "cat", "label": 1}', "cls": b"1"}, "cat"),
        ({"json": b'{"label": 1}'}, "1"),
    ],
)
def test_a_shard_gives_its_classes(tmp_path, about, label):
    files = {f"a/0001.{ending}": data for ending, data in {"png": png(IMAGES[0]), **about}.items()}
    found = read_foreign(tar(tmp_path / "x.tar", {**files, "a/0001.txt": b"?"}), 2, SCALE)
    assert (found.layout, found.labels) == ("webdataset", (label,))
    assert np.array_equal(next(iter(found.pixels())), IMAGES[0])


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"0.png": png(IMAGES[0])}, "label: sample 0 of .* has no class"),
        ({"0.cls": b"1"}, "sample 0 of .* has no picture"),
        ({"0.png": png(IMAGES[0]), "0.json": b"{"}, "the .json of sample 0 in .* is damaged"),
    ],
)
def test_what_is_missing_in_a_shard_is_said(tmp_path, files, sentence):
    with pytest.raises(DataError, match=sentence):
        read_foreign(tar(tmp_path / "x.tar", files), 2, SCALE)


def test_links_and_broken_shards(tmp_path):
    link = tarfile.TarInfo("0.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.addfile(link)
    with pytest.raises(DataError, match="holds no images"):
        read_foreign(tmp_path / "x.tar", 2, SCALE)
    (tmp_path / "y.tar").write_bytes(b"no tar at all" * 100)
    with pytest.raises(DataError, match="is no tar, or is damaged"):
        read_foreign(tmp_path / "y.tar", 2, SCALE)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"images": IMAGES}, "has no array labels"),
        ({"images": IMAGES[..., 0], "labels": np.zeros(2, int)}, r"images: .* uint8 \(N, H, W, 3\) is needed"),
        ({"images": IMAGES, "labels": np.zeros(2)}, "labels: .* 2 whole numbers are needed"),
        ({"images": IMAGES, "labels": np.array([0, 2]), "class_names": np.array(["a", "b"])}, "has 2, but it names 2"),
        ({"images": IMAGES, "labels": np.array([{}, {}])}, "is no file of plain arrays"),
    ],
)
def test_arrays_that_do_not_fit_are_a_sentence(tmp_path, arrays, sentence):
    np.savez(tmp_path / "images.npz", **arrays)
    with pytest.raises(DataError, match=sentence):
        read_foreign(tmp_path, 2, SCALE)


def test_arrays_packed_in_an_unknown_way_are_a_sentence(tmp_path):
    path = tmp_path / "images.npz"
    np.savez(path, images=np.zeros((2, 8, 8, 3), np.uint8), labels=np.array([0, 1]))
    packed = path.read_bytes()
    for head, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):  # both places that say how an entry is packed
        place = packed.index(head) + at
        packed = packed[:place] + b"\x63\x00" + packed[place + 2 :]
    path.write_bytes(packed)
    with pytest.raises(DataError, match=r"is no file of plain arrays, or is damaged\."):
        read_foreign(tmp_path, 2, SCALE)
