"""What the teacher said round by round: right numbers, no image changed, joined and shown images only."""

import numpy as np
import pytest
from fake_runs import fake_experiment, prepare
from tiny_world import finished, run_until_stopped, stop_at

from delt_engine.data.pixels import normalise, to_pixels
from delt_engine.models.teachers import load_teacher
from delt_engine.pipeline import recover_batch
from delt_engine.pipeline.run import run_experiment
from delt_engine.runs.predictions import (
    Prediction,
    is_due,
    last_probabilities,
    likeliest_classes,
    predictions_of,
    predictions_path,
    read_round,
    rounds_predicted,
    write_predictions,
)
from delt_engine.runs.store import Run

pytest_plugins = ["tiny_world"]


@pytest.fixture
def often(monkeypatch) -> None:
    """The tiny runs have rounds of two iterations; look after each."""
    monkeypatch.setattr("delt_engine.runs.predictions.GAP_ITERATIONS", 1)


def said(run: Run) -> dict[str, bytes]:
    return {str(path.relative_to(run.path)): path.read_bytes() for path in run.path.glob("predictions/*/*.json")}


def test_the_numbers_are_the_teachers_own(world, settings, often) -> None:
    run = finished(world / "a", settings())
    teacher = load_teacher(str(world / "home" / "teachers" / "colours.safetensors"))
    start = normalise(to_pixels(run.snapshot_images(1, 0)), teacher.card.mean, teacher.card.std)
    probabilities = teacher.network(start).softmax(1).numpy()
    found = read_round(run, 1, 0)
    assert sorted(found) == [0, 1, 2, 3]
    for index, row in enumerate(probabilities):
        assert found[index].true_class_prob == pytest.approx(row[1], abs=1e-5)
        assert found[index].classes == tuple(np.argsort(-row)[:5])
        assert found[index].probs == pytest.approx(np.sort(row)[::-1][:5], abs=1e-5)


def test_waiting_images_are_not_looked_at_again(world, settings, often) -> None:
    run = finished(world / "a", settings())
    assert rounds_predicted(run, 0) == [0, 1, 2, 3, 4]
    assert [sorted(read_round(run, 0, number)) for number in range(1, 5)] == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]
    assert [entry.round_number for entry in predictions_of(run, 0, 2)] == [0, 3, 4]


def test_looking_changes_no_image(world, settings, often, monkeypatch) -> None:
    looked = finished(world / "a", settings())
    monkeypatch.setattr(recover_batch.RecoverJob, "predict_shown", lambda *_: None)
    plain = finished(world / "b", settings())
    assert said(looked)
    assert not said(plain)
    for class_index in looked.classes:
        for number in looked.rounds_written(class_index):
            images = looked.snapshot_images(class_index, number)
            assert np.array_equal(images, plain.snapshot_images(class_index, number))


def test_a_stopped_run_ends_with_the_same_numbers(world, settings, often, monkeypatch) -> None:
    whole = finished(world / "a", settings())
    run = Run.create(world / "b", settings())
    with monkeypatch.context() as stopping:
        stop_at(stopping, 4)  # in the middle of round 3
        run_until_stopped(run)
    assert rounds_predicted(run, 0) == [0, 1, 2]
    run_experiment(run)
    assert said(run) == said(whole)


@pytest.mark.parametrize("batching", ["classes", "images"])
def test_batches_share_a_file_and_only_shown_classes_have_one(world, settings, often, batching) -> None:
    run = finished(world / "a", settings(batching=batching, batch_size=5), snapshot_classes=2)
    assert {path.split("/")[1] for path in said(run)} == {run.class_folder(0), run.class_folder(1)}
    assert sorted(read_round(run, 1, 4)) == [0, 1, 2, 3]
    assert read_round(run, 2, 4) == {}
    assert [run.rounds_written(class_index) for class_index in run.classes] == [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [4]]
    assert run.snapshot_images(2, 4).shape == (4, 8, 8, 3)  # the last one is the finished images
    assert len(list(run.path.glob("images/*/*.png"))) == 12


def test_short_rounds_are_looked_at_every_so_often_and_the_last_always() -> None:
    assert [number for number in range(1, 8) if is_due(number, 5, 7)] == [6, 7]
    assert all(is_due(number, 500, 8) for number in range(1, 9))


def test_written_numbers_come_back_and_others_stay(tmp_path) -> None:
    run = prepare(tmp_path / "run", fake_experiment())
    write_predictions(run, [(0, 0), (1, 3)], np.array([[0.7, 0.1, 0.2], [0.25, 0.5, 0.25]]), 2)
    write_predictions(run, [(0, 1)], np.array([[0.2, 0.3, 0.5]]), 2)
    assert read_round(run, 0, 2) == {
        0: Prediction(2, 0.7, (0, 2, 1), (0.7, 0.2, 0.1)),
        1: Prediction(2, 0.2, (2, 1, 0), (0.5, 0.3, 0.2)),
    }
    assert read_round(run, 1, 2) == {3: Prediction(2, 0.5, (1, 0, 2), (0.5, 0.25, 0.25))}
    write_predictions(run, [(0, 1)], np.array([[0.9, 0.0, 0.1]]), 3)
    assert last_probabilities(run, 0) == {0: 0.7, 1: 0.9}


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"images": 3}'])
def test_a_damaged_file_counts_as_none(tmp_path, text) -> None:
    run = prepare(tmp_path / "run", fake_experiment())
    path = predictions_path(run, 0, 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(text)
    assert read_round(run, 0, 1) == {}


def test_the_likeliest_classes_are_the_own_one_and_the_best_others() -> None:
    said = (
        Prediction(0, 0.01, (4, 5, 6, 7, 8), (0.5, 0.2, 0.1, 0.05, 0.04)),
        Prediction(2, 0.6, (3, 9, 5, 4, 6), (0.6, 0.3, 0.05, 0.03, 0.01)),
    )
    found = likeliest_classes(said, 3)
    assert list(found) == [3, 4, 9, 5, 6, 7]
    assert found[3] == [0.01, 0.6]
    assert found[9] == [None, 0.3]
    assert found[4] == [0.5, 0.03]
