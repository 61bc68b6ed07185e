"""Reading ahead: the same pixels as without it, broken files by name, and no thread or process that stays behind."""

import subprocess
import sys
import threading

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from waiting import wait_for

from delt_engine.data import loader
from delt_engine.data.folder import FileImages
from delt_engine.data.loader import process_count, read_in_order
from delt_engine.errors import DataError

SIZE = 8
PARTS = [slice(0, 2), slice(2, 3), slice(3, 5)]


@pytest.fixture
def files(tmp_path):
    """Five pictures of different shapes; one has a name that is no ASCII."""
    rng = np.random.default_rng(0)
    names = ["a.png", "b.png", "c.jpg", "umlaut ä.png", "e.png"]
    shapes = [(12, 20), (30, 9), (64, 48), (8, 8), (10, 11)]
    for name, (height, width) in zip(names, shapes, strict=True):
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)).save(tmp_path / name)
    return FileImages(tmp_path, names, np.zeros(5), np.array(shapes), SIZE)


def pixels_of(files):
    return lambda part: files.pixels(np.arange(part.start, part.stop))


def children():
    return {process.pid for process in psutil.Process().children(recursive=True)}


@pytest.mark.parametrize("workers", [0, 2])
def test_parts_come_in_order_with_and_without_processes_and_draw_from_nobodys_generator(files, workers):
    before, state = children(), torch.get_rng_state()
    found = list(read_in_order(pixels_of(files), PARTS, workers))
    assert [len(part) for part in found] == [2, 1, 2]
    np.testing.assert_array_equal(np.concatenate(found), files.pixels(range(5)))
    assert torch.equal(torch.get_rng_state(), state)
    assert children() <= before


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_broke_since_is_named_and_costs_no_process(files, tmp_path, workers):
    (tmp_path / "c.jpg").write_bytes(b"no picture")
    read = read_in_order(pixels_of(files), PARTS, workers)
    np.testing.assert_array_equal(next(read), files.pixels([0, 1]))
    sentence = rf"^dataset: {tmp_path}/c\.jpg cannot be read any more \(not an image that can be read\); load [\w ]+\.$"
    with pytest.raises(DataError, match=sentence):
        next(read)


def test_a_thread_reads_so_many_parts_ahead_and_no_more():
    parts = [slice(number, number + 1) for number in range(6)]
    begun, taken, most = [threading.Event() for _ in parts], [], []

    def read(part):
        most.append(part.start - len(taken))
        begun[part.start].set()
        return part.start

    found = read_in_order(read, parts, 0, 2)
    for number in range(6):
        assert next(found) == number
        assert all(event.wait(60) for event in begun[: number + 3])  # though nobody has asked for them
        taken.append(number)
    assert max(most) == 2
    assert next(found, None) is None


def test_leaving_early_leaves_no_thread_and_begins_nothing_more():
    going_on, begun = threading.Event(), []

    def read(part):
        begun.append(part.start)
        assert part.start == 0 or going_on.wait(60)
        return part.start

    found = read_in_order(read, [slice(number, number + 1) for number in range(9)], 0, 3)
    assert next(found) == 0
    going_on.set()
    found.close()
    assert len(begun) <= 4
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]


def test_leaving_early_leaves_no_process(files):
    before = children()
    read = read_in_order(pixels_of(files), PARTS, 2)
    next(read)
    assert children() > before
    with pytest.raises(KeyError):
        read.throw(KeyError("enough"))
    assert children() <= before


def killed(part):
    psutil.Process().kill()


def test_a_process_that_was_killed_is_told():
    before = children()
    with pytest.raises(DataError, match="a process that decodes images ended by itself"):
        list(read_in_order(killed, PARTS, 1))
    assert children() <= before


def test_processes_end_when_their_parent_is_killed():
    script = (
        "from delt_engine.data.loader import read_in_order\nimport os\n"
        "read = read_in_order(lambda part: os.getpid(), [slice(i, i + 1) for i in range(99)], 2)\n"
        "print(next(read), next(read), flush=True)\ninput()"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    workers = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
    parent.kill()
    parent.communicate()
    wait_for(lambda: not any(worker.is_running() for worker in workers))


@pytest.mark.parametrize(
    ("cores", "ranks", "images", "processes"), [(8, 1, 5000, 8), (8, 2, 5000, 4), (8, 1, 20, 0), (2, 2, 5000, 0)]
)
def test_one_process_a_core_for_enough_images(monkeypatch, cores, ranks, images, processes):
    monkeypatch.setattr(loader, "worker_count", lambda: cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(ranks))
    assert process_count(images) == processes
