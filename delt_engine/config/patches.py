"""Settings of ranking and selecting: what the teacher scores, and which patches start the synthetic images.

Source: DELT Tables 4 and 10; each field names its own.
"""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from delt_engine.config.settings import Settings, setting
from delt_engine.errors import ConfigError


class RankConfig(Settings):
    """What the teacher scores."""

    crops: int = setting(
        0, title="Crops per image", ge=0, le=64, more=False, source="DELT scores whole images; RDED 5 crops"
    )
    """Random crops scored per image; 0 scores the whole image."""
    min_crop: float = setting(0.25, title="Smallest crop", gt=0, le=1, flag="--crop-min")
    """Smallest area share of a crop."""
    max_crop: float = setting(1.0, title="Largest crop", gt=0, le=1, flag="--crop-max")
    """Largest area share of a crop."""
    batch_size: int = setting(256, ge=1, le=65536, flag="--rank-batch-size")
    """Patches scored at once."""

    @model_validator(mode="after")
    def _crops_in_order(self) -> RankConfig:
        if self.min_crop > self.max_crop:
            raise ConfigError(f"min_crop: {self.min_crop} given, but it must not be above max_crop = {self.max_crop}.")
        return self


class SelectConfig(Settings):
    """Which ranked patches start the synthetic images, and in what order they join."""

    criterion: Literal["medium", "top", "min", "random"] = setting("medium", more=False, source="DELT Table 4b")
    """medium takes the patches around the class's median probability."""
    order: Literal["delt", "ascending", "descending", "random"] = setting("delt", source="DELT Table 10")
    """Order in which the chosen patches join: delt keeps the criterion's own order (medium: from the median outwards);
    ascending and descending go by probability."""
    mosaic: int = setting(1, ge=1, le=5, source="DELT Table 4a")
    """Patches along each side of an image: 1 is one patch an image, 2 is a 2x2 mosaic."""
    one_per_image: bool = setting(False, title="One crop per image", source="RDED keeps one of five crops")
    """Of several crops of one training image only the most probable can be taken."""
    pinned: tuple[int, ...] = setting((), title="Pinned patches")
    """Rows of the ranking whose patches are taken whatever the criterion says."""
    dropped: tuple[int, ...] = setting((), title="Dropped patches")
    """Rows of the ranking whose patches are not taken; the next in line replace them."""
    picked_from: str = setting("")
    """Key of the ranking that the rows of pinned and dropped count in, as `delt rank --json` prints it; when given,
    another ranking is refused."""

    @model_validator(mode="after")
    def _rows_told_apart(self) -> SelectConfig:
        for name in ("pinned", "dropped"):
            rows = getattr(self, name)
            if rows and min(rows) < 0:
                raise ConfigError(f"{name}: {min(rows)} given, but rows of a ranking count from 0.")
        both = sorted({*self.pinned} & {*self.dropped})
        if both:
            raise ConfigError(f"pinned: patch {both[0]} given, but it is dropped as well; it can be one of the two.")
        return self
