"""``delt import`` as it is typed, and what other commands make of an imported run."""

import shutil

import numpy as np
import pytest
from PIL import Image

from delt_engine.runs.strips import read_png


@pytest.fixture
def published(colours, tmp_path):
    """Four training images of each colour, as if others had made them."""
    for folder in sorted((colours / "train").iterdir()):
        (tmp_path / "published" / folder.name).mkdir(parents=True)
        for image in sorted(folder.iterdir())[:4]:
            shutil.copy(image, tmp_path / "published" / folder.name)
    return tmp_path / "published"


def test_a_published_set_is_imported_and_then_a_run_like_others(answer, refusal, colours, published, tmp_path) -> None:
    data = ["--dataset", colours, "--image-size", 8]
    found = answer("import", published, *data, "--method-name", "MTT", "--out", tmp_path / "run")
    assert {name: found[name] for name in ("method", "layout", "classes", "ipc", "image_size")} == {
        "method": "MTT",
        "layout": "folder",
        "classes": 3,
        "ipc": 4,
        "image_size": 8,
    }
    first = Image.open(published / "blue" / "00.png")
    assert np.array_equal(read_png(tmp_path / "run" / "images" / "blue" / "0000.png"), np.asarray(first))
    assert any("takes 100 % of the images for their class" in note for note in found["notes"])
    result = answer("evaluate", tmp_path / "run", "--epochs", 1, "--student", "convnet-3", "--out", tmp_path / "eval")
    assert result["method_title"] == "MTT"
    again = refusal("import", published, *data, "--out", tmp_path / "run", code=1)
    assert "holds a recover run that is finished" in again
    assert "one of" in refusal("recover", "--method", "imported", *data)
    assert "no class of" in refusal("import", published, "--dataset", "digits")
