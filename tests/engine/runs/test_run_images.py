"""Strips of a batch and single images: whole classes, shared ones, live strips, and what is no picture."""

import json

import numpy as np
import pytest
from fake_runs import prepare
from PIL import Image

from delt_engine.errors import RunError
from delt_engine.runs import images as pictures
from delt_engine.runs.images import Pictures, are_written, remove_live, write_images
from delt_engine.runs.store import Run
from delt_engine.runs.strips import TEXT_KEY, join_strip, png_bytes, read_png, split_strip

SIZE = 4


@pytest.fixture
def run(tmp_path) -> Run:
    return prepare(tmp_path / "a", size=SIZE)


def images(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def test_images_stand_in_the_strip_of_their_class_by_their_number(run) -> None:
    slots = [(0, 0), (2, 0), (0, 1), (2, 1)]
    batch = images(4, 1)
    writer = Pictures(run, slots, ipc=2, num_rounds=4, shown=(0, 2))
    writer.write_round(batch, 3)
    assert writer.classes == [0, 2]
    np.testing.assert_array_equal(run.snapshot_images(0, 3), batch[[0, 2]])
    np.testing.assert_array_equal(run.snapshot_images(2, 3), batch[[1, 3]])
    assert run.rounds_written(1) == [0]


def test_batches_that_share_a_class_share_its_strip(run) -> None:
    first, second = images(1, 1), images(1, 2)
    for class_index, index, batch in ((0, 0, first), (0, 1, second)):
        writer = Pictures(run, [(class_index, index)], ipc=2, num_rounds=1, shown=(0,))
        writer.write_round(batch, 0)
        writer.write_round(255 - batch, 1)
    np.testing.assert_array_equal(run.snapshot_images(0, 0), np.concatenate([first, second]))
    np.testing.assert_array_equal(run.snapshot_images(0, 1), 255 - np.concatenate([first, second]))


def test_live_strips_come_in_time_and_take_their_share_only(run, monkeypatch) -> None:
    now = [0.0]
    writer = Pictures(run, [(0, 0)], ipc=1, num_rounds=4, shown=(0,), live_seconds=1.0, clock=lambda: now[0])
    assert not writer.live_due
    now[0] = 0.3  # the first one is early: somebody may be watching for a sign of life
    assert writer.live_due
    encode = pictures.strips.png_bytes

    def slow(*args, **kwargs):
        now[0] += 0.5
        return encode(*args, **kwargs)

    monkeypatch.setattr(pictures.strips, "png_bytes", slow)
    writer.write_live(images(1, 1))
    assert run.live_path(0).is_file()
    now[0] = 0.8 + 0.5 / pictures.LIVE_SHARE - 0.1
    assert not writer.live_due
    now[0] += 0.2
    assert writer.live_due
    remove_live(run)
    assert not run.live_path(0).exists()
    assert not Pictures(run, [(0, 0)], 1, 4, shown=(0,), live_seconds=0, clock=lambda: 1e9).live_due  # turned off


def test_images_count_as_written_when_all_are_there_and_whole(run) -> None:
    slots, batch = [(0, 0), (1, 0)], images(2, 1)
    assert not are_written(run, slots, SIZE)
    write_images(run, slots, batch, [{"index": 0}, {"index": 0}])
    assert are_written(run, slots, SIZE)
    assert not are_written(run, slots, SIZE + 1)
    path = run.image_path(1, 0)
    whole = path.read_bytes()
    for at in range(len(whole)):  # not one bit may be another
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert not are_written(run, slots, SIZE)
    path.write_bytes(whole[:-20])
    assert not are_written(run, slots, SIZE)
    path.write_bytes(whole + b"more")
    assert not are_written(run, slots, SIZE)
    path.write_bytes(whole)
    assert are_written(run, slots, SIZE)


def test_strips_hold_image_i_at_i_times_side() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    strip = join_strip(images)
    assert strip.shape == (4, 12, 3)
    np.testing.assert_array_equal(strip[:, 4:8], images[1])
    np.testing.assert_array_equal(split_strip(strip), images)


def test_png_keeps_pixels_and_settings(tmp_path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    text = {"method": "delt", "class": "café", "patches": [{"true_class_prob": 0.25}]}
    (tmp_path / "a.png").write_bytes(png_bytes(image, text))
    np.testing.assert_array_equal(read_png(tmp_path / "a.png"), image)
    with Image.open(tmp_path / "a.png") as opened:
        opened.load()
        assert json.loads(opened.info[TEXT_KEY]) == text


def test_what_cannot_be_read_is_one_sentence(tmp_path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(RunError, match="is not an image"):
        read_png(tmp_path / "broken.png")
    with pytest.raises(RunError, match="cannot be read"):
        read_png(tmp_path / "absent.png")
