"""Settings of relabelling and of student training: the evaluation recipes of the field as named records.

A number is only comparable with another one of the same recipe, so a recipe is a name, and what was changed against
it is told beside every result (:meth:`EvaluateConfig.changes`).

Source: each recipe names its own; what a recipe leaves open follows from :mod:`delt_engine.config.student_rules`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from delt_engine.config.settings import Settings, field_specs, setting
from delt_engine.config.student_rules import batch_size_rule, learning_rate_rule, min_crop_rule, rand_augment_rule
from delt_engine.errors import ConfigError

Recipe = Literal[
    "delt",
    "sre2l",
    "rded",
    "edc",
    "hard",
    "sre2l-cifar",
    "sre2l-tiny-imagenet",
    "cda",
    "cda-cifar100",
    "cda-tiny-imagenet",
    "cda-imagenet-21k",
    "gvbsm",
    "gvbsm-cifar",
    "delt-flips",
]

_STORED: dict[str, Any] = {"lr_schedule": "cosine", "rand_augment": "none", "min_crop": 0.08}
_GVBSM: dict[str, Any] = {**_STORED, "loss": "mse-ce", "learning_rate": 0.001}
_SGD: dict[str, Any] = {**_STORED, "optimizer": "sgd", "loss": "kl-t2", "mix": "none"}
RECIPES: dict[str, dict[str, Any]] = {
    "delt": {},
    "rded": {"rand_augment": "none", "min_crop": None, "shuffle_patches": True, "validate_from": 0.8},
    "sre2l": {**_STORED, "batch_size": 1024, "learning_rate": 0.001},
    "edc": {
        "batch_size": 25,
        "loss": "mse-ce",
        "cross_entropy_weight": 0.025,
        "epochs": 1000,
        "lr_schedule": "steps",
        "min_crop": 0.5,
        "rand_augment": "none",
        "ema_decay": 0.99,
    },
    "hard": {"labels": "hard", "loss": "ce"},
    "sre2l-cifar": {
        **_STORED,
        "batch_size": 128,
        "epochs": 400,
        "learning_rate": 0.001,
        "temperature": 30.0,
        "mix": "mixup",
        "mix_alpha": 0.8,
        "min_crop": 1.0,
    },
    "sre2l-tiny-imagenet": {**_SGD, "batch_size": 256, "epochs": 100, "learning_rate": 0.2, "weight_decay": 1e-4},
    "cda": {**_STORED, "batch_size": 128, "learning_rate": 0.001},
    "cda-cifar100": {**_SGD, "batch_size": 8, "epochs": 100, "learning_rate": 0.1, "weight_decay": 5e-4},
    "cda-tiny-imagenet": {**_SGD, "batch_size": 64, "epochs": 100, "learning_rate": 0.2, "weight_decay": 1e-4},
    "cda-imagenet-21k": {
        **_STORED,
        "batch_size": 32,
        "learning_rate": 0.002,
        "label_smoothing": 0.2,
        "cutout": 0.5,
    },
    "gvbsm": {**_GVBSM, "batch_size": 1024, "cross_entropy_weight": 0.1},
    "gvbsm-cifar": {
        **_GVBSM,
        "batch_size": 100,
        "epochs": 1000,
        "cross_entropy_weight": 0.15,
        "weight_decay": 0.0,
    },
    "delt-flips": {"alternate_flips": True},
}
"""What a recipe changes against DELT's.

Source: rded: RDED's validation code (no RandAugment, patches shuffled, crops by :func:`min_crop_rule`, validation in
the last fifth). sre2l: SRe2L's ImageNet-1K training (batch 1024, plain cosine, crops from 0.08). edc: EDC's CIFAR-10
training (batch 25, 1,000 epochs, steps, MSE on logits and 0.025 of the cross-entropy, EMA 0.99). hard: DELT's with the
class itself as the label. sre2l-cifar: SRe2L's relabel_cifar.py (mixup 0.8, temperature 30). sre2l-tiny-imagenet: its
Tiny-ImageNet train_kd.sh (SGD, loss times the temperature's square, nothing mixed). cda: CDA Table 16b; cda-cifar100:
Table 10a; cda-tiny-imagenet: Table 12a; cda-imagenet-21k: Table 21b; what CDA's tables leave open is SRe2L's, whose
code it relabels and trains with. gvbsm: G-VBSM's ImageNet-1K train.sh (MSE on the committee's mean logits and 0.1 of
the cross-entropy, batch 1,024, plain cosine); gvbsm-cifar: its CIFAR-10 one (1,000 epochs, batch 100, 0.15, no decay).
delt-flips is ours: DELT's with alternating flips.
Differs: sre2l-cifar shows whole images, where its code pads them by 4 px and crops them back; the Tiny-ImageNet code
warms up over 5 epochs, which no table prints and is left out.
"""

RECIPE_TITLES = {
    "delt": "DELT",
    "sre2l": "SRe2L",
    "rded": "RDED",
    "edc": "EDC (small batch, EMA)",
    "hard": "Hard labels",
    "sre2l-cifar": "SRe2L, CIFAR",
    "sre2l-tiny-imagenet": "SRe2L, Tiny-ImageNet",
    "cda": "CDA",
    "cda-cifar100": "CDA, CIFAR-100",
    "cda-tiny-imagenet": "CDA, Tiny-ImageNet",
    "cda-imagenet-21k": "CDA, ImageNet-21K-P",
    "gvbsm": "G-VBSM",
    "gvbsm-cifar": "G-VBSM, CIFAR",
    "delt-flips": "DELT with alternating flips (ours)",
}


class RelabelConfig(Settings):
    """How soft labels are stored."""

    form: Literal["float32", "float16"] = setting(
        "float16", title="Label format", more=False, source="SRe2L stores float16"
    )
    """Number format of a stored label; float32 replays exactly."""
    label_epochs: int = setting(
        0, ge=0, le=100_000, more=False, source="Xiao and He 2024 train on a part of the labels"
    )
    """Epochs of labels that are stored, and used in turn over the epochs of the training; 0 stores every epoch."""

    @model_validator(mode="before")
    @classmethod
    def _without_old_settings(cls, values: Any) -> Any:
        """Pass over two settings of version 0.1.0 that changed nothing where they stood at their defaults."""
        if not isinstance(values, dict):
            return values
        old = {name: values[name] for name in ("top_k", "directions") if name in values}
        for name, value in old.items():
            if value:
                raise ConfigError(
                    f"{name}: {value!r} given, but labels are stored whole now; label_epochs makes a store smaller."
                )
        return {name: value for name, value in values.items() if name not in old}


class EvaluateConfig(Settings):
    """How students are trained. Defaults are DELT's; :meth:`for_recipe` gives the others'."""

    recipe: Recipe = setting("delt", more=False)
    """Which paper's training it is; of SRe2L and CDA the plain name is their ImageNet-1K training."""
    student: str = setting("auto", more=False)
    """Network of the student: a name of torchvision or timm, or convnet-3 to convnet-6; auto takes the teacher's."""
    student_width: float | None = setting(None, gt=0, le=4)
    """Share of the student's published width; the teacher's when its network is taken, else 1."""
    student_stem: Literal["auto", "small", "stock"] = setting("auto")
    """First layers of the student; auto picks small up to 64 px."""
    epochs: int = setting(300, ge=1, le=100_000, more=False, source="DELT Table 8a")
    """Passes over the synthetic images; fewer than the recipe's is told as shortened."""
    seeds: int = setting(1, ge=1, le=100, more=False)
    """Students trained, each from another seed; mean and spread are over them."""
    batch_size: int | None = setting(
        None,
        ge=1,
        le=65536,
        flag="--student-batch-size",
        source="DELT Table 8a: 10 at IPC 1, 50 at IPC 10, 100 at IPC 50; its code doubles them from 100 classes on",
    )
    """Images in one training step; by the recipe's rule when not given."""
    optimizer: Literal["adamw", "adam", "sgd"] = setting("adamw", title="Optimiser", source="DELT Table 8a")
    """adamw and adam have betas 0.9 and 0.999."""
    momentum: float = setting(0.9, ge=0, lt=1, source="CDA Tables 10a and 12a")
    """Momentum of sgd."""
    nesterov: bool = setting(False, title="Nesterov momentum")
    """Take sgd's momentum in Nesterov's form."""
    learning_rate: float | None = setting(
        None, gt=0, le=10, flag="--student-learning-rate", source="DELT Table 8a: 0.001, MobileNet-V2 0.0025"
    )
    """Learning rate at the start; by the student's network when not given."""
    weight_decay: float = setting(0.01, ge=0, le=1, source="DELT Table 8a")
    """Weight decay, on weights of more than one dimension; not on a transformer's class token and places."""
    lr_schedule: Literal["half-cosine", "cosine", "steps"] = setting(
        "half-cosine", title="Learning rate over epochs", source="published evaluation code"
    )
    """half-cosine is the first half of a cosine, so it ends at half its start; cosine ends at 0; steps takes a tenth of
    the rate at 80, 90 and 95 % of the epochs."""
    temperature: float = setting(20.0, gt=0, le=1000, source="published evaluation code")
    """Both outputs are divided by it before they are compared."""
    loss: Literal["kl", "kl-t2", "mse-ce", "ce"] = setting("kl", source="published evaluation code")
    """kl: Kullback-Leibler divergence at the temperature; kl-t2: times its square; mse-ce: squared error of the logits
    and cross-entropy; ce: cross-entropy with the class."""
    cross_entropy_weight: float = setting(0.025, title="Cross-entropy weight", ge=0, le=100, source="EDC")
    """Weight of the cross-entropy in mse-ce."""
    label_smoothing: float = setting(0.0, ge=0, lt=1, source="CDA Table 21b: 0.2 for ImageNet-21K-P")
    """Share of the label spread over all classes; of a soft label at the temperature."""
    labels: Literal["on-the-fly", "stored", "hard"] = setting(
        "on-the-fly", source="DELT and RDED label on the fly, SRe2L and CDA store"
    )
    """on-the-fly asks the teacher in every step; stored replays what `delt relabel` wrote; hard takes the class."""
    label_store: str = setting("")
    """Folder that `delt relabel` wrote, for stored labels."""
    relabeller: str = setting("", flag="--relabel-teacher", source="CDA Tables 7 and 19 relabel with another network")
    """Network that labels, a teacher by name or file; the one that the images were made with when not given."""
    mix: Literal["cutmix", "mixup", "none"] = setting("cutmix", source="DELT, RDED and SRe2L (ImageNet-1K) take CutMix")
    """How two images of a batch are mixed; one box or one share for the whole batch."""
    mix_alpha: float = setting(1.0, gt=0, le=100)
    """Both parameters of the Beta distribution of the share."""
    rand_augment: str = setting(
        "auto",
        title="RandAugment",
        source="DELT Table 8c: m5-n4 CIFAR-10, m4-n3 Tiny-ImageNet, m6-n2 ImageNet, mstd 1 each",
    )
    """RandAugment in timm's writing, such as m5-n4-mstd1; auto takes the dataset's, none turns it off."""
    cutout: float = setting(0.0, ge=0, lt=1, source="CDA Table 21b: CutoutPIL, 0.5 in its code")
    """Side of a square that is painted over in each image, as a share of the image's side; 0 paints none."""
    min_crop: float | None = setting(
        0.25, title="Smallest crop", gt=0, le=1, flag="--student-crop-min", source="published evaluation code"
    )
    """Smallest area share of a crop; 1 turns crops off. RDED's recipe takes 1 up to 64 px and 0.5 above."""
    flip: bool = setting(True, title="Flips", flag="--student-flip")
    """Mirror half of the images."""
    alternate_flips: bool = setting(
        False, title="Alternating flips", flag="--student-alternate-flips", source="airbench; no paper here takes it"
    )
    """With flips, mirror each image in every second epoch, from a side drawn for it, in place of by chance."""
    shuffle_patches: bool = setting(False, title="Shuffle tiles", source="RDED")
    """Shuffle the tiles of mosaics before each crop."""
    ema_decay: float = setting(0.0, title="EMA decay", ge=0, lt=1, source="EDC: 0.99")
    """Decay of the running average of the student's weights in a step; 0 keeps none."""
    validate_every: int = setting(10, title="Test every", ge=1, le=100_000, source="published evaluation code")
    """Epochs between two tests: 10 tests after epochs 1, 11, 21 and so on, with a later start after 10, 20 and so on;
    the first and the last epoch are always tested."""
    validate_from: float = setting(0.0, title="Test from", ge=0, lt=1, source="RDED: 0.8")
    """Share of the epochs before which nothing but the first epoch is tested."""
    precision: Literal["auto", "float32", "bfloat16"] = setting("auto", flag="--student-precision")
    """Number format of the training step; auto is bfloat16 on a GPU, float32 elsewhere."""
    graphs: bool = setting(True, title="CUDA graphs", flag="--student-graphs", source="ours")
    """On a CUDA device, replay steps on images of up to 64 px as a CUDA graph."""
    students_at_once: int = setting(0, ge=0, le=100, source="ours")
    """Students that are trained side by side on one device, as far as memory goes, which changes no result; 0 takes up
    to 8 on a CUDA device, one elsewhere."""

    @classmethod
    def for_recipe(cls, recipe: str, **values: Any) -> EvaluateConfig:
        """Return the recipe's settings with ``values`` on top.

        Raises:
            ConfigError: unknown recipe, or a value out of its limits.
        """
        if recipe not in RECIPES:
            raise ConfigError(f"recipe: {recipe!r} given, but it must be one of {', '.join(RECIPES)}.")
        return cls(**{"recipe": recipe, **RECIPES[recipe], **values})

    @model_validator(mode="after")
    def _labels_fit(self) -> EvaluateConfig:
        if (self.labels == "hard") != (self.loss == "ce"):
            raise ConfigError(
                f"loss: {self.loss!r} given with {self.labels} labels, but hard labels go with 'ce' and soft ones "
                "with 'kl', 'kl-t2' or 'mse-ce'."
            )
        if self.labels == "hard" and self.relabeller:
            raise ConfigError(f"relabeller: {self.relabeller!r} given, but hard labels ask no network.")
        if self.labels == "stored" and not self.label_store:
            raise ConfigError(
                "label_store: nothing given, but stored labels need the folder that `delt relabel` wrote."
            )
        return self

    @property
    def is_shortened(self) -> bool:
        """Whether there are fewer epochs than the recipe has."""
        return self.epochs < EvaluateConfig.for_recipe(self.recipe).epochs

    def at_size(self, image_size: int) -> EvaluateConfig:
        """Return the settings with crops for images of a size, where they are left open."""
        return self if self.min_crop is not None else self.replace(min_crop=min_crop_rule(image_size))

    def changes(self) -> dict[str, tuple[Any, Any]]:
        """Return what differs from the recipe: name to (the recipe's, this one's), students and seeds aside.

        >>> EvaluateConfig.for_recipe("rded", epochs=30).changes()
        {'epochs': (300, 30)}
        """
        plain = EvaluateConfig.for_recipe(self.recipe)
        aside = {"recipe", "student", "student_width", "student_stem", "seeds", "students_at_once", "label_store"}
        names = [spec.name for spec in field_specs(type(self)) if spec.name not in aside]
        pairs = {name: (getattr(plain, name), getattr(self, name)) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def filled_in(
    config: EvaluateConfig,
    *,
    ipc: int,
    images: int,
    num_classes: int,
    image_size: int,
    dataset: str = "",
    teacher: str = "",
) -> EvaluateConfig:
    """Return settings with what is left open filled in by the rules: batch size, learning rate, RandAugment, crops.

    Args:
        config: its student is named where a rule singles it out.
        ipc: images per class.
        images: all of them; a batch is never larger.
        num_classes: of the images.
        image_size: side in pixels.
        dataset: a name of the catalogue, for the rules that single out datasets.
        teacher: network that labels, likewise.

    >>> found = filled_in(EvaluateConfig(student="resnet18"), ipc=10, images=100, num_classes=10, image_size=32)
    >>> found.batch_size, found.learning_rate, found.rand_augment
    (50, 0.001, 'm5-n4-mstd1')
    """
    rule = batch_size_rule(ipc, num_classes, dataset, config.student, teacher)
    changes: dict[str, Any] = {
        "batch_size": min(config.batch_size or rule, images),
        "learning_rate": config.learning_rate or learning_rate_rule(config.student, dataset, teacher),
    }
    if config.rand_augment == "auto":
        changes["rand_augment"] = rand_augment_rule(dataset, image_size)
    return config.replace(**changes).at_size(image_size)
