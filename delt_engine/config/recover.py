"""Settings of recovery: how the images are optimised, and what the methods change.

Source: DELT Table 8 (paper/settings.json), CDA Algorithm 1; each field names its own.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from delt_engine.config.methods import METHOD_SETTINGS, Method, is_optimised
from delt_engine.config.schedule import EarlyLateSchedule, check_rounds
from delt_engine.config.settings import Settings, setting
from delt_engine.errors import ConfigError


class RecoverConfig(Settings):
    """How the images are optimised. Defaults are DELT's; :meth:`for_method` gives the baselines'."""

    method: Method = setting(
        "delt",
        "delt, cda, cda-init (CDA from real patches) and sre2l are one loop with other settings; rded and random "
        "take real patches as they are, the easiest crops or random ones.",
        title="Method",
        more=False,
    )
    ipc: int = setting(10, "Synthetic images per class.", title="Images per class (IPC)", ge=1, le=10000, more=False)
    iterations: int = setting(
        4000,
        "Iterations of the first images; 0 with a method that optimises nothing.",
        title="Iterations (MI)",
        ge=0,
        le=1_000_000,
        flag="--mi",
        more=False,
        source="DELT Table 8b",
    )
    round_iterations: int = setting(
        500,
        "Iterations between two rounds; must divide MI.",
        title="Round iterations (RI)",
        ge=1,
        le=1_000_000,
        flag="--ri",
        more=False,
        source="DELT Table 8b",
    )
    early_late: bool = setting(
        True, "Images join round by round; off lets all join in round 1.", title="EarlyLate", source="DELT Eq. 7"
    )
    initialization: Literal["patches", "noise"] = setting(
        "patches",
        "What the images start from: selected real patches, or Gaussian noise.",
        title="Start from",
        source="DELT Table 8b",
    )
    batching: Literal["classes", "images"] = setting(
        "classes",
        "What shares a batch, and so BatchNorm statistics: whole classes, or the n-th images of all classes.",
        title="Batch of",
        source="DELT and CDA recovery code",
    )
    batch_size: int = setting(
        100,
        "Images optimised together; a class larger than this is a batch of its own.",
        title="Batch size",
        ge=1,
        le=65536,
        source="DELT Table 8b",
    )
    learning_rate: float = setting(
        0.25,
        "Adam's learning rate at the start; one cosine over MI.",
        title="Learning rate",
        gt=0,
        le=10,
        source="DELT Table 8b",
    )
    beta1: float = setting(0.5, "Adam's first beta.", title="Adam beta 1", ge=0, lt=1, source="DELT Table 8b")
    beta2: float = setting(0.9, "Adam's second beta.", title="Adam beta 2", ge=0, lt=1, source="DELT Table 8b")
    r_bn: float = setting(
        0.01,
        "Weight of the BatchNorm statistics in the loss.",
        title="BatchNorm weight",
        ge=0,
        le=1000,
        source="DELT Table 8b (alpha_BN)",
    )
    first_bn_multiplier: float = setting(
        10.0,
        "Weight of the first BatchNorm layer against the others.",
        title="First BatchNorm layer",
        ge=0,
        le=1000,
        source="published recovery code",
    )
    curriculum: Literal["cosine", "linear", "step", "constant", "reverse"] = setting(
        "cosine",
        "How the smallest crop moves over the run, from easy (whole image) to hard.",
        title="Crop curriculum",
        source="CDA Algorithm 1",
    )
    milestone: float = setting(
        1.0, "Share of MI at which the curriculum ends.", title="Milestone", gt=0, le=1, source="CDA Table 18"
    )
    min_crop: float = setting(
        0.08,
        "Smallest area share of a crop, reached at the milestone.",
        title="Smallest crop",
        gt=0,
        le=1,
        source="DELT Table 12",
    )
    max_crop: float = setting(
        1.0, "Largest area share of a crop.", title="Largest crop", gt=0, le=1, source="DELT Table 12"
    )
    flip: bool = setting(True, "Mirror the whole batch in half of the iterations.", title="Flips")
    jitter: int = setting(
        0,
        "Largest roll of the batch in pixels before each step; CDA and SRe2L take 4, and 32 at 224 px.",
        title="Jitter",
        ge=0,
        le=64,
        source="the published scripts: DELT 0, CDA and SRe2L 4 up to 64 px, 32 at 224 px",
    )
    adam_counters: Literal["shared", "per-image"] = setting(
        "shared",
        "Bias correction of Adam: shared as published, or counted from each image's own start.",
        title="Adam counters",
        source="shared: published; per-image: ours",
    )
    restart_rounds: bool = setting(
        False,
        "Restart the learning rate and the crop curriculum in every round.",
        title="Restart each round",
        source="ours; the published flag has no effect",
    )
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto",
        "Number format of the teacher's work; auto is bfloat16 on a CUDA device and exact float32 elsewhere.",
        title="Precision",
        source="ours; images, statistics and losses stay in float32",
    )
    fold: Literal["auto", "on", "off"] = setting(
        "auto",
        "Fold BatchNorm into the convolutions, with the same losses to rounding; auto does so where it can be done.",
        title="Fold BatchNorm",
        source="ours",
    )
    pack: int = setting(
        0,
        "Batches with the same schedule that take a step together, each for itself; 0 lets the device decide.",
        title="Batches a step",
        ge=0,
        le=64,
        source="ours",
    )
    compile: Literal["auto", "on", "off"] = setting(
        "auto",
        "Use torch.compile; auto is off, for its start takes long and a CPU gains nothing.",
        title="Compile",
        source="ours",
    )

    @classmethod
    def for_method(cls, method: str, **values: Any) -> RecoverConfig:
        """Return the method's settings with ``values`` on top.

        Raises:
            ConfigError: unknown method, or a value out of its limits.
        """
        if method not in METHOD_SETTINGS:
            raise ConfigError(f"method: {method!r} given, but it must be one of {', '.join(METHOD_SETTINGS)}.")
        return cls(**{"method": method, **METHOD_SETTINGS[method], **values})

    @model_validator(mode="after")
    def _rounds_and_crops(self) -> RecoverConfig:
        if self.is_optimised:
            if self.iterations < 1:
                raise ConfigError(f"iterations: {self.iterations} given, but {self.method} needs at least 1.")
            check_rounds(self.iterations, self.round_iterations)
        elif self.iterations or self.initialization != "patches":
            raise ConfigError(
                f"method: {self.method} given with MI = {self.iterations} from {self.initialization}, but it "
                "optimises nothing: MI must be 0 and the images start from patches."
            )
        if self.min_crop > self.max_crop:
            raise ConfigError(f"min_crop: {self.min_crop} given, but it must not be above max_crop = {self.max_crop}.")
        return self

    @property
    def is_optimised(self) -> bool:
        """Whether the images are optimised, or taken as they were selected."""
        return is_optimised(self.method)

    @property
    def schedule(self) -> EarlyLateSchedule:
        """The rounds of one class under these settings; none where nothing is optimised."""
        return EarlyLateSchedule(self.ipc, self.iterations, self.round_iterations, self.early_late)
