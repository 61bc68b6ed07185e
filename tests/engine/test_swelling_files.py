"""Files that say one thing and are another: far larger when read, nested without end, of formats nobody asked for."""

from __future__ import annotations

import ast
import io
import struct
import zipfile

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from pyarrow import parquet

from delt_engine.data import unpack
from delt_engine.data.npz_sets import read_arrays
from delt_engine.data.parquet_tables import read_tables
from delt_engine.data.tensor_files import read_tensors
from delt_engine.errors import CheckpointError, DataError, RunError
from delt_engine.exports.formats import FORMATS
from delt_engine.exports.training_lines import training_lines
from delt_engine.models.checkpoints import load_state
from delt_engine.npz import read_npz
from delt_engine.runs.strips import read_png

SCALE = ((0.0,) * 3, (1.0,) * 3)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("depth", [40, 1900])
def test_a_zip_of_folders_without_end_is_refused(tmp_path, depth) -> None:
    with zipfile.ZipFile(tmp_path / "deep.zip", "w") as archive:
        for name in ("a", "b"):
            archive.writestr(f"{name}/{'d/' * depth}1.png", b"")
    with pytest.raises(DataError, match=f"has folders {depth + 1} deep, but at most 31 are read"):
        unpack.unpack_zip(tmp_path / "deep.zip")


def test_a_zip_with_a_name_in_no_encoding_is_one_sentence(tmp_path) -> None:
    path = tmp_path / "odd.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/é.png", b"")
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xfe"))
    with pytest.raises(DataError, match=r"odd\.zip is not a zip, or is damaged"):
        unpack.unpack_zip(path)


def test_a_zip_whose_entries_share_their_bytes_is_measured_by_its_own_size(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(unpack, "_SMALL", 10**5)
    kernel = io.BytesIO()
    with zipfile.ZipFile(kernel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/0.png", np.random.default_rng(1).bytes(2000) * 4)
        entry = archive.infolist()[0]
        for number in range(1, 200):  # the directory names the one part again and again
            twin = zipfile.ZipInfo(f"{'ab'[number % 2]}/{number}.png")
            for name in ("compress_type", "compress_size", "file_size", "CRC", "header_offset", "flag_bits"):
                setattr(twin, name, getattr(entry, name))
            archive.filelist.append(twin)
    path = tmp_path / "shared.zip"
    path.write_bytes(kernel.getvalue())
    monkeypatch.setattr(unpack, "MAX_RATIO", 50)
    with pytest.raises(DataError, match="more than 50 times its size"):
        unpack.unpack_zip(path)


@pytest.mark.parametrize("header", ["(" * 9000, "-" * 9000 + "1", f"{(10**6, 10**6, 100, 3)}"])
def test_arrays_with_odd_headers_are_one_sentence(tmp_path, header) -> None:
    path, text = tmp_path / "x.npz", header
    if header.endswith("3)"):  # more than there is memory for
        text = str({"descr": "|u1", "fortran_order": False, "shape": ast.literal_eval(header)})
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("images", "labels"):
            archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode())
    with pytest.raises(DataError, match="is no file of plain arrays"):
        read_arrays(path)
    with pytest.raises(DataError, match="is not a map, or is damaged"):
        read_npz(path, "map", "map")


def test_one_name_for_all_classes_of_arrays_is_one_sentence(tmp_path) -> None:
    np.savez(tmp_path / "x.npz", images=np.zeros((2, 4, 4, 3), np.uint8), labels=np.arange(2), class_names=np.array(5))
    with pytest.raises(DataError, match="has 1, but it names 1 classes"):
        read_arrays(tmp_path / "x.npz")


ODD = {
    "sparse": torch.zeros(2, 3, 4, 4).to_sparse(),
    "meta": torch.empty(2, 3, 4, 4, device="meta"),
    "nested": torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
    "complex": torch.zeros(2, 3, 4, 4, dtype=torch.complex64),
    "float8": torch.zeros(2, 3, 4, 4).to(torch.float8_e4m3fn),
    "empty": torch.zeros(0, 3, 4, 4),
}


@pytest.mark.parametrize("kind", ODD)
def test_tensors_of_odd_kinds_are_one_sentence(tmp_path, kind) -> None:
    torch.save(ODD[kind], tmp_path / "images.pt")
    with pytest.raises(DataError, match="without plain numbers, so it is not read"):
        read_tensors(tmp_path, 2, SCALE, "auto")
    if kind in ("sparse", "meta", "nested"):
        torch.save({"w": ODD[kind]}, tmp_path / "net.pt")
        with pytest.raises(CheckpointError, match="holds w without plain numbers"):
            load_state(tmp_path / "net.pt")


def test_one_label_for_all_images_is_one_sentence(tmp_path) -> None:
    torch.save(torch.zeros(2, 3, 4, 4), tmp_path / "images.pt")
    torch.save(torch.tensor(1), tmp_path / "labels.pt")
    with pytest.raises(DataError, match="labels: 1 given, but .* holds 2 images"):
        read_tensors(tmp_path, 2, SCALE, "auto")


def test_packed_tensors_are_refused_before_they_are_unpacked(tmp_path, monkeypatch) -> None:
    torch.save(torch.zeros(1, 1, 1000, 1000), tmp_path / "plain.pt")
    packed = tmp_path / "images.pt"
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as other:
        for entry in plain.infolist():
            other.writestr(entry.filename, plain.read(entry))
    assert torch.load(packed, weights_only=True).numel() == 10**6  # PyTorch unpacks it
    monkeypatch.setattr(torch, "load", lambda *_args, **_words: pytest.fail("it was unpacked"))
    with pytest.raises(DataError, match="far more numbers than it has bytes for"):
        read_tensors(packed, 1, SCALE, "auto")
    with pytest.raises(CheckpointError, match="far more numbers than it has bytes for"):
        load_state(packed)


def test_a_table_that_repeats_one_long_name_is_refused(tmp_path) -> None:
    path, rows = tmp_path / "x.parquet", 2000
    names = pa.DictionaryArray.from_arrays(pa.array([0] * rows), ["x" * 10**5])
    parquet.write_table(pa.table({"image": [b""] * rows, "label": names}), path, store_schema=False)
    before = pa.default_memory_pool().max_memory()
    with pytest.raises(DataError, match="a name of 100,000 letters in .*, but it has 1,000 at most"):
        read_tables(path)
    assert pa.default_memory_pool().max_memory() < max(before, 10**8)  # all of them take 200 MB


def test_images_of_runs_are_png_and_nothing_else(tmp_path) -> None:
    path, image = tmp_path / "0000.png", Image.new("RGB", (4, 4))
    image.save(path, "PPM")  # PostScript, for one, would start a program
    with pytest.raises(RunError, match="is not an image"):
        read_png(path)
    image.save(path, "PNG")
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    content[29:33] = struct.pack(">I", zipfile.crc32(bytes(content[12:29])))
    path.write_bytes(content)
    with pytest.raises(RunError, match="far too large for an image"):
        read_png(path)


@pytest.mark.parametrize("form", FORMATS)
def test_the_place_of_an_export_is_text_in_the_lines_that_train_on_it(form) -> None:
    place = 'a"); import os; os.abort(); ("\n'
    lines = training_lines(form, place, mean=(0.5,) * 3, std=(0.5,) * 3, num_classes=2, ipc=1)
    texts = [node.value for node in ast.walk(ast.parse(lines)) if isinstance(node, ast.Constant)]
    assert sum(isinstance(text, str) and text.startswith(place) for text in texts) == 1
    assert "abort" not in {node.attr for node in ast.walk(ast.parse(lines)) if isinstance(node, ast.Attribute)}
