"""Settings of every stage: one frozen, validated record each, gathered in an Experiment.

Limits, defaults, help and the table a default is from stand here once; the command line's options, the app's
controls and the docs are drawn from :func:`field_specs`. A wrong value raises ConfigError with one sentence that
names the field, what came and what is allowed.

Source: DELT Table 8 (paper/settings.json), CDA Algorithm 1; each field names its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import field_validator, model_validator

from delt_engine.errors import ConfigError
from delt_engine.methods import METHOD_SETTINGS, METHOD_STAGES, Method, is_optimised, stage_settings
from delt_engine.patch_config import RankConfig, SelectConfig
from delt_engine.recovery.schedule import EarlyLateSchedule, check_rounds
from delt_engine.settings import FieldSpec, Settings, field_specs, setting
from delt_engine.student_config import EvaluateConfig, RelabelConfig

__all__ = [
    "METHOD_SETTINGS",
    "METHOD_STAGES",
    "EvaluateConfig",
    "Experiment",
    "FieldSpec",
    "RankConfig",
    "RecoverConfig",
    "RelabelConfig",
    "SelectConfig",
    "Settings",
    "SqueezeConfig",
    "field_specs",
    "is_optimised",
    "stage_settings",
]


class SqueezeConfig(Settings):
    """How a teacher is trained on the real data."""

    network: str = setting(
        "resnet18",
        "Network of the teacher: a name of torchvision or timm, or convnet-3 to convnet-6.",
        title="Network",
        more=False,
    )
    width: float = setting(
        1.0, "Share of the network's published width; 0.25 suits a CPU.", title="Width", gt=0, le=4, more=False
    )
    stem: Literal["auto", "small", "stock"] = setting(
        "auto",
        "First layers: small is a 3x3 stem without max-pool, stock is as published; auto picks small up to 64 px.",
        title="Stem",
    )
    epochs: int = setting(20, "Passes over the training images.", title="Epochs", ge=1, le=2000, more=False)
    batch_size: int = setting(128, "Images in one training step.", title="Batch size", ge=2, le=8192)
    optimizer: Literal["sgd", "adamw"] = setting("sgd", "sgd uses Nesterov momentum 0.9.", title="Optimiser")
    learning_rate: float = setting(0.1, "Highest learning rate.", title="Learning rate", gt=0, le=10)
    weight_decay: float = setting(5e-4, "Weight decay.", title="Weight decay", ge=0, le=1)
    schedule: Literal["one-cycle", "cosine"] = setting("one-cycle", "How the learning rate moves.", title="Schedule")
    label_smoothing: float = setting(
        0.0, "Share of the label spread over all classes.", title="Label smoothing", ge=0, lt=1
    )
    min_crop: float = setting(
        0.6, "Smallest area share of a random crop; 1 turns crops off.", title="Smallest crop", gt=0, le=1
    )
    flip: bool = setting(True, "Mirror half of the images.", title="Flips")
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "Number format of the training step; auto is bfloat16 on a GPU, float32 elsewhere.", title="Precision"
    )


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


class Experiment(Settings):
    """Everything one run needs: the data, the teacher, and the settings of each stage."""

    dataset: str = setting(
        "photos",
        "Name of a dataset in the catalogue, or a folder with one folder of images a class.",
        title="Dataset",
        more=False,
    )
    image_size: int | None = setting(
        None,
        "Side of the square images in pixels; as the dataset has it when not given.",
        title="Image size",
        ge=8,
        le=1024,
    )
    teacher: str = setting(
        "auto",
        "Shipped or trained teacher by name, or a checkpoint file; auto finds one for the dataset.",
        title="Teacher",
    )
    classes: tuple[str, ...] | None = setting(None, "Recover these classes only; all when not given.", title="Classes")
    seed: int = setting(
        0, "The same seed on the same device gives the same images.", title="Seed", ge=0, le=2**31 - 1, more=False
    )
    device: str = setting("auto", "auto, cpu, cuda, cuda:1, ... or mps.", title="Device")
    squeeze: SqueezeConfig = SqueezeConfig()
    rank: RankConfig = RankConfig()
    select: SelectConfig = SelectConfig()
    recover: RecoverConfig = RecoverConfig()
    relabel: RelabelConfig = RelabelConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @field_validator("classes", mode="before")
    @classmethod
    def _classes_given(cls, value: Any) -> Any:
        if value is not None and not isinstance(value, str) and len(tuple(value)) == 0:
            raise ConfigError("classes: an empty list given, but at least one class is needed.")
        return value

    @classmethod
    def for_method(
        cls, method: str, *, size: int | None = None, recover: Mapping[str, Any] | None = None, **values: Any
    ) -> Experiment:
        """Return an experiment with a method's settings in every stage, and ``values`` on top.

        Args:
            method: its name.
            size: side of the dataset's images in pixels, for what depends on it; ``image_size`` when not given.
            recover: settings of the recovery on top of the method's.
            values: settings of the experiment; of a stage a mapping on top of the method's, or a whole record.

        Raises:
            ConfigError: an unknown method or name, or a value that is not allowed.

        >>> Experiment.for_method("rded", size=224, rank={"crops": 3}).rank.crops
        3
        """
        values["recover"] = RecoverConfig.for_method(method, **(recover or {}))
        for stage, settings in stage_settings(method, size or values.get("image_size")).items():
            given = values.get(stage, {})
            if isinstance(given, Mapping):
                values[stage] = {**settings, **given}
        return cls(**values)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], size_of: Callable[[str], int | None] | None = None) -> Experiment:
        """Read an experiment from plain values; ``recover.method`` and ``evaluate.recipe`` set their defaults first.

        Args:
            values: settings by name, of a stage as a mapping.
            size_of: tells the side of a dataset's images in pixels, for methods in which something depends on it.

        Raises:
            ConfigError: an unknown name or a value that is not allowed.
        """
        values = dict(values)
        evaluate = values.get("evaluate")
        if isinstance(evaluate, Mapping):
            evaluate = dict(evaluate)
            values["evaluate"] = EvaluateConfig.for_recipe(evaluate.pop("recipe", "delt"), **evaluate)
        recover = values.get("recover")
        if not isinstance(recover, Mapping):
            return cls(**values)
        recover = dict(recover)
        method = recover.pop("method", "delt")
        size = size_of(str(values.get("dataset", "photos"))) if size_of and method in METHOD_STAGES else None
        return cls.for_method(method, **{**values, "recover": recover, "size": values.get("image_size") or size})

    @classmethod
    def read(cls, path: str | Path, size_of: Callable[[str], int | None] | None = None) -> Experiment:
        """Read an experiment from a YAML or JSON file; see :meth:`from_mapping`.

        Raises:
            ConfigError: no such file, not YAML, or a value that is not allowed.
        """
        path = Path(path)
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"experiment: {path} cannot be read ({error.strerror}).") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            first_line = str(error).splitlines()[0]
            raise ConfigError(f"experiment: {path} is neither YAML nor JSON ({first_line}).") from None
        if not isinstance(values, Mapping):
            raise ConfigError(f"experiment: {path} must hold names and values, but holds {type(values).__name__}.")
        return cls.from_mapping(values, size_of)

    def to_yaml(self) -> str:
        """Return the experiment as YAML that :meth:`read` takes back."""
        return yaml.safe_dump(json.loads(self.model_dump_json()), sort_keys=False, allow_unicode=True)
