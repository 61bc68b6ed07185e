"""Where random crops fall for bounds of their area: what CDA Figure 2 shows, without torch.

Source: CDA Fig. 2 and Sec. 2; torchvision's RandomResizedCrop.get_params, as :func:`delt_engine.recovery.augment.
crop_boxes` draws it, which a test holds this to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BOUNDS = ((0.08, 0.08), (0.08, 0.2), (0.08, 0.6), (0.08, 1.0), (0.4, 1.0), (0.8, 1.0))
"""Smallest and largest area of a crop, from hard to easy: bounds of CDA Table 2."""

_TRIES = 10
_LOG_RATIO = np.log(4 / 3)


@dataclass(frozen=True, eq=False)
class CropDistribution:
    """Crops for one pair of bounds: ``boxes`` int (n, 4), top, left, height and width in pixels."""

    low: float
    high: float
    image_size: int
    boxes: np.ndarray

    @property
    def title(self) -> str:
        """The bounds."""
        return f"{self.low:g} to {self.high:g}"

    @property
    def centres(self) -> np.ndarray:
        """Centres of the crops as shares of the side, (n, 2): down and across."""
        return (self.boxes[:, :2] + self.boxes[:, 2:] / 2) / self.image_size

    @property
    def mean_area(self) -> float:
        """Mean share of the image's area."""
        return float(self.boxes[:, 2:].prod(axis=1).mean() / self.image_size**2)

    @property
    def centre_spread(self) -> float:
        """Standard deviation of the centres as a share of the side, mean of both directions."""
        return float(self.centres.std(axis=0).mean())


def crop_distributions(count: int = 1000, image_size: int = 224, seed: int = 0) -> tuple[CropDistribution, ...]:
    """Return ``count`` seeded crops for each of :data:`BOUNDS`.

    >>> [round(one.mean_area, 2) for one in crop_distributions()][-1] > 0.8
    True
    """
    draws = np.random.default_rng(seed).random((count, 2 * _TRIES + 2))
    return tuple(
        CropDistribution(low, high, image_size, crop_boxes(draws, low, high, image_size)) for low, high in BOUNDS
    )


def crop_boxes(draws: np.ndarray, low: float, high: float, image_size: int) -> np.ndarray:
    """Return random crops of square images, int64 (n, 4): top, left, height, width.

    Args:
        draws: float64 (n, 22), uniform in [0, 1): ten areas, ten aspect ratios, and the place.
        low: least area share of a crop; ``high`` the largest.
    """
    areas, ratios, place = np.split(draws, (_TRIES, 2 * _TRIES), axis=1)
    area = image_size**2 * (low + (high - low) * areas)
    ratio = np.exp(_LOG_RATIO * (2 * ratios - 1))
    sides = np.stack((np.sqrt(area / ratio), np.sqrt(area * ratio)), axis=2).round()  # (n, tries, height and width)
    fits = ((sides > 0) & (sides <= image_size)).all(axis=2)
    first = fits.argmax(axis=1)
    chosen = np.where(np.any(fits, axis=1, keepdims=True), sides[np.arange(len(draws)), first], float(image_size))
    corner = np.floor(place * (image_size - chosen + 1))
    return np.concatenate((corner, chosen), axis=1).astype(np.int64)
