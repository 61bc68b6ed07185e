"""Under which settings methods are compared: each under its own paper's for the dataset, or all under the same.

Only how images are made is meant. The teacher, the students' training and the test pictures are the same for all
methods, or a comparison would be one of recipes.

Source: :func:`delt_engine.papers.recipes.published_experiment`.
Differs: on a dataset that a paper has nothing for, its settings for the images nearest in size are taken, and said.
Variants such as CDA from real patches take those of the method that they vary, so that they differ in one thing alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from delt_engine.config import METHOD_STAGES, Experiment, RecoverConfig, field_specs, is_optimised
from delt_engine.config.experiment import Resize
from delt_engine.config.methods import BATCH_TO_BATCH, METHOD_DECIDES, SMALL_IMAGES, VARIANT_OF
from delt_engine.data.catalogue import find_entry
from delt_engine.papers.published import published_settings
from delt_engine.papers.recipes import PublishedExperiment, nearest_dataset, published_experiment

BASIS_TITLES: dict[str, str] = {"published": "As in each paper", "equal": "The same for all"}

BASIS_NOTES: dict[str, str] = {
    "published": "Images: each method under its own paper's settings; a dataset that is named is the nearest in size.",
    "equal": "Images: all methods under the same settings, but for what makes each of them.",
}

SHARED_SETTINGS = tuple(name for name in RecoverConfig.model_fields if name not in METHOD_DECIDES)
"""Settings of the recovery that can be the same for all methods."""

_SMALL, _IPC = 32, RecoverConfig().ipc
_CODE = "RDED's published code"
_SPEED = ("precision", "fold", "pack", "compile", "static_shapes")
_SHARED = (*(spec.name for spec in field_specs(Experiment)), "squeeze")


@dataclass(frozen=True)
class MethodSettings:
    """The experiment of one method, and where its settings of the recovery are from, in words."""

    experiment: Experiment
    origin: str


def method_settings(
    method: str, base: Experiment, basis: str, typed: Mapping[str, Any], size: int | None, network: str = ""
) -> MethodSettings:
    """Return the settings of one method of a comparison.

    Methods without rounds take pictures of their start and end only.

    Args:
        method: one that makes images.
        base: says dataset, teacher, classes, seed and device of all; its patches (ranking, criterion, mosaic, pins) are
            those of every method that starts from patches like DELT's.
        basis: of :data:`BASIS_TITLES`.
        typed: settings of the recovery that stand on top for all; methods that optimise nothing take ``ipc`` only.
        size: side of the images in pixels; where it is not known they are taken for small ones.
        network: of the teacher, where it is known; papers have settings for some.

    Raises:
        ConfigError: a value that is not allowed.
    """
    kept = {name: getattr(base, name) for name in _SHARED}
    if not is_optimised(method):
        values = {name: typed[name] for name in ("ipc",) if name in typed}
        origin = _CODE if method == "rded" else ""
        return MethodSettings(Experiment.for_method(method, size=size, recover=values, **kept), origin)
    values, origin = {}, "the same settings"
    if basis == "published":
        values, origin = published_recovery(method, base.dataset, size, typed.get("ipc", _IPC), network)
    values = {**values, **typed}
    own = RecoverConfig.for_method(method, size=size)
    if not own.early_late:
        values["round_iterations"] = values.get("iterations", own.iterations)
    if own.initialization == "patches" and base.recover.method not in METHOD_STAGES:
        kept |= {"rank": base.rank, "select": base.select}
    return MethodSettings(Experiment.for_method(method, size=size, recover=values, **kept), origin)


def settings_like(method: str, base: Experiment, basis: str, size: int | None, network: str = "") -> MethodSettings:
    """Return the settings of a method that is set beside a run, or a plan, ``base``; see :func:`taken_over`.

    Methods without rounds take pictures every RI iterations, so that their strips stand beside the run's.

    Raises:
        ConfigError: a value that is not allowed.
    """
    made = method_settings(method, base, basis, taken_over(base, basis, size, network), size, network)
    recover, pictured = made.experiment.recover, base.recover.round_iterations
    if recover.early_late or not recover.is_optimised or recover.iterations % pictured:
        return made
    return MethodSettings(made.experiment.replace(recover=recover.replace(round_iterations=pictured)), made.origin)


def taken_over(base: Experiment, basis: str, size: int | None, network: str = "") -> dict[str, Any]:
    """Return what a run, or a plan, ``base`` sets in the recovery of all methods beside it.

    With ``equal`` that is all but what makes the method, with ``published`` IPC and how it is computed. MI and RI are
    taken over then as well where MI is not the published one, which is how a run is shortened, and always on the
    built-in datasets, which no paper has.
    """
    own = base.recover
    if not own.is_optimised:
        return {"ipc": own.ipc}
    names: tuple[str, ...] = SHARED_SETTINGS
    if basis == "published":
        names, entry = ("ipc", *_SPEED), find_entry(base.dataset)
        whole = method_settings(own.method, base, basis, {"ipc": own.ipc}, size, network).experiment.recover
        if own.iterations != whole.iterations or (entry is not None and entry.kind == "built-in"):
            names = (*names, "iterations", "round_iterations")
    return {name: getattr(own, name) for name in names}


def published_recovery(
    method: str, dataset: str, size: int | None, ipc: int, network: str = ""
) -> tuple[dict[str, Any], str]:
    """Return what a method's paper sets in the recovery on a dataset, and the place, in words.

    What makes the method, its jitter too, is not among it. A dataset is named in the place where it is another one.

    >>> values, origin = published_recovery("cda", "photos", 64, 10)
    >>> values["r_bn"], values["learning_rate"], origin
    (1.0, 0.1, 'CDA Table 12b for Tiny-ImageNet')
    """
    found, is_printed = _of_paper(method, dataset, size, ipc, network)
    taken = [name for name in SHARED_SETTINGS if name not in ("ipc", *_SPEED)]
    values = {name: getattr(found.experiment.recover, name) for name in taken}
    origin, name = found.origin("recover.learning_rate") or found.origin("recover.sgd_rate"), found.experiment.dataset
    entry, base = find_entry(name), VARIANT_OF.get(method, method)
    whose = "" if is_printed or base in BATCH_TO_BATCH else f" for {entry.title if entry else name}"
    return values, origin + whose


def published_squares(methods: Iterable[str], dataset: str, size: int) -> Resize:
    """Return how pictures become squares in a comparison of methods as published, in one way for all.

    So all students meet the same test pictures. Where papers differ, which they do at 64 px, it is the way of those
    that show the centre alone, for the others' images are not made of pictures. Smaller pictures are whole: hardly
    anything is cut off them. Those of the built-in datasets, which no paper has, are as well.

    >>> published_squares(["cda", "delt"], "tiny-imagenet", 64), published_squares(["delt"], "cifar10", 32)
    ('published', 'whole')
    """
    entry = find_entry(dataset)
    if size < SMALL_IMAGES or (entry is not None and entry.kind == "built-in"):
        return "whole"
    found = {_of_paper(method, dataset, size)[0].experiment.resize for method in methods}
    return "published" if "published" in found else "whole"


def _of_paper(
    method: str, dataset: str, size: int | None, ipc: int = _IPC, network: str = ""
) -> tuple[PublishedExperiment, bool]:
    """Return the experiment of a method's paper on a dataset, else on the nearest, and whether it is printed for it."""
    base = VARIANT_OF.get(method, method)
    paper = "cda" if base == "cda" else "delt"
    tables = "delt" if base == "delt" else "cda"  # SRe2L has scripts for what CDA has tables for
    is_printed = dataset in published_settings()[tables] and (base, dataset) != ("sre2l", "imagenet-21k")
    name = dataset if is_printed else nearest_dataset(tables, size or _SMALL)
    return published_experiment(paper, name, method, network=network or None, ipc=ipc), is_printed
