"""Real images that stand for all of them, by a score: EL2N, forgetting and herding; what a score is, and where it lies.

A score belongs to a training image; whoever has the highest of its class is taken first. EL2N and forgetting come from
short trainings of the teacher's network, herding from the teacher's features. They are computed once for each dataset
(:mod:`delt_engine.pipeline.coreset_scores`) and found again.

Shapes: N images, of a class n, K classes, D features.

Source: Paul, Ganguli and Dziugaite 2021, "Deep Learning on a Data Diet", Sec. 2.2 (EL2N); Toneva et al. 2019, "An
Empirical Study of Example Forgetting", Alg. 1 and Def. 3.1; Welling 2009, "Herding Dynamical Weights to Learn", in the
form of Rebuffi et al. 2017, "iCaRL", Alg. 4, which the field's condensation code takes.
Differs: the short trainings run their whole learning rate schedule over their few epochs, where Paul et al. stop the
first tenth of a long one; forgetting looks at all images after each epoch, where Toneva et al. look at an image when it
is in a batch, and sees it whole, not augmented; features are not normalised to length 1 as iCaRL's are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from delt_engine.config import SelectConfig
from delt_engine.config.methods import CORESETS
from delt_engine.data.cache import open_arrays, store_arrays
from delt_engine.errors import ConfigError
from delt_engine.models.card import TeacherCard

MOST_HERDED = 1000
"""Images of a class that herding puts in order; those after them follow by what they would do for its next choice."""

_FORMAT = 1


def needs_scores(config: SelectConfig) -> bool:
    """Return whether a selection goes by scores of the training images."""
    return config.criterion in CORESETS


def error_norms(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return EL2N of one network: the length of (probabilities - one-hot label), of (N, K) and (N,), float32 (N,).

    >>> error_norms(np.array([[4.0, 4.0], [1.0, 0.0]]), np.array([0, 0])).tolist()
    [5.0, 0.0]
    """
    errors = np.array(probabilities, dtype=np.float64)
    errors[np.arange(len(labels)), labels] -= 1.0
    return np.sqrt((errors**2).sum(1)).astype(np.float32)


def forgetting_counts(correct: Iterable[np.ndarray]) -> np.ndarray:
    """Return how often each image was forgotten, float32 (N,), of whether it was right after each epoch, bool (N,).

    It is forgotten when it was right after an epoch and is wrong after the next one. One that was never right counts as
    more often than any could be: as many times as there were epochs.

    >>> forgetting_counts(np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 1, 0]], dtype=bool)).tolist()
    [2.0, 0.0, 4.0]
    """
    right = np.stack(list(correct))
    counts = (right[:-1] & ~right[1:]).sum(0).astype(np.float32)
    return np.where(right.any(0), counts, np.float32(len(right)))


def herding_scores(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the order of herding as scores, the first image of each class highest, float32 (N,), of features (N, D).

    Each image that is taken brings the mean of those taken as near to the class's mean as one image can; equal ones are
    taken as they lie.

    >>> herding_scores(np.array([[0.0], [4.0], [9.0], [3.0]]), np.array([0, 0, 0, 0])).tolist()
    [1.0, 4.0, 2.0, 3.0]
    """
    scores = np.empty(len(labels), np.float32)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        scores[rows[_herded(features[rows])]] = np.arange(len(rows), 0, -1)
    return scores


def _herded(features: np.ndarray) -> np.ndarray:
    """Return the images of a class, (n, D), in the order of herding."""
    points = features.astype(np.float64)
    to_mean, squares = points @ points.mean(0), (points**2).sum(1)
    to_taken, is_left, order = np.zeros(len(points)), np.ones(len(points), dtype=bool), []
    for count in range(1, min(len(points), MOST_HERDED) + 1):
        gains = np.where(is_left, _gains(count, to_mean, to_taken, squares), -np.inf)
        order.append(int(gains.argmax()))
        is_left[order[-1]] = False
        to_taken += points @ points[order[-1]]
    left = np.flatnonzero(is_left)
    gains = _gains(len(order) + 1, to_mean, to_taken, squares)[left]
    return np.array([*order, *left[np.argsort(-gains, kind="stable")]], dtype=np.int64)


def _gains(count: int, to_mean: np.ndarray, to_taken: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return what orders images by the distance of the mean of ``count`` images to the class's, nearest highest."""
    return 2 * count * to_mean - 2 * to_taken - squares


def scores_key(dataset_fingerprint: str, card: TeacherCard, config: SelectConfig, seed: int) -> str:
    """Return the name under which scores are stored; of herding only teacher and images count."""
    about: Sequence[object] = (card.fingerprint,)
    if config.criterion != "herding":
        training = (card.network, card.width, card.stem)
        about = (*training, config.score_networks, config.score_epochs, seed)
    text = repr((_FORMAT, dataset_fingerprint, config.criterion, *about))
    return f"coreset-{config.criterion}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def stored_scores(
    dataset_fingerprint: str, card: TeacherCard | None, config: SelectConfig, seed: int
) -> np.ndarray | None:
    """Return the scores that were computed before, float32 (N,), highest taken first; None where there are none."""
    if card is None or not needs_scores(config):
        return None
    found = open_arrays(scores_key(dataset_fingerprint, card, config, seed), ("scores",))
    return in_order(found["scores"], config) if found else None


def store_scores(
    scores: np.ndarray, dataset_fingerprint: str, card: TeacherCard, config: SelectConfig, seed: int
) -> np.ndarray:
    """Keep scores where :func:`stored_scores` finds them, and return them as that does."""
    key = scores_key(dataset_fingerprint, card, config, seed)
    return in_order(store_arrays(key, {"scores": scores})["scores"], config)


def in_order(scores: np.ndarray, config: SelectConfig) -> np.ndarray:
    """Return scores so that the highest are taken first, from whichever end the settings take."""
    return -np.asarray(scores) if config.score_end == "lowest" else np.asarray(scores)


def missing_scores(config: SelectConfig) -> ConfigError:
    """Return what to say where scores are asked for that nobody has computed."""
    return ConfigError(
        f"criterion: {config.criterion} goes by a score of every training image that is not computed yet for this data "
        f"and these settings; `delt recover --method {config.criterion}` computes it."
    )
