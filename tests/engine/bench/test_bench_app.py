"""The benchmark of the app: a run to look at, a real server that is visited, and what is made of the times."""

import csv
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from delt_engine.bench.app import PAGES, Session, Visit, opened_browser, results, session
from delt_engine.bench.large_run import make_large_run
from delt_engine.errors import RunError
from delt_engine.runs.events import StepEvent
from delt_engine.runs.export import read_image_settings, run_zip
from delt_engine.runs.store import Run


def test_the_large_run_is_a_finished_run(tmp_path):
    make_large_run(tmp_path / "run", num_classes=3, ipc=8)
    run = Run.open(tmp_path / "run")
    assert run.status == "finished"
    assert len(run.selection()) == 24
    assert run.rounds_written(2) == list(range(9))
    assert run.snapshot_images(2, 8).shape == (8, 32, 32, 3)
    assert run.latest_event(StepEvent).image_iterations == run.experiment.recover.schedule.image_iterations(3)


def test_its_finished_images_can_be_written_and_leave_as_one_zip(tmp_path):
    run = make_large_run(tmp_path / "run", num_classes=3, ipc=8, has_images=True)
    archive = zipfile.ZipFile(io.BytesIO(run_zip(run)))
    assert len([name for name in archive.namelist() if name.endswith(".png")]) == 24
    rows = list(csv.DictReader(io.StringIO(archive.read("run/images.csv").decode())))
    chosen = {(image.class_index, image.index): image for image in run.selection()}
    expected = [(f"train/{label:04d}/{index:05d}", chosen[label, index].iterations) for label, index in sorted(chosen)]
    assert [(row["sources"], int(row["iterations"])) for row in rows] == expected
    assert read_image_settings(archive.read("run/class 0000/0003.png")).index == 3


def visited(script, folder):
    with opened_browser() as browser:
        found = session(browser, script, folder, ["", ""])
        with pytest.raises(RunError, match="app: the server did not start"):
            session(browser, folder / "none.py", folder, ())
    return found


def test_a_server_is_started_visited_and_ended(tmp_path):
    script = tmp_path / "plain.py"
    script.write_text('import time\nimport streamlit as st\n\nst.write(time.time_ns())\nst.exception(OSError("x"))\n')
    with ThreadPoolExecutor(1) as thread:  # the browser tests have a loop in the main thread, which playwright refuses
        found = thread.submit(visited, script, tmp_path).result()
    assert [visit.page for visit in found.visits] == ["", "", ""]
    assert all(visit.has_error for visit in found.visits)
    assert found.cold_s > found.visits[0].seconds > 0
    assert found.has_torch in (False, None)


def test_times_become_results():
    plain = Session(0.5, (Visit("", 0.1, False), Visit("", 0.05, False)), has_torch=False)
    visits = [Visit(page, seconds, False) for seconds in (2.0, 0.1) for page in PAGES]
    visits += [Visit("gallery", 0.8, True), Visit("gallery", 0.9, False)]
    cold, *pages = (
        found.to_record() for found in results([plain], [Session(2.0, (Visit("", 0.4, False), *visits), False)])
    )
    assert (cold["case"], cold["seconds"], cold["plain_rate"], cold["ratio"]) == ("cold start", 2.0, 2.0, 0.25)
    assert cold["meets_goal"] is True
    by_name = {record["case"]: record for record in pages}
    assert list(by_name) == list(PAGES)
    runs, gallery = by_name["runs"], by_name["gallery"]
    assert (runs["seconds"], runs["first_seconds"], runs["has_error"]) == (0.1, 2.0, False)
    assert runs["ratio"] == pytest.approx(0.5)
    assert (gallery["has_error"], gallery["meets_goal"]) == (True, False)
