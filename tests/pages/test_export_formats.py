"""The export of a run in the app: what each form is for, its download made by delt export, and its lines shown."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from page_helpers import texts

from delt_engine.errors import RunError
from delt_engine.exports.formats import FORMATS
from delt_engine.jobs.export_zip import export_zip


def test_each_form_says_what_it_is_for_and_how_to_train_on_it(open_page, finished) -> None:
    app = open_page("manage/runs", run=finished.id)
    form = app.selectbox(key="runs/export_format")
    assert form.options == [one.title for one in FORMATS.values()]
    for name in ("hf", "dd-ranking", "published"):
        app.selectbox(key="runs/export_format").set_value(name).run()
        assert FORMATS[name].purpose in texts(app)
        shown = [block.value for block in app.code]
        assert any(f"{finished.id}-{name}" in block and "optimizer.step()" in block for block in shown)
        assert any(block.startswith(f"delt export {finished.id} --format {name}") for block in shown)
        labels = [button.proto.label for button in app.get("download_button")]
        assert f"Download {FORMATS[name].title}" in labels
    assert not [toggle for toggle in app.toggle if toggle.key == "runs/export_soft"]  # published has no place for them


def test_runs_without_finished_images_have_no_export(open_page, half_done) -> None:
    app = open_page("manage/runs", run=half_done.id)
    assert not [box for box in app.selectbox if box.key == "runs/export_format"]


def test_the_gallery_offers_it_too(open_page, finished) -> None:
    assert open_page("explore/gallery", run=finished.id).selectbox(key="gallery/export_format").value == "imagefolder"


def test_the_download_is_one_folder_made_by_the_command(finished) -> None:
    packed = export_zip(finished, "npz", soft_labels=False)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        names = archive.namelist()
        assert {name.split("/")[0] for name in names} == {f"{finished.id}-npz"}
        with archive.open(f"{finished.id}-npz/images.npz") as file:
            assert np.load(io.BytesIO(file.read()))["images"].shape == (12, 32, 32, 3)
    finished.image_path(0, 0).unlink()
    with pytest.raises(RunError, match="cannot be read|is missing"):
        export_zip(finished, "npz", soft_labels=False)
