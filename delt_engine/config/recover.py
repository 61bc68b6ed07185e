"""Settings of recovery: how the images are optimised, and what the methods change.

Source: DELT Table 8 (paper/settings.json), CDA Algorithm 1; each field names its own.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from delt_engine.config.methods import BATCH_TO_BATCH, IMPORTED, METHOD_SETTINGS, Method, is_optimised, recover_settings
from delt_engine.config.schedule import EarlyLateSchedule, check_rounds
from delt_engine.config.settings import Settings, setting
from delt_engine.errors import ConfigError

_DC_EPOCHS = ((1, 1), (10, 50), (20, 25), (30, 20), (40, 15), (50, 10))
"""Epochs of the network's training between two steps of dc, up to an IPC."""


class RecoverConfig(Settings):
    """How the images are optimised. Defaults are DELT's; :meth:`for_method` gives the baselines'."""

    method: Method = setting("delt", more=False, unlisted=(IMPORTED,))
    """delt, cda, sre2l and gvbsm are one loop with other settings; delt-plus is delt with switches of ours;
    -init starts cda or sre2l from real patches; cda-early-late adds EarlyLate and, for it, batches of whole classes;
    gvbsm recovers from several teachers; dm and dc match batches of real images, in features or gradients of random
    networks; rded takes the easiest crops as they are, el2n, forgetting and herding real images by a score, random
    any."""
    ipc: int = setting(10, title="Images per class (IPC)", ge=1, le=10000, more=False)
    """Synthetic images per class."""
    iterations: int = setting(
        4000, title="Iterations (MI)", ge=0, le=1_000_000, flag="--mi", more=False, source="DELT Table 8b"
    )
    """Iterations of the first images; 0 with a method that optimises nothing."""
    round_iterations: int = setting(
        500, title="Round iterations (RI)", ge=1, le=1_000_000, flag="--ri", more=False, source="DELT Table 8b"
    )
    """Iterations between two rounds; must divide MI."""
    early_late: bool = setting(True, title="EarlyLate", source="DELT Eq. 7")
    """Images join round by round; off lets all join in round 1."""
    initialization: Literal["patches", "noise"] = setting("patches", title="Start from", source="DELT Table 8b")
    """What the images start from: selected real patches, or Gaussian noise."""
    batching: Literal["classes", "one-per-class", "images", "all"] = setting(
        "classes", title="Batch of", source="DELT: classes; CDA, SRe2L: one-per-class; images: ours"
    )
    """What shares a batch, and so BatchNorm statistics: whole classes, the n-th image of each class, or, with images,
    these filled up to the batch size with the next images of the same classes; all is one batch, as dc needs it."""
    batch_size: int = setting(100, ge=1, le=65536, source="DELT Table 8b")
    """Images optimised together; a class larger than this is a batch of its own."""
    learning_rate: float = setting(0.25, gt=0, le=10, source="DELT Table 8b")
    """Adam's learning rate at the start; one cosine over MI."""
    beta1: float = setting(0.5, title="Adam beta 1", ge=0, lt=1, source="DELT Table 8b")
    """Adam's first beta; with dm and dc, which take steps of SGD, its momentum."""
    beta2: float = setting(0.9, title="Adam beta 2", ge=0, lt=1, source="DELT Table 8b")
    """Adam's second beta."""
    r_bn: float = setting(0.01, title="BatchNorm weight", ge=0, le=1000, source="DELT Table 8b (alpha_BN)")
    """Weight of the BatchNorm statistics in the loss."""
    first_bn_multiplier: float = setting(
        10.0,
        title="First BatchNorm layer",
        ge=0,
        le=1000,
        source="--first-bn-multiplier of the recovery code of SRe2L, CDA and DELT; no paper prints it",
    )
    """Weight of the first BatchNorm layer against the others."""
    committee: bool = setting(False, source="G-VBSM")
    """Recover from several teachers, one an iteration in turn: those of --teachers."""
    conv_statistics: bool = setting(False, title="Convolution statistics", source="G-VBSM")
    """Match what each convolution is given as well: mean and variance of channels and of patches over the training
    images, gathered once and kept."""
    patch_side: int = setting(4, ge=1, le=256, source="G-VBSM's code: 4 up to 64 px, 16 at 224 px")
    """Side of the patches in positions of a layer's input, for the statistics of convolutions."""
    statistics_ema: float = setting(
        0.0, title="EMA of statistics", ge=0, lt=1, source="G-VBSM's code: 0.8 up to 64 px, 0.4 at 224 px"
    )
    """Weight of former iterations in the running average of statistics that is matched; 0 matches each iteration's."""
    layer_drop: float = setting(
        0.0, title="Layer drop", ge=0, lt=1, source="G-VBSM's code: 0.4 up to 64 px, none at 224 px"
    )
    """Share of the convolutions that an iteration passes over, drawn at random."""
    densification: float = setting(0.0, title="Data densification", ge=0, le=1000, source="G-VBSM's code: 1")
    """Weight of the loss that keeps the images of a class apart."""
    sgd_rate: float = setting(1.0, title="Image learning rate (SGD)", gt=0, le=1000, source="DM's code: 1; DC's: 0.1")
    """Constant learning rate of SGD on the images, in dm and dc."""
    real_batch: int = setting(256, title="Real images a class", ge=1, le=65536, source="DM's and DC's code")
    """Real images of each class that dm and dc draw in every iteration."""
    matching_depth: int = setting(
        3, title="Matching network, depth", ge=1, le=6, source="DM and DC: ConvNet-3; 4 at 64 px"
    )
    """Blocks of the random ConvNet under which dm and dc match."""
    matching_width: int = setting(128, title="Matching network, width", ge=1, le=1024, source="DM and DC")
    """Channels of each of its blocks."""
    network_steps: int = setting(
        0, title="Steps a network", ge=0, le=10_000, source="DC's code: 1, 10, 50 at IPC 1, 10, 50"
    )
    """Iterations that dc takes with one network before the next; 0 takes as many as images a class, 50 at most."""
    network_epochs: int = setting(
        0, title="Epochs between steps", ge=0, le=10_000, source="DC's code: 50, 25, 20, 15, 10 at IPC 10 to 50"
    )
    """Passes over the synthetic images in which dc trains its network before each further step; 0 goes by IPC."""
    siamese: bool = setting(False, title="Siamese augmentation", source="DSA; DC's code: off")
    """Show dm's and dc's networks real and synthetic images through the same crop and flip, those set below."""
    curriculum: Literal["cosine", "linear", "step", "constant", "reverse"] = setting(
        "cosine", title="Crop curriculum", source="CDA Algorithm 1"
    )
    """How the smallest crop moves over the run, from easy (whole image) to hard."""
    milestone: float = setting(1.0, gt=0, le=1, source="CDA Table 18")
    """Share of MI at which the curriculum ends."""
    min_crop: float = setting(
        0.08,
        title="Smallest crop",
        gt=0,
        le=1,
        source="DELT Table 12; CDA Sec. 3.1, where it makes the decay gamma 0.92",
    )
    """Smallest area share of a crop, reached at the milestone."""
    max_crop: float = setting(1.0, title="Largest crop", gt=0, le=1, source="DELT Table 12; CDA Sec. 3.1")
    """Largest area share of a crop."""
    flip: bool = setting(
        True,
        title="Flips",
        source="RandomHorizontalFlip in the recovery code of SRe2L, CDA and DELT; SRe2L's CIFAR script has none",
    )
    """Mirror the whole batch in half of the iterations."""
    pad: int = setting(0, title="Pad and crop", ge=0, le=128, source="G-VBSM's code: 4 at 32 px, 8 at 64 px")
    """Pad the batch by so many pixels and crop it back at random, in place of crops by area; 0 crops by area."""
    jitter: int = setting(
        0, ge=0, le=64, source="the published scripts: DELT 0, CDA and SRe2L 4 up to 64 px, 32 at 224 px"
    )
    """Largest roll of the batch in pixels before each step; CDA and SRe2L take 4, and 32 above 64 px, G-VBSM 32."""
    jitter_both_ways: bool = setting(
        False, title="Roll both ways", source="SRe2L's Tiny-ImageNet script; all others roll one way"
    )
    """Roll by -jitter to jitter pixels in place of 0 to jitter."""
    adam_counters: Literal["shared", "per-image"] = setting("shared", source="shared: published; per-image: ours")
    """Bias correction of Adam: shared as published, or counted from each image's own start."""
    restart_rounds: bool = setting(False, title="Restart each round", source="ours; the published flag has no effect")
    """Restart the learning rate and the crop curriculum in every round."""
    remix: float = setting(0.0, title="Re-mix", ge=0, lt=1, source="FADRM: 0.5")
    """Share of its start image that an image takes back when the next round begins."""
    bn_targets: Literal["running", "class", "difficulty"] = setting(
        "running", title="BatchNorm targets", source="DELT: running; EDC, PSM: by class or difficulty"
    )
    """What BatchNorm statistics are matched with: running, the teacher's own, by the whole batch; class, those of the
    class's training images, by its images in the batch; difficulty, of those as hard as the start images alone."""
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", source="ours; images, statistics and losses stay in float32"
    )
    """Number format of the teacher's work; auto is bfloat16 on a CUDA device and exact float32 elsewhere."""
    fold: Literal["auto", "on", "off"] = setting("auto", title="Fold BatchNorm", source="ours")
    """Fold BatchNorm into the convolutions, with the same losses to rounding; auto does so where it can be done."""
    pack: int = setting(0, title="Batches a step", ge=0, le=64, source="ours")
    """Batches with the same schedule that take a step together, each for itself; 0 lets the device decide."""
    compile: Literal["auto", "on", "off"] = setting("auto", source="ours")
    """Use torch.compile; auto is off, for its start takes long and a CPU gains nothing."""
    static_shapes: Literal["auto", "on", "off"] = setting("auto", source="ours")
    """Crop by matrix products in steps of one shape, which a CUDA graph replays; auto does so on a CUDA device."""

    @classmethod
    def for_method(cls, method: str, *, size: int | None = None, **values: Any) -> RecoverConfig:
        """Return the method's settings with ``values`` on top; ``size``: side of the images in pixels, where known.

        Raises:
            ConfigError: unknown method, or a value out of its limits.
        """
        if method not in METHOD_SETTINGS:
            raise ConfigError(f"method: {method!r} given, but it must be one of {', '.join(METHOD_SETTINGS)}.")
        return cls(**{"method": method, **recover_settings(method, size), **values})

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
        if self.is_plain and self.pack > 1:
            raise ConfigError(
                f"pack: {self.pack} given, but with statistics of convolutions, their EMA, data densification, dm or "
                "dc batches take their steps one by one; it must be 0 or 1."
            )
        if self.is_batch_to_batch and self.precision == "bfloat16":
            raise ConfigError(f"precision: 'bfloat16' given, but {self.method} computes in float32.")
        if self.method == "dc" and self.batching != "all":
            raise ConfigError(
                f"batching: {self.batching!r} given, but dc trains its networks on all images; it must be 'all'."
            )
        return self

    @model_validator(mode="after")
    def _targets(self) -> RecoverConfig:
        if self.bn_targets == "running":
            return self
        name = f"bn_targets: {self.bn_targets} given"
        if self.is_plain:
            raise ConfigError(
                f"{name}, but with statistics of convolutions, their EMA or data densification, and with dm and dc, it "
                "must be running."
            )
        if self.batching == "images":
            raise ConfigError(
                f"{name} with a batch of images, but each class must have as many of them; batching must be classes "
                "or one-per-class."
            )
        if self.bn_targets == "difficulty" and self.initialization != "patches":
            raise ConfigError(f"{name}, but noise has no difficulty; the images must start from patches.")
        return self

    @property
    def matches_generally(self) -> bool:
        """Whether more is matched than the BatchNorm statistics of each iteration."""
        return self.conv_statistics or self.statistics_ema > 0 or self.densification > 0

    @property
    def is_batch_to_batch(self) -> bool:
        """Whether batches of real images are matched, and no teacher."""
        return self.method in BATCH_TO_BATCH

    @property
    def is_plain(self) -> bool:
        """Whether it is computed without speed-ups, batch by batch."""
        return self.matches_generally or self.is_batch_to_batch

    @property
    def network_loop(self) -> tuple[int, int]:
        """Iterations that a network of dc serves, and the epochs of its training before each but the first.

        Source: DC's get_loops, for IPC 1, 10, 20, 30, 40 and 50; dm's networks serve once.
        Differs: other IPC take the epochs of the next of these.

        >>> RecoverConfig.for_method("dc", ipc=10).network_loop, RecoverConfig.for_method("dc", ipc=35).network_loop
        ((10, 50), (35, 15))
        """
        if self.method != "dc":
            return 1, 0
        epochs = next((count for most, count in _DC_EPOCHS if self.ipc <= most), _DC_EPOCHS[-1][1])
        return self.network_steps or min(self.ipc, _DC_EPOCHS[-1][0]), self.network_epochs or epochs

    @property
    def is_optimised(self) -> bool:
        """Whether the images are optimised, or taken as they were selected."""
        return is_optimised(self.method)

    def batches_that_fill(self, num_classes: int) -> int:
        """Return how many batches hold ``batch_size`` images together; more than 1 for one image each of few classes.

        >>> cda = RecoverConfig.for_method("cda")
        >>> cda.batches_that_fill(10), cda.batches_that_fill(1000), RecoverConfig(ipc=10).batches_that_fill(10)
        (10, 1, 1)
        """
        return max(1, self.batch_size // num_classes) if self.batching == "one-per-class" else 1

    @property
    def schedule(self) -> EarlyLateSchedule:
        """The rounds of one class under these settings; none where nothing is optimised."""
        return EarlyLateSchedule(self.ipc, self.iterations, self.round_iterations, self.early_late)
