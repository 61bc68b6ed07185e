"""Exports come back as the same run, are whole or absent, and name no path of this machine."""

import json

import numpy as np
import pytest
from PIL import Image
from tiny_data import tiny_dataset
from tiny_world import finished

from delt_engine.config import Experiment
from delt_engine.errors import CheckpointError, ConfigError, DataError, RunError
from delt_engine.exports.contents import Contents
from delt_engine.exports.formats import FORMATS
from delt_engine.paths import home
from delt_engine.pipeline import export_set
from delt_engine.pipeline.export_set import export_run
from delt_engine.pipeline.import_set import import_set
from delt_engine.runs.export import read_image_settings
from delt_engine.runs.store import Run
from delt_engine.runs.strips import png_bytes, read_png

pytest_plugins = ["tiny_world"]

COLOURS = Experiment(dataset="colours", device="cpu")


@pytest.fixture
def run(world, settings) -> Run:
    return finished(world / "run", settings("random", ipc=2))


def pixels_of(run: Run) -> np.ndarray:
    return np.stack([[read_png(run.image_path(c, index)) for index in range(2)] for c in run.classes])


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_exported_and_imported_again_is_the_same(run, tmp_path, form):
    done = export_run(run, form, tmp_path / "out", label_epochs=1 if form == "fkd" else None)
    again = import_set(done.path, COLOURS)
    assert again.class_names == run.class_names
    if form != "published":  # JPEG
        assert np.array_equal(pixels_of(again), pixels_of(run))
    else:
        assert np.abs(pixels_of(again).astype(int) - pixels_of(run)).max() <= 4
    assert done.images == 6
    assert not list(tmp_path.glob(".export-*"))


def test_a_place_that_is_not_free_is_refused_and_left_alone(run, tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="out: .*taken is not empty, but an export needs a new or an empty folder"):
        export_run(run, "hf", taken)
    with pytest.raises(RunError, match="mine.txt is a file, but"):
        export_run(run, "npz", taken / "mine.txt")
    (taken / "a.zip").touch()
    with pytest.raises(RunError, match="a.zip exists already"):
        export_run(run, "zip", taken / "a.zip")
    assert sorted(path.name for path in taken.iterdir()) == ["a.zip", "mine.txt"]
    empty = tmp_path / "empty"
    empty.mkdir()
    assert export_run(run, "npz", empty, soft_labels=False).path == empty


@pytest.mark.parametrize("form", ["imagefolder", "hf", "webdataset", "npz", "zip"])
def test_a_damaged_image_leaves_nothing(run, tmp_path, form):
    run.image_path(2, 1).write_bytes(b"\x89PNG")
    with pytest.raises((RunError, OSError)):
        export_run(run, form, tmp_path / "out", soft_labels=False if FORMATS[form].has_soft_labels else None)
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".export-*"))


def test_a_disk_that_fills_up_leaves_nothing(run, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(export_set._WRITERS, "npz", full)
    with pytest.raises(RunError, match="no space left"):
        export_run(run, "npz", tmp_path / "out", soft_labels=False)
    assert list(tmp_path.glob("*out*")) == list(tmp_path.glob(".export-*")) == []


def test_soft_labels_are_the_teachers_and_need_it(run, tmp_path):
    from delt_engine.data.pixels import normalise, to_pixels
    from delt_engine.models.teachers import load_teacher

    done = export_run(run, "npz", tmp_path / "out")
    assert done.has_soft_labels
    card = tiny_dataset().spec
    network = load_teacher("colours", dataset=tiny_dataset()).network
    expected = network(normalise(to_pixels(pixels_of(run).reshape(-1, 8, 8, 3)), card.mean, card.std)).numpy()
    assert np.allclose(np.load(done.path / "images.npz")["soft_labels"], expected, atol=1e-5)

    (home() / "teachers" / "colours.safetensors").unlink()
    without = export_run(run, "npz", tmp_path / "without")
    assert not without.has_soft_labels
    assert "There are no soft labels" in without.notes[0]
    for form in ("npz", "fkd"):
        with pytest.raises(CheckpointError):
            export_run(run, form, tmp_path / "none", soft_labels=True if form == "npz" else None)
    assert not (tmp_path / "none").exists()


def test_what_cannot_be_exported_is_a_sentence(run, world, settings, tmp_path):
    with pytest.raises(ConfigError, match="format: 'tar' given, but it must be one of imagefolder, zip, hf"):
        export_run(run, "tar", tmp_path / "out")
    with pytest.raises(ConfigError, match="soft_labels: published has no place for them"):
        export_run(run, "published", tmp_path / "out", soft_labels=True)
    with pytest.raises(ConfigError, match="label_epochs: 3 given, but only fkd"):
        export_run(run, "hf", tmp_path / "out", label_epochs=3)
    queued = Run.create(world / "queued", settings())
    with pytest.raises(DataError, match="run: queued is queued, but a finished one is exported"):
        export_run(queued, "hf", tmp_path / "out")


def test_a_part_of_the_classes_counts_from_zero_and_keeps_its_numbers(world, settings, tmp_path):
    run = finished(world / "part", settings("random", ipc=2, classes=("green", "blue")))
    path = export_run(run, "npz", tmp_path / "out").path
    stored = np.load(path / "images.npz")
    assert stored["labels"].tolist() == [0, 0, 1, 1]
    assert stored["class_ids"].tolist() == [1, 1, 2, 2]
    assert stored["class_names"].tolist() == ["green", "blue"]
    assert stored["soft_labels"].shape == (4, 2)


def test_paths_of_this_machine_stay_here(run, tmp_path):
    record = json.loads((run.path / "run.json").read_text())
    secret = tmp_path / "private" / "flowers"
    record["experiment"]["dataset"] = str(secret)
    (run.path / "run.json").write_text(json.dumps(record))
    for row in Contents.of(run).rows():
        image = run.image_path(row.class_id, row.index)
        text = {**json.loads(Image.open(image).info["delt"]), "dataset": str(secret)}
        image.write_bytes(png_bytes(read_png(image), text))
    for form in ("imagefolder", "webdataset", "hf"):
        path = export_run(Run(run.path), form, tmp_path / form).path
        found = b"".join(one.read_bytes() for one in path.rglob("*") if one.is_file())
        assert str(tmp_path).encode() not in found
    png = next((tmp_path / "imagefolder").rglob("*.png")).read_bytes()
    assert read_image_settings(png).experiment.dataset == "flowers"
