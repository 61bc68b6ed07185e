"""The methods as rows of one table: what each changes against DELT's settings, stage by stage.

Source: DELT Table 8b and its ablation of CDA "+ real init"; recover_cda_in1k.py and data_synthesis.py for CDA and
SRe2L; RDED's synthesis code.
"""

from __future__ import annotations

from typing import Any, Literal

Method = Literal["delt", "cda", "cda-init", "sre2l", "rded", "random"]
_NOT_OPTIMISED: dict[str, Any] = {"early_late": False, "iterations": 0, "round_iterations": 1}
METHOD_SETTINGS: dict[str, dict[str, Any]] = {
    "delt": {},
    "cda": {"early_late": False, "initialization": "noise", "batching": "images", "jitter": 4},
    "sre2l": {
        "early_late": False,
        "initialization": "noise",
        "batching": "images",
        "curriculum": "constant",
        "jitter": 4,
    },
    "cda-init": {"early_late": False},
    "rded": _NOT_OPTIMISED,
    "random": _NOT_OPTIMISED,
}
"""What a method changes against DELT's recovery settings.

Source: field facts on recover_cda_in1k.py and data_synthesis.py; cda-init is the row "+ real init" of DELT's ablation:
CDA's curriculum from DELT's patches, EarlyLate off. rded and random optimise nothing: their images are what DELT would
start from.
"""

METHOD_STAGES: dict[str, dict[str, dict[str, Any]]] = {
    "rded": {"rank": {"crops": 5, "min_crop": 0.08}, "select": {"criterion": "top", "one_per_image": True}},
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
    "cda": "CDA",
    "cda-init": "CDA + real init",
    "sre2l": "SRe²L",
    "rded": "RDED",
    "random": "Random real",
    "real": "All real images",
    "folder": "Folder",
}
"""What methods are called; the last two are only trained on, never recovered."""

SMALL_IMAGES = 64
"""Largest side at which RDED's images are one patch; above, each is a mosaic of 2x2. Source: RDED's scripts."""


def is_optimised(method: str) -> bool:
    """Return whether a method optimises its images; the others take them as they were selected.

    >>> is_optimised("delt"), is_optimised("random")
    (True, False)
    """
    return METHOD_SETTINGS.get(method, {}).get("iterations") != 0


def stage_settings(method: str, image_size: int | None) -> dict[str, dict[str, Any]]:
    """Return what a method sets in the stages before the recovery; images of unknown size are taken for small ones.

    >>> stage_settings("rded", 224)["select"]["mosaic"], "mosaic" in stage_settings("rded", 32)["select"]
    (2, False)
    """
    stages = {stage: dict(values) for stage, values in METHOD_STAGES.get(method, {}).items()}
    if method == "rded" and (image_size or 0) > SMALL_IMAGES:
        stages["select"]["mosaic"] = 2
    return stages
