import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from delt_engine.config import RecoverConfig
from delt_engine.errors import DataError
from delt_engine.lab import material as labs
from delt_engine.lab.material import Lab, TwinRecord, open_lab, sheet_png, write_lab
from delt_engine.paths import assets_dir


def small_lab(folder) -> Lab:
    """A lab of one patch with two twins on three moments."""
    film = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8, 3), dtype=np.uint8)
    twins = (
        TwinRecord(start_round=1, row=0, first=0, change=(0, 1, 2), distance=(0, 1, 2), probability=(0.1, 0.2, 0.3)),
        TwinRecord(start_round=2, row=1, first=1, change=(0, 1), distance=(0, 1), probability=(0.1, 0.2)),
    )
    shipped = open_lab(assets_dir() / "lab" / "cifar10-mini").record
    files = {"film": "film.png", "stages_sheet": "stages.png", "stages": ()}
    subject = shipped.subjects[0].model_copy(update={"class_index": 1, "index": 0, "twins": twins, **files})
    config = RecoverConfig(ipc=4, iterations=4, round_iterations=2)
    data = {"dataset": "colours", "class_names": ("red", "green"), "classes": (1,), "image_size": 8, "halves": ()}
    run = {"recover": config, "moments": (0, 2, 4), "start_rounds": (1, 2), "subjects": (subject,)}
    record = shipped.model_copy(update={**data, **run})
    return write_lab(folder, record, {"film.png": film})


def test_a_lab_comes_back_as_it_was_written(tmp_path) -> None:
    made = small_lab(tmp_path / "lab")
    read = open_lab(tmp_path / "lab")
    assert read.record == made.record
    film = read.tiles("film.png")
    assert np.array_equal(film, np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8, 3), dtype=np.uint8))
    (subject,) = read.subjects("green")
    frames = read.frames(subject, subject.twins[1])
    assert np.array_equal(frames, film[1, [0, 0, 1]])
    assert read.class_names == ("green",)


def test_a_sheet_is_a_grid_of_tiles() -> None:
    tiles = np.arange(2 * 3).reshape(2, 3, 1, 1, 1).repeat(4, 2).repeat(4, 3).repeat(3, 4).astype(np.uint8)
    picture = np.asarray(Image.open(io.BytesIO(sheet_png(tiles))))
    assert picture.shape == (8, 12, 3)
    assert picture[::4, ::4, 0].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_damage_is_named(tmp_path) -> None:
    with pytest.raises(DataError, match="holds none"):
        open_lab(tmp_path)
    made = small_lab(tmp_path / "lab")
    with pytest.raises(DataError, match="stages.png"):
        made.tiles("stages.png")
    with pytest.raises(DataError, match="has green"):
        made.halves("red")
    (tmp_path / "secret.png").write_bytes(b"x")
    with pytest.raises(DataError, match="cannot be read"):  # a name cannot lead out of the folder
        made.png("../secret.png")
    path = tmp_path / "lab" / "lab.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "moments": "x"}))
    with pytest.raises(DataError, match="moments"):
        open_lab(tmp_path / "lab")
    path.write_text(json.dumps({**values, "schema_version": 99}))
    with pytest.raises(DataError, match="later version"):
        open_lab(tmp_path / "lab")


def test_the_users_labs_come_first(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(labs, "assets_dir", lambda: tmp_path / "assets")
    small_lab(tmp_path / "assets" / "lab" / "photos")
    small_lab(tmp_path / "assets" / "lab" / "digits")
    small_lab(tmp_path / "home" / "labs" / "photos")
    assert labs.lab_folders() == {
        "photos": tmp_path / "home" / "labs" / "photos",
        "digits": tmp_path / "assets" / "lab" / "digits",
    }


def test_the_default_datasets_lab_comes_first_and_one_of_ones_own_hides_the_shipped(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(tmp_path))
    monkeypatch.setattr(labs, "assets_dir", lambda: tmp_path / "assets")
    assert labs.find_lab() is None
    for folder in ("labs/animals", "labs/photos", "assets/lab/photos", "assets/lab/zoo"):
        small_lab(tmp_path / folder)
    monkeypatch.setattr(labs, "Experiment", lambda: SimpleNamespace(dataset="other"))
    assert list(labs.lab_folders()) == ["animals", "photos", "zoo"]
    assert labs.lab_folders()["photos"] == tmp_path / "labs" / "photos"
    monkeypatch.setattr(labs, "Experiment", lambda: SimpleNamespace(dataset="zoo"))
    assert next(iter(labs.lab_folders())) == labs.find_lab().name == "zoo"
    assert labs.find_lab("/somewhere/animals").name == "animals"
    assert labs.find_lab("unheard") is None
