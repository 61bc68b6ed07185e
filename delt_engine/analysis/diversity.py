"""How alike are the images of a class? Cosines to the class centroid and of all pairs, in features or in pixels.

The published measure is, in DELT's words, the "average cosine similarity between each sample of 50 IPCs using the
associated cluster centroid within the same class". A centroid is here the plain mean of the features of the class's
images, as clusterings have it, and the features are not scaled to length 1 before it is taken; lower is more diverse.

n images of d numbers each; C classes, R draws, K outputs of a network.

Source: DELT Sec. 1 and Fig. 2, left (a pretrained ResNet-18, ImageNet-1K, IPC 50); no code for it is published.
Differs: the features of our ``teacher`` space are those of the run's own teacher; ``second`` takes a network that took
no part in recovery, since images are optimised against the teacher and may only seem diverse, or alike, to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from delt_engine.analysis.similarity import centroid_cosine, halves, pair_cosine
from delt_engine.data.pixels import normalise, to_pixels
from delt_engine.errors import CheckpointError, ShapeError

Vectors = Callable[[np.ndarray], np.ndarray]
"""From uint8 images (n, S, S, 3) to float (n, d)."""

IMAGES_AT_ONCE = 512


class NetworkOutputs(NamedTuple):
    """What a network makes of n images: ``features`` float (n, d), ``probabilities`` float (n, K); on the CPU."""

    features: Tensor
    probabilities: Tensor


@torch.no_grad()
def network_outputs(network: nn.Module, images: Tensor, batch_size: int = 256) -> NetworkOutputs:
    """Return features, which the last linear layer of a network in eval mode is given, and probabilities.

    ``images`` are normalised, float (n, 3, S, S), on the device of the network.

    Raises:
        CheckpointError: the network has no linear layer.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise CheckpointError("network: it has no linear layer, so there are no features before one.")
    given: list[Tensor] = []
    hook = layers[-1].register_forward_pre_hook(lambda _layer, inputs: given.append(inputs[0].flatten(1)))
    try:
        logits = [network(part) for part in images.split(batch_size)]
    finally:
        hook.remove()
    return NetworkOutputs(torch.cat(given).float().cpu(), torch.cat(logits).float().softmax(dim=1).cpu())


def network_vectors(network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> Vectors:
    """Return what turns images into features of a network in eval mode, whose training data had this mean and std."""
    device: torch.device = next(network.parameters()).device
    return lambda image_u8: network_outputs(network, normalise(to_pixels(image_u8, device), mean, std)).features.numpy()


def draw_images(available: int, images: int, draws: int, *keys: int) -> np.ndarray:
    """Return which of the available images of a class are taken, int64 (R, n), each draw ascending, none twice.

    All of them make a single draw. The same ``keys`` (seed, class and the like) give the same draws.

    Raises:
        ShapeError: more images than there are, or fewer than two.
    """
    if not 2 <= images <= available:
        raise ShapeError(f"images: {images} given, but 2 to {available} a class can be compared.")
    if images == available:
        return np.arange(available)[None]
    pick = [np.sort(np.random.default_rng([*keys, draw]).permutation(available)[:images]) for draw in range(draws)]
    return np.stack(pick)


@dataclass(frozen=True, eq=False)
class ClassImages:
    """The images of one class: ``read`` gives some of them, uint8 (k, S, S, 3), by index from 0 to ``available``."""

    class_index: int
    available: int
    read: Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Measures:
    """Arrays as :class:`delt_engine.analysis.diversity_store.DiversityResult` describes them."""

    cosine: np.ndarray
    index: np.ndarray
    pairwise: np.ndarray
    halves: np.ndarray


def measure(
    classes: Sequence[ClassImages],
    vectors: Vectors,
    *,
    images: int,
    draws: int = 1,
    seed: int = 0,
    is_early_late: bool = False,
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Measures:
    """Measure classes one after the other; only the vectors of a few classes are in memory at once.

    Of each class n = ``images`` are taken, in R = ``draws`` where it has more. With ``is_early_late`` the halves of a
    class by the order of joining are compared too; that needs all its images, at least 4. ``report`` gets how many
    images are done, of how many.

    Raises:
        ShapeError: a class has too few images.
    """
    whole = all(each.available == images for each in classes)
    picks = [draw_images(each.available, images, 1 if whole else draws, seed, each.class_index) for each in classes]
    # a class with no more than n images has a single draw, also where others have several
    index = np.stack([np.repeat(pick, max(map(len, picks)) // len(pick), axis=0) for pick in picks])
    needed = [np.unique(pick) for pick in index]
    rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    done, total = 0, sum(map(len, needed))
    report(0, total)
    for group in _groups([len(chosen) for chosen in needed]):
        image_u8 = np.concatenate([classes[number].read(needed[number]) for number in group])
        features = np.split(vectors(image_u8), np.cumsum([len(needed[number]) for number in group])[:-1])
        for number, found in zip(group, features, strict=True):
            rows.append(_of_class(found[np.searchsorted(needed[number], index[number])], is_early_late))
        done += len(image_u8)
        report(done, total)
    cosine, pairwise, compared = (np.stack([row[part] for row in rows]) for part in range(3))
    return Measures(cosine, index, pairwise, compared if compared.size else np.zeros((0, 2, 2)))


def _groups(counts: Sequence[int]) -> list[list[int]]:
    """Return neighbouring class positions that have about :data:`IMAGES_AT_ONCE` images together."""
    groups: list[list[int]] = []
    for number, count in enumerate(counts):
        if not groups or sum(counts[each] for each in groups[-1]) + count > IMAGES_AT_ONCE:
            groups.append([])
        groups[-1].append(number)
    return groups


def _of_class(drawn: np.ndarray, is_early_late: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return cosines (R, n), pairwise (R,) and halves (2, 2) or (0,) of drawn vectors (R, n, d)."""
    cosine = np.stack([centroid_cosine(vectors) for vectors in drawn])
    pairwise = np.array([pair_cosine(vectors) for vectors in drawn])
    if not is_early_late or drawn.shape[1] < 4:
        return cosine, pairwise, np.zeros(0)
    parts = [drawn[0, half.start : half.stop] for half in halves(drawn.shape[1])]
    return cosine, pairwise, np.array([[centroid_cosine(part).mean(), pair_cosine(part)] for part in parts])
