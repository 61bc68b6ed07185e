"""Settings of what is done with the real data: the squeeze trains a teacher, which ranks patches; some are selected.

Source: DELT Tables 4 and 10; each field names its own.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from delt_engine.config.settings import Settings, setting
from delt_engine.errors import ConfigError


class SqueezeConfig(Settings):
    """How a teacher is trained on the real data."""

    network: str = setting("resnet18", more=False)
    """Network of the teacher: a name of torchvision or timm, or convnet-3 to convnet-6."""
    width: float = setting(1.0, gt=0, le=4, more=False)
    """Share of the network's published width; 0.25 suits a CPU."""
    stem: Literal["auto", "small", "stock"] = setting("auto")
    """First layers: small is a 3x3 stem without max-pool, stock is as published; auto picks small up to 64 px."""
    epochs: int = setting(20, ge=1, le=2000, more=False)
    """Passes over the training images."""
    batch_size: int = setting(128, ge=2, le=8192)
    """Images in one training step."""
    optimizer: Literal["sgd", "adam", "adamw"] = setting("sgd", title="Optimiser")
    """adam and adamw have betas 0.9 and 0.999."""
    momentum: float = setting(0.9, ge=0, lt=1)
    """Momentum of sgd."""
    nesterov: bool = setting(True, title="Nesterov momentum", source="ours; the papers' tables take the plain one")
    """Take sgd's momentum in Nesterov's form."""
    learning_rate: float = setting(0.1, gt=0, le=10)
    """Highest learning rate."""
    weight_decay: float = setting(5e-4, ge=0, le=1)
    """Weight decay."""
    schedule: Literal["one-cycle", "cosine", "steps"] = setting("one-cycle")
    """How the learning rate moves; steps multiplies it by a factor every so many epochs."""
    step_epochs: int = setting(30, title="Epochs of a step", ge=1, le=2000, source="CDA Table 16a")
    """Epochs between two steps of the learning rate."""
    step_factor: float = setting(0.1, title="Factor of a step", gt=0, le=1, source="CDA Table 16a")
    """What a step multiplies the learning rate by."""
    label_smoothing: float = setting(0.0, ge=0, lt=1)
    """Share of the label spread over all classes."""
    min_crop: float = setting(0.6, title="Smallest crop", gt=0, le=1)
    """Smallest area share of a random crop; 1 turns crops off."""
    flip: bool = setting(True, title="Flips")
    """Mirror half of the images."""
    alternate_flips: bool = setting(False, title="Alternating flips", source="airbench; no paper here takes it")
    """With flips, mirror each image in every second epoch, from a side drawn for it, in place of by chance."""
    rand_augment: str = setting("none", title="RandAugment")
    """RandAugment in timm's writing, such as m9-n2; none turns it off."""
    cutout: float = setting(0.0, ge=0, lt=1, source="the ImageNet-21K-P recipe takes 0.5")
    """Side of a square that is painted over in each image, as a share of the image's side; 0 paints none."""
    precision: Literal["auto", "float32", "bfloat16"] = setting("auto")
    """Number format of the training step; auto is bfloat16 on a GPU, float32 elsewhere."""
    graphs: bool = setting(True, title="CUDA graphs", source="ours")
    """On a CUDA device, replay steps on images of up to 64 px as a CUDA graph."""

    @property
    def checkpoint(self) -> dict[str, Any]:
        """Network, width and stem of a checkpoint that does not say them itself, as its loader takes them."""
        return {"network": self.network, "width": self.width, "stem": None if self.stem == "auto" else self.stem}

    def teacher_name(self, dataset: str, image_size: int) -> str:
        """Return what a teacher of these settings is called.

        >>> SqueezeConfig(width=0.5).teacher_name("cifar10", 32)
        'cifar10-resnet18-w0.5-32px'
        """
        width = "" if self.width == 1.0 else f"-w{self.width:g}"
        return f"{dataset}-{self.network}{width}-{image_size}px"


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

    criterion: Literal["medium", "top", "min", "random", "el2n", "forgetting", "herding"] = setting(
        "medium", more=False, source="DELT Table 4b"
    )
    """medium takes the patches around the class's median probability; el2n, forgetting and herding take whole images
    by a score of their own, as the methods of that name do."""
    median: Literal["published", "exact"] = setting(
        "published", title="Median of an odd number", source="published: DELT data_selection.py; exact: DELT Fig. 4"
    )
    """Where medium starts when a class has an odd number of patches: one above the middle, or at the middle."""
    order: Literal["delt", "ascending", "descending", "random"] = setting("delt", source="DELT Table 10")
    """Order in which the chosen patches join: delt keeps the criterion's own order (medium: from the median outwards);
    ascending and descending go by probability."""
    mosaic: int = setting(1, ge=1, le=6, source="DELT Table 4a")
    """Patches along each side of an image: 1 is one patch an image, 2 is a 2x2 mosaic."""
    one_per_image: bool = setting(False, title="One crop per image", source="RDED keeps one of five crops")
    """Of several crops of one training image only the most probable can be taken."""
    min_probability: float = setting(0.0, title="Band from", ge=0, le=1)
    """Lower end of the band of the teacher's probability that patches are taken from, by the criterion; where a class
    has too few in the band, those nearest to it follow."""
    max_probability: float = setting(1.0, title="Band to", ge=0, le=1)
    """Upper end of the band."""
    score_end: Literal["highest", "lowest"] = setting("highest", source="Paul et al. 2021 and Toneva et al. 2019")
    """From which end el2n and forgetting take: highest takes the hardest images, lowest the easiest."""
    score_networks: int = setting(3, ge=1, le=100, source="Paul et al. 2021 average 10")
    """Short trainings that the score of el2n or forgetting is averaged over; forgetting as a method takes 1."""
    score_epochs: int = setting(10, ge=1, le=2000, source="Paul et al. 2021 score after 10 to 20 epochs")
    """Passes over the training images in each of these; forgetting as a method takes 20."""
    pinned: tuple[int, ...] = setting((), title="Pinned patches")
    """Rows of the ranking whose patches are taken whatever the criterion says."""
    dropped: tuple[int, ...] = setting((), title="Dropped patches")
    """Rows of the ranking whose patches are not taken; the next in line replace them."""
    picked_from: str = setting("")
    """Key of the ranking that the rows of pinned and dropped count in, as `delt rank --json` prints it; when given,
    another ranking is refused."""

    @model_validator(mode="after")
    def _band_in_order(self) -> SelectConfig:
        low, high = self.min_probability, self.max_probability
        if low > high:
            raise ConfigError(f"min_probability: {low} given, but it must not be above max_probability = {high}.")
        return self

    @model_validator(mode="after")
    def _herding_from_the_front(self) -> SelectConfig:
        if self.criterion == "herding" and self.score_end == "lowest":
            raise ConfigError("score_end: 'lowest' given, but herding is an order, so it must be 'highest'.")
        return self

    @property
    def has_band(self) -> bool:
        """Whether patches are taken from a part of the probabilities only."""
        return (self.min_probability, self.max_probability) != (0.0, 1.0)

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
