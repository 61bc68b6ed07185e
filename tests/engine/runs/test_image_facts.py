"""Numbers of images: right values, orders that hold, and pictures of what changed."""

import numpy as np
import pytest
from fake_runs import fake_experiment, make_finished_run, make_half_done_run, write_fake_predictions

from delt_engine.analysis.similarity import halves
from delt_engine.errors import RunError
from delt_engine.runs.image_facts import (
    ImageFacts,
    difference_image,
    early_and_late,
    image_facts,
    matching,
    mean_distances,
    ordered,
    selected_of,
)

FACTS = (
    ImageFacts(0, 1, 40, 0.5, 0.9, 30.0),
    ImageFacts(1, 1, 40, 0.7, None, 10.0),
    ImageFacts(2, 2, 30, 0.1, 0.4, 20.0),
)


def test_each_number_is_that_of_the_run(tmp_path) -> None:
    run = make_finished_run(tmp_path / "run", fake_experiment(ipc=5))
    write_fake_predictions(run)
    facts = image_facts(run, 1)
    assert [entry.index for entry in facts] == [0, 1, 2, 3, 4]
    assert [entry.start_round for entry in facts] == [1, 1, 2, 3, 4]
    assert [entry.iterations for entry in facts] == [40, 40, 30, 20, 10]
    chosen = {image.index: image for image in run.selection() if image.class_index == 1}
    assert [entry.patch for entry in facts] == [chosen[index].patches[0].true_class_prob for index in range(5)]
    assert [entry.end for entry in facts] == [0.9, 0.8, 0.7, 0.6, 0.5]
    images = run.snapshot_images(1, 4).astype(float)
    distances = [np.sqrt(((image - images.mean(0)) ** 2).mean()) for image in images]
    assert [entry.distance for entry in facts] == pytest.approx(distances, rel=1e-5)


def test_the_last_round_written_counts_and_missing_numbers_are_none(tmp_path) -> None:
    run = make_half_done_run(tmp_path / "run")
    (run.path / "selection.csv").unlink()
    facts = image_facts(run, 0)
    assert [(entry.patch, entry.end) for entry in facts] == [(None, None)] * 4
    assert [entry.distance for entry in facts] == pytest.approx(mean_distances(run.snapshot_images(0, 2)))
    assert selected_of(run, 0) == ()


def test_images_are_sorted_both_ways_and_unknown_ones_come_last() -> None:
    def order(sort, **way):
        return [entry.index for entry in ordered(FACTS, sort, **way)]

    assert order("start") == [0, 1, 2]
    assert order("iterations") == [2, 0, 1]
    assert order("patch") == [2, 0, 1]
    assert order("distance", descending=True) == [0, 2, 1]
    assert order("end") == [2, 0, 1]
    assert order("end", descending=True) == [0, 2, 1]


def test_halves_are_by_joining_and_the_middle_image_is_in_neither() -> None:
    early, late = early_and_late(ordered(FACTS, "patch"))
    assert [entry.index for entry in early] == [0]
    assert [entry.index for entry in late] == [2]
    for ipc in (1, 4, 7):
        facts = [ImageFacts(index, start_round=index + 1, iterations=1) for index in range(ipc)]
        found = [[entry.index for entry in half] for half in early_and_late(facts[::-1])]
        assert found == [list(half) for half in halves(ipc)]  # as Diversity and the lab split a class


def test_filters_hold_together() -> None:
    assert [entry.index for entry in matching(FACTS)] == [0, 1, 2]
    assert [entry.index for entry in matching(FACTS, {1})] == [0, 1]
    assert [entry.index for entry in matching(FACTS, {1}, end=(0, 1))] == [0]
    assert [entry.index for entry in matching(FACTS, patch=(0.1, 0.5), distance=(0, 25))] == [2]


def test_differences_are_grey_where_nothing_changed_and_reach_the_ends() -> None:
    start = np.full((2, 2, 3), 100, np.uint8)
    image = start.copy()
    image[0, 0, 0], image[1, 1, 2] = 150, 75
    picture, largest = difference_image(image, start)
    assert largest == 50
    assert picture[0, 0].tolist() == [255, 128, 128]
    assert picture[1, 1].tolist() == [128, 128, 64]
    assert difference_image(start, start)[0].tolist() == np.full((2, 2, 3), 128).tolist()
    with pytest.raises(RunError, match="cannot be compared"):
        difference_image(image, start[:1])
