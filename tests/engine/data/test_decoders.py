"""Processes that decode: the same pixels as without them, broken files by name, and no process that stays behind."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import psutil
import pytest
from PIL import Image

from delt_engine.data import decoders
from delt_engine.data.dataset import ArrayImages
from delt_engine.data.decoder import answer, serve
from delt_engine.data.decoders import DecodedImages, paying_workers
from delt_engine.data.loader import FileImages
from delt_engine.errors import DataError

SIZE = 8


@pytest.fixture
def files(tmp_path):
    """Five pictures of different shapes; one has a name that is no UTF-8."""
    rng = np.random.default_rng(0)
    names = ["a.png", "b.png", "c.jpg", "umlaut ä.png", "e.png"]
    shapes = [(12, 20), (30, 9), (64, 48), (8, 8), (10, 11)]
    for name, (height, width) in zip(names, shapes, strict=True):
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(tmp_path / name)
    return FileImages(tmp_path, names, np.zeros(5), np.array(shapes), SIZE)


def children():
    """The processes that decode for this one; it may have others, which come and go."""
    found = []
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if "delt_engine.data.decoder" in process.cmdline():  # none of one that has ended
                found.append(process.pid)
    return found


def test_processes_give_the_pixels_and_crops_that_threads_give_and_end_with_the_context(files, monkeypatch):
    monkeypatch.setattr(decoders, "CHUNK", 2)
    indices = np.array([4, 0, 0, 2, 3, 1, 1])
    boxes = np.array([[0, 0, 8, 8], [1, 2, 9, 9], [0, 5, 12, 12], [10, 3, 40, 40], [0, 0, 8, 8], [3, 0, 9, 9]])
    boxes = np.concatenate([boxes, [[20, 1, 5, 5]]])
    before = children()
    with DecodedImages(files, 2) as decoded:
        np.testing.assert_array_equal(decoded.pixels(indices), files.pixels(indices))
        np.testing.assert_array_equal(decoded.crops(indices, boxes), files.crops(indices, boxes))
        assert len(children()) > len(before)
    assert children() == before


def test_a_file_that_broke_since_is_told_by_its_name_and_the_others_can_still_be_read(files, tmp_path):
    (tmp_path / "b.png").write_bytes(b"no picture")
    with DecodedImages(files, 1) as decoded:
        with pytest.raises(DataError, match=r"b\.png cannot be read any more \(not an image that can be read\)"):
            decoded.pixels([0, 1, 2])
        np.testing.assert_array_equal(decoded.pixels([2]), files.pixels([2]))
        Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
        with pytest.raises(DataError, match=r"a\.png cannot be read any more"):
            decoded.crops([0], [[1, 2, 9, 9]])


def test_a_process_that_was_killed_is_told(files):
    with DecodedImages(files, 1) as decoded:
        decoded.pixels([0])
        decoded._started[0]._process.kill()
        with pytest.raises(DataError, match="a process that decodes images ended by itself"):
            decoded.pixels([1])


def test_leaving_by_an_error_leaves_no_process(files):
    before = children()
    decoded = DecodedImages(files, 1)
    decoded.pixels([0])
    decoded.__exit__(ValueError, ValueError("enough"), None)
    assert children() == before


def test_the_answers_on_the_pipe(files, tmp_path):
    question = {
        "root": str(tmp_path),
        "size": SIZE,
        "files": [["a.png", None], ["e.png", [[0, 0, 5, 5], [1, 1, 3, 3]]]],
    }
    head, rows = answer(question)
    assert head["rows"] == 3
    np.testing.assert_array_equal(rows[0], files.pixels([0])[0])
    told = io.BytesIO()
    gone = {**question, "files": [["none.png", None]]}
    serve(io.BytesIO(json.dumps(question).encode() + b"\n" + json.dumps(gone).encode() + b"\n"), told)
    line, _, rest = told.getvalue().partition(b"\n")
    assert json.loads(line)["rows"] == 3
    assert rest[: rows.nbytes] == rows.tobytes()
    assert json.loads(rest[rows.nbytes :]) == {"name": "none.png", "reason": "No such file or directory"}


def test_processes_pay_for_many_files_on_many_cores_and_never_for_arrays(files, monkeypatch, tmp_path):
    monkeypatch.setattr(decoders, "worker_count", lambda: 8)
    pixels = np.zeros((5, SIZE, SIZE, 3), np.uint8)
    kept = FileImages(tmp_path, files.names, files.labels, np.ones((5, 2)), SIZE, pixels, np.arange(5))
    arrays = ArrayImages(pixels, np.zeros(5), list("abcde"), SIZE)
    assert paying_workers(files, 5000, crops=False) == 8
    with monkeypatch.context() as patched:
        patched.setenv("LOCAL_WORLD_SIZE", "2")
        assert paying_workers(files, 5000, crops=False) == 4
    assert paying_workers(files, 500, crops=False) == 0
    assert paying_workers(kept, 5000, crops=False) == 0
    assert paying_workers(kept, 5000, crops=True) == 8
    assert paying_workers(arrays, 5000, crops=True) == 0
    monkeypatch.setattr(decoders, "worker_count", lambda: 2)
    assert paying_workers(files, 5000, crops=False) == 0
