"""A zip of chosen images, written in pieces; settings in a PNG come back, anything else is refused with a sentence."""

import csv
import io
import json
import zipfile

import numpy as np
import pytest
from fake_runs import fake_experiment, make_finished_run, make_half_done_run, prepare
from PIL import Image

from delt_engine.bench.large_run import make_large_run
from delt_engine.config import Experiment, SelectConfig
from delt_engine.errors import RunError
from delt_engine.pipeline.run import run_experiment
from delt_engine.runs.export import Chosen, image_text, read_image_settings, run_zip, zip_chunks
from delt_engine.runs.store import Run
from delt_engine.runs.strips import png_bytes

pytest_plugins = ["tiny_world"]
PICTURE = np.zeros((4, 4, 3), np.uint8)


def opened(*chosen: Chosen) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(io.BytesIO(b"".join(zip_chunks(chosen))))
    assert archive.testzip() is None
    return archive


def test_finished_images_go_out_as_they_are(tmp_path) -> None:
    run = make_finished_run(tmp_path / "run")
    archive = opened(Chosen(run, 1, (0, 2)), Chosen(run, 2))
    folder = run.class_folder(1)
    assert archive.read(f"run/{folder}/0002.png") == run.image_path(1, 2).read_bytes()
    assert [name for name in archive.namelist() if name.endswith(".png")] == [
        "run/cat/0000.png",
        "run/cat/0002.png",
        *(f"run/coffee/000{index}.png" for index in range(4)),
    ]


def test_an_earlier_round_is_cut_from_its_strip_with_its_settings(tmp_path) -> None:
    run = make_half_done_run(tmp_path / "run")
    archive = opened(Chosen(run, 1, (1,), 1), Chosen(run, 0, (3,)))
    png = archive.read("run/cat/0001.png")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), run.snapshot_images(1, 1)[1])
    found = read_image_settings(png)
    assert (found.class_name, found.index, found.iterations, found.experiment.recover) == (
        "cat",
        1,
        0,
        run.experiment.recover,
    )
    assert np.array_equal(
        np.asarray(Image.open(io.BytesIO(archive.read("run/astronaut/0003.png")))), run.snapshot_images(0, 2)[3]
    )


def test_the_experiment_and_a_table_lie_beside_the_classes(tmp_path) -> None:
    run = make_finished_run(tmp_path / "run")
    archive = opened(Chosen(run, 1, (3,)))
    (tmp_path / "e.yaml").write_bytes(archive.read("run/experiment.yaml"))
    assert Experiment.read(tmp_path / "e.yaml") == run.experiment
    (row,) = csv.DictReader(io.StringIO(archive.read("run/images.csv").decode()))
    patch = run.selection()[7].patches[0]
    assert (row["class"], row["index"], row["start_round"], row["iterations"]) == ("cat", "3", "4", "10")
    assert (row["round"], row["sources"]) == ("4", patch.source)
    assert float(row["true_class_prob"]) == pytest.approx(patch.true_class_prob, rel=1e-5)


def test_two_runs_lie_in_folders_of_their_own_and_the_same_choice_gives_the_same_bytes(tmp_path) -> None:
    first, second = make_finished_run(tmp_path / "a"), make_finished_run(tmp_path / "b", fake_experiment("cda"))
    chosen = (Chosen(first, 0, (0,)), Chosen(second, 0, (0,)))
    assert {name.split("/")[0] for name in opened(*chosen).namelist()} == {"a", "b"}
    assert b"".join(zip_chunks(chosen)) == b"".join(zip_chunks(chosen))


def test_it_comes_in_pieces_that_are_no_larger_than_an_image_needs(tmp_path) -> None:
    run = make_large_run(tmp_path / "run", num_classes=3, ipc=50)
    pieces = list(zip_chunks([Chosen(run, 0), Chosen(run, 2)]))
    total = sum(map(len, pieces))
    assert len(pieces) >= 100
    assert max(map(len, pieces)) < total / 5


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"class_index": 1, "indices": (4,)}, "class 1 has 0 to 3"),
        ({"class_index": 1, "indices": (-1,)}, "0 to 3"),
        ({"class_index": 7}, "has no images of it"),
        ({"class_index": 1, "round_number": 9}, "cat of run run has no snapshot"),
    ],
)
def test_what_is_not_there_is_refused_before_the_first_byte(tmp_path, chosen, words) -> None:
    run = make_half_done_run(tmp_path / "run")
    with pytest.raises(RunError, match=words):
        zip_chunks([Chosen(run, 0), Chosen(run, **chosen)])
    with pytest.raises(RunError, match="at least one"):
        zip_chunks([])


def test_an_image_of_a_run_gives_its_settings_back_and_a_snapshot_says_the_same(world, settings) -> None:
    experiment = settings(seed=7, select=SelectConfig(criterion="top"))
    run = Run.create(world / "a", experiment)
    run_experiment(run)
    found, origin = read_image_settings(run.image_path(1, 2).read_bytes()), run.selection()[6]
    assert (found.class_name, found.index, found.start_round, found.iterations) == ("green", 2, 3, 4)
    assert found.experiment.recover == experiment.recover
    assert found.experiment.select == experiment.select
    assert (found.experiment.dataset, found.experiment.seed, found.experiment.teacher) == ("colours", 7, "colours")
    assert found.sources == (origin.patches[0].source,)
    text = image_text(run, 1, 2, 4, origin)
    assert text.pop("round") == 4
    assert json.loads(json.dumps(text)) == json.loads(Image.open(run.image_path(1, 2)).info["delt"])
    assert [image_text(run, 1, 2, number, None)["iterations"] for number in (3, 1)] == [2, 0]


def test_a_teacher_that_is_not_here_is_looked_for_anew_and_settings_that_are_not_allowed_are_named(tmp_path) -> None:
    run = prepare(tmp_path / "run", fake_experiment())
    text = image_text(run, 0, 0, 4, None) | {"teacher": "somebody-elses"}
    assert read_image_settings(png_bytes(PICTURE, text)).experiment.teacher == "auto"
    text["settings"] = {**text["settings"], "iterations": -4}
    with pytest.raises(RunError, match="iterations: -4 given"):
        read_image_settings(png_bytes(PICTURE, text))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a PNG"),
        (b"hello", "not a PNG"),
        (b"\xff\xd8\xff\xe0", "not a PNG"),
        (png_bytes(PICTURE, {"x": 1})[:60], "not a PNG"),
        (png_bytes(PICTURE), "no settings of DELT Studio"),
        (png_bytes(PICTURE, {"class": "cat"}), "incomplete"),
        (png_bytes(PICTURE, [1, 2]), "damaged"),
    ],
)
def test_anything_else_is_refused_with_a_sentence(data, words) -> None:
    with pytest.raises(RunError, match=words):
        read_image_settings(data)


def test_a_whole_run_is_one_zip_also_where_classes_have_no_snapshots(tmp_path) -> None:
    run = make_finished_run(tmp_path / "run")
    for strip in (run.path / "snapshots" / run.class_folder(2)).iterdir():
        strip.unlink()
    archive = zipfile.ZipFile(io.BytesIO(run_zip(run)))
    names = archive.namelist()
    assert [name for name in names if "coffee" in name] == [f"run/coffee/{index:04d}.png" for index in range(4)]
    assert archive.read("run/coffee/0001.png") == run.image_path(2, 1).read_bytes()
    assert (len(names), {"run/images.csv", "run/experiment.yaml"} <= set(names)) == (14, True)
    with pytest.raises(RunError, match="no snapshot of it"):
        zip_chunks([Chosen(run, 2, round_number=1)])
