"""The lab as one file: everything inside, at most 8 MB, and refusals before anything is written."""

from __future__ import annotations

import json
import re

import pytest
from fake_runs import fake_experiment, make_finished_run

from delt_engine.errors import DataError
from delt_engine.lab.material import Lab, open_lab
from delt_engine.paths import assets_dir
from delt_engine.pipeline import lab_page as pages
from delt_engine.pipeline.lab_page import check_place, lab_page, write_lab_page


@pytest.fixture(scope="module")
def lab() -> Lab:
    return open_lab(assets_dir() / "lab" / "cifar10-mini")


def data_of(page) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page.text).group(1))


def test_a_page_holds_its_lessons_and_asks_no_network(lab, tmp_path) -> None:
    runs = [make_finished_run(tmp_path / name, fake_experiment(name, ipc=12)) for name in ("delt", "cda")]
    lab = Lab(lab.folder, lab.record.model_copy(update={"dataset_fingerprint": "f00d"}))  # that of the runs
    page = lab_page(lab, runs)
    data = data_of(page)
    assert page.classes == lab.class_names == tuple(entry["name"] for entry in data["classes"])
    assert data["opensWith"] == lab.record.opens_with
    assert len(page.lessons) == len(data["lessons"]) == 4
    addresses = set(re.findall(r"https?://[^\"'\s)]+", page.text))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # a name, not a place
    assert "default-src 'none'" in page.text
    cat = data["classes"][3]
    assert [len(film["lanes"]) for film in cat["films"]] == [3, 4, 4]
    assert [(one["n"], one["tile"]) for one in cat["sets"]] == [(10, 32), (10, 32)]  # of 12, both ends
    alike = [method["alike"]["cat"] for method in data["claim"]["methods"]]
    assert cat["more"] == (alike[1] > alike[0])
    assert f"{alike[0]:.3f}" in cat["answer"]
    horse = data["classes"][7]  # a class that those runs do not have
    assert "sets" not in horse
    assert horse["halves"]["late"] == lab.halves("horse").late[-1]


def test_classes_for_which_there_is_no_room_are_named(lab, monkeypatch) -> None:
    whole = len(lab_page(lab, []).text.encode())
    monkeypatch.setattr(pages, "MOST_BYTES", whole // 2)
    page = lab_page(lab, [])
    assert len(page.text.encode()) <= whole // 2
    assert lab.record.opens_with in page.classes
    assert set(page.classes) | set(page.left_out) == set(lab.class_names)
    assert page.left_out
    monkeypatch.setattr(pages, "MOST_BYTES", 100_000)
    with pytest.raises(DataError, match="more than 0.1 MB"):
        lab_page(lab, [])


def test_large_images_are_shrunk(lab, monkeypatch) -> None:
    monkeypatch.setattr(pages, "LARGEST", 16)
    entry = data_of(lab_page(lab, []))["classes"][0]
    assert entry["films"][0]["tile"] == entry["halves"]["tile"] == 16
    assert entry["sheet"].startswith("data:image/jpeg")


def test_no_name_can_end_the_script(lab) -> None:
    evil = "</script><script>alert(1)</script>"
    page = lab_page(Lab(lab.folder, lab.record.model_copy(update={"title": evil})), [])
    assert "<script>alert" not in page.text
    assert data_of(page)["title"] == evil


def test_a_page_is_written_whole_or_refused(lab, tmp_path, monkeypatch) -> None:
    page = lab_page(lab, [])
    path = tmp_path / "new" / "lab.html"
    assert write_lab_page(path, page) == path
    write_lab_page(path, page)  # over what stands there
    assert path.read_text(encoding="utf-8") == page.text
    with pytest.raises(DataError, match="is a folder; name a file"):
        write_lab_page(tmp_path, page)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="no folder that can be written"):
        check_place(tmp_path / "file" / "lab.html")
    monkeypatch.setattr(pages, "_PARTS", tmp_path)
    with pytest.raises(DataError, match="copy of the project's repository"):
        lab_page(lab, [])
