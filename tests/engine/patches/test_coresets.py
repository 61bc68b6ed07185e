"""Scores of coresets against plain versions of their definitions, and the selection by them."""

import numpy as np
import pytest

from delt_engine.config import RankConfig, SelectConfig
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.errors import ConfigError
from delt_engine.patches import coresets
from delt_engine.patches.coresets import error_norms, forgetting_counts, herding_scores
from delt_engine.patches.ranking import Ranking
from delt_engine.patches.selection import select


def test_el2n_is_the_length_of_the_error_vector():
    draw = np.random.default_rng(0)
    probabilities, labels = draw.dirichlet(np.ones(5), 20), draw.integers(0, 5, 20)
    plain = [np.linalg.norm(row - np.eye(5)[label]) for row, label in zip(probabilities, labels, strict=True)]
    assert np.allclose(error_norms(probabilities, labels), plain, atol=1e-6)


def test_forgetting_counts_what_was_right_and_is_wrong_one_epoch_later():
    right = np.random.default_rng(1).random((7, 30)) < 0.5
    right[:, 0], right[:, 1] = False, True
    plain = [sum(a and not b for a, b in zip(one[:-1], one[1:], strict=True)) if one.any() else 7 for one in right.T]
    assert forgetting_counts(right).tolist() == plain
    assert (plain[0], plain[1]) == (7, 0)


def herded(points: np.ndarray) -> list[int]:
    """The definition, image by image: whoever brings the mean of those taken nearest to the mean of all."""
    taken: list[int] = []
    while len(taken) < len(points):
        left = [row for row in range(len(points)) if row not in taken]
        gaps = [np.linalg.norm(points.mean(0) - points[[*taken, row]].mean(0)) for row in left]
        taken.append(left[int(np.argmin(gaps))])
    return taken


def test_herding_takes_whoever_brings_the_mean_nearest(monkeypatch):
    features, labels = np.random.default_rng(2).normal(3, 1, (24, 6)), np.arange(24) % 2
    scores = herding_scores(features, labels)
    for label in (0, 1):
        rows = np.flatnonzero(labels == label)
        assert rows[np.argsort(-scores[rows])].tolist() == rows[herded(features[rows])].tolist()
    monkeypatch.setattr(coresets, "MOST_HERDED", 4)
    rows = np.flatnonzero(labels == 0)
    short = np.argsort(-herding_scores(features, labels)[rows])
    assert short[:5].tolist() == herded(features[rows])[:5]
    assert sorted(short) == list(range(12))


def ranking() -> Ranking:
    count = 8
    return Ranking(
        image_index=np.arange(count),
        crop_box=np.tile([0, 0, 4, 4], (count, 1)),
        label=np.repeat([0, 1], 4),
        true_class_prob=np.array([0.4, 0.1, 0.3, 0.2] * 2),
        dataset="d",
        dataset_fingerprint="f",
        teacher="t",
        teacher_fingerprint="g",
        image_size=4,
        config=RankConfig(),
        class_names=("a", "b"),
    )


@pytest.mark.parametrize(
    ("end", "taken"),
    [("highest", [[2, 1], [4, 5]]), ("lowest", [[0, 1], [6, 7]])],
)
def test_the_highest_scores_of_a_class_are_taken_first_of_equal_ones_the_harder(end, taken):
    config = SelectConfig(criterion="el2n", score_end=end)
    scores = coresets.in_order(np.array([0.0, 2.0, 5.0, 2.0, 9.0, 3.0, 1.0, 2.0], np.float32), config)
    names = [str(number) for number in range(8)]
    chosen = select(ranking(), names, EarlyLateSchedule(2, 0, 1, False), config, seed=0, classes=[0, 1], scores=scores)
    assert [[one.patches[0].image_index for one in chosen if one.class_index == c] for c in (0, 1)] == taken


def test_what_cannot_be_is_a_sentence():
    names = [str(number) for number in range(8)]
    config, schedule = SelectConfig(criterion="herding"), EarlyLateSchedule(2, 0, 1, False)
    with pytest.raises(ConfigError, match=r"criterion: herding goes by .*`delt recover --method herding`"):
        select(ranking(), names, schedule, config, seed=0, classes=[0])
    with pytest.raises(ConfigError, match="score_end: 'lowest' given, but herding is an order"):
        SelectConfig(criterion="herding", score_end="lowest")
