"""The methods as rows of one table: what each changes against DELT's settings, stage by stage.

Source: DELT Table 8b and its ablation of CDA "+ real init"; recover_cda_in1k.py and data_synthesis.py for CDA and
SRe2L; RDED's synthesis code; recover.sh and data_synthesis_*.py of G-VBSM.
"""

from __future__ import annotations

from typing import Any, Literal

Method = Literal[
    "delt",
    "delt-plus",
    "cda",
    "cda-init",
    "cda-early-late",
    "sre2l",
    "sre2l-init",
    "gvbsm",
    "dm",
    "dc",
    "rded",
    "el2n",
    "forgetting",
    "herding",
    "random",
    "imported",
]

IMPORTED = "imported"
"""The method of a run whose images came from elsewhere; it is never recovered, so it has no settings."""

BATCH_TO_BATCH = ("dm", "dc")
"""Methods that match batches of synthetic images with batches of real ones, under random networks; no teacher helps."""

CORESETS = ("el2n", "forgetting", "herding")
"""Methods, and criteria of the selection, that take real images by a score of every training image."""

SMALL_IMAGES = 64
"""Largest side in pixels of what the published code takes for small images: their jitter is 4, RDED's are one patch."""

LARGE_JITTER = 32
"""Jitter of CDA and SRe2L above :data:`SMALL_IMAGES`. Source: recover_cda_in1k.py and data_synthesis.py."""

_CDA: dict[str, Any] = {"early_late": False, "initialization": "noise", "batching": "one-per-class", "jitter": 4}
_SRE2L: dict[str, Any] = {**_CDA, "curriculum": "constant"}
_GVBSM_MATCHES: dict[str, Any] = {"committee": True, "conv_statistics": True, "densification": 1.0}
_GVBSM: dict[str, Any] = {
    **_SRE2L,
    **_GVBSM_MATCHES,
    "batching": "classes",
    "jitter": 32,
    "learning_rate": 0.05,
    "statistics_ema": 0.8,
    "layer_drop": 0.4,
    "patch_side": 4,
    "pad": 4,
}
_GVBSM_LARGE: dict[str, Any] = {
    "batch_size": 80,
    "learning_rate": 0.1,
    "statistics_ema": 0.4,
    "layer_drop": 0.0,
    "patch_side": 16,
    "pad": 0,
}
DELT_PLUS: dict[str, Any] = {"adam_counters": "per-image", "restart_rounds": True, "committee": True}
"""What DELT+ changes against DELT: switches of the same loop. Ours, chosen as ``assets/ablations`` says.

Late images then start with the full learning rate and easy crops, as early ones do, and a second network keeps images
from fitting one alone. Its students have the teacher's labels, as DELT's.
"""

_MATCHING: dict[str, Any] = {
    "early_late": False,
    "siamese": False,
    "real_batch": 256,
    "matching_depth": 3,
    "matching_width": 128,
}
_DM: dict[str, Any] = {**_MATCHING, "sgd_rate": 1.0, "iterations": 20_000, "round_iterations": 2_000}
_DC: dict[str, Any] = {
    **_MATCHING,
    "initialization": "noise",
    "batching": "all",
    "sgd_rate": 0.1,
    "network_steps": 0,
    "network_epochs": 0,
    "iterations": 10_000,
    "round_iterations": 1_000,
}
_NOT_OPTIMISED: dict[str, Any] = {"early_late": False, "iterations": 0, "round_iterations": 1}
METHOD_SETTINGS: dict[str, dict[str, Any]] = {
    "delt": {},
    "delt-plus": DELT_PLUS,
    "cda": _CDA,
    "cda-init": {**_CDA, "initialization": "patches"},
    "cda-early-late": {**_CDA, "early_late": True, "batching": "classes"},
    "sre2l": _SRE2L,
    "sre2l-init": {**_SRE2L, "initialization": "patches"},
    "gvbsm": _GVBSM,
    "dm": _DM,
    "dc": _DC,
    "rded": _NOT_OPTIMISED,
    **dict.fromkeys(CORESETS, _NOT_OPTIMISED),
    "random": _NOT_OPTIMISED,
}
"""What a method changes against DELT's recovery settings; :func:`recover_settings` adds what depends on the image size.

A variant differs from the method it is named after in what its name says: ``-init`` starts from DELT's patches, and
nothing else. ``-early-late`` lets the images of a class join round by round and, for that, puts whole classes into a
batch: late images are concatenated with the early ones of their class (DELT Eq. 6), which are no batch of CDA's. rded,
the coresets and random optimise nothing: their images are what DELT would start from.

Source: field facts on recover_cda_in1k.py, recover_cda_tiny.py and data_synthesis.py; ``cda-init`` is DELT Table 4d's
"CDA + our init.", ``cda-early-late`` Table 3's last column, and ``sre2l-init`` Table 9's first. gvbsm: scripts and
defaults of G-VBSM's published code, which pads by an eighth of the image's side up to 64 px, rolls by 32 px at every
size, and on ImageNet-1K drops no layers. dm and dc: defaults of main_DM.py and main.py of DatasetCondensation; dc's
iterations are its 1,000 networks with the ten steps that each gives to ten images a class.
Differs: DELT does not say in which batches and with which jitter it ran its versions of CDA and SRe2L; here they are
CDA's and SRe2L's own, so that nothing else changes.
"""

VARIANT_OF = {"delt-plus": "delt", "cda-init": "cda", "cda-early-late": "cda", "sre2l-init": "sre2l"}
"""The method that a variant is named after, and whose paper's settings it takes."""

MATCHING_SETTINGS = (
    "sgd_rate",
    "real_batch",
    "matching_depth",
    "matching_width",
    "network_steps",
    "network_epochs",
    "siamese",
)
"""Settings that only dm and dc have a use for."""

METHOD_DECIDES = (
    *(
        "method",
        "remix",
        "bn_targets",
        *DELT_PLUS,
        *_SRE2L,
        *_GVBSM_MATCHES,
        "statistics_ema",
        "layer_drop",
        "patch_side",
        "pad",
    ),
    *MATCHING_SETTINGS,
)
"""Settings of the recovery that tell methods apart; all others can be the same for all of them."""

METHOD_STAGES: dict[str, dict[str, dict[str, Any]]] = {
    "rded": {"rank": {"crops": 5, "min_crop": 0.08}, "select": {"criterion": "top", "one_per_image": True}},
    "el2n": {"select": {"criterion": "el2n"}},
    "forgetting": {"select": {"criterion": "forgetting", "score_networks": 1, "score_epochs": 20}},
    "herding": {"select": {"criterion": "herding"}},
    "random": {"select": {"criterion": "random"}},
}
"""What a method changes in the stages before the recovery; :func:`stage_settings` adds what depends on the image size.

Source: RDED's synthesis code (five random square crops an image, from 0.08 of its area on as torchvision's default is;
the best of each, of those the easiest).
Differs: all training images are scored, where published scripts take some hundred a class; a crop is scored at the
image's size, where theirs is scored small with black around it; tiles are resized bicubically, not by nearest pixels.
"""

METHOD_TITLES = {
    "delt": "DELT",
    "delt-plus": "DELT+",
    "cda": "CDA",
    "cda-init": "CDA + real init",
    "cda-early-late": "CDA + EarlyLate",
    "sre2l": "SRe²L",
    "sre2l-init": "SRe²L + real init",
    "gvbsm": "G-VBSM",
    "dm": "DM",
    "dc": "DC",
    "rded": "RDED",
    "el2n": "EL2N",
    "forgetting": "Forgetting",
    "herding": "Herding",
    "random": "Random real",
    "real": "All real images",
    "folder": "Folder",
    IMPORTED: "Imported",
}
"""What methods are called; the last three are only trained on, never recovered."""


def is_optimised(method: str) -> bool:
    """Return whether a method optimises its images; the others take them as they were selected.

    >>> is_optimised("delt"), is_optimised("random")
    (True, False)
    """
    return method != IMPORTED and METHOD_SETTINGS.get(method, {}).get("iterations") != 0


def stage_settings(method: str, image_size: int | None) -> dict[str, dict[str, Any]]:
    """Return what a method sets in the stages before the recovery; images of unknown size are taken for small ones.

    >>> stage_settings("rded", 224)["select"]["mosaic"], "mosaic" in stage_settings("rded", 32)["select"]
    (2, False)
    """
    stages = {stage: dict(values) for stage, values in METHOD_STAGES.get(method, {}).items()}
    if method == "rded" and (image_size or 0) > SMALL_IMAGES:
        stages["select"]["mosaic"] = 2
    return stages


def recover_settings(method: str, image_size: int | None) -> dict[str, Any]:
    """Return what a method sets in the recovery; images of unknown size are taken for small ones.

    >>> recover_settings("cda", 224)["jitter"], recover_settings("cda", 64)["jitter"], recover_settings("delt", 224)
    (32, 4, {})
    """
    settings = dict(METHOD_SETTINGS[method])
    is_large = (image_size or 0) > SMALL_IMAGES
    if is_large and "jitter" in settings:
        settings["jitter"] = LARGE_JITTER
    if method in BATCH_TO_BATCH and (image_size or 32) > 32:
        settings["matching_depth"] = 4
    if method == "gvbsm":
        settings |= _GVBSM_LARGE if is_large else {"pad": max(1, (image_size or 32) // 8)}
    return settings


def settings_by_size(method: str) -> tuple[str, ...]:
    """Return the settings of the recovery that a method sets by the size of the images.

    >>> settings_by_size("cda"), settings_by_size("delt")
    (('jitter',), ())
    """
    small, large = recover_settings(method, 32), recover_settings(method, SMALL_IMAGES + 1)
    return tuple(name for name in large if small.get(name) != large[name])


def depends_on_size(method: str) -> bool:
    """Return whether a method sets something by the size of the images.

    >>> depends_on_size("cda"), depends_on_size("delt")
    (True, False)
    """
    small, large = SMALL_IMAGES, SMALL_IMAGES + 1
    return any(function(method, small) != function(method, large) for function in (recover_settings, stage_settings))
