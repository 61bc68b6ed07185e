"""Presets by name: the experiments of the papers' tables, for `--preset` and for the forms of the app.

Source: DELT Tables 1 to 3, 4d, 8 and 9; CDA Tables 10, 12, 16, 21 and Appendix B.3; published code of SRe2L and RDED.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from delt_engine.config import Experiment, field_specs
from delt_engine.config.command_line import STAGE_RECORDS
from delt_engine.config.methods import METHOD_TITLES
from delt_engine.data.catalogue import CATALOGUE
from delt_engine.errors import ConfigError
from delt_engine.papers.recipes import PublishedExperiment, published_experiment


@dataclass(frozen=True)
class PaperPreset:
    """An experiment of a paper under a name.

    Attributes:
        ipcs: images per class that its tables speak of, the usual one first; any when empty.
        student: network that is trained; a ConvNet is also what recovers.
        table: for what a single table changes.
    """

    name: str
    title: str
    paper: str
    dataset: str
    method: str
    ipcs: tuple[int, ...] = ()
    student: str = "resnet18"
    table: str = ""

    def published(self, ipc: int | None = None, student: str = "", network: str = "") -> PublishedExperiment:
        """Return its experiment; images per class and networks are its own where they are not given."""
        return published_experiment(
            self.paper,
            self.dataset,
            self.method,
            network=network or None,
            student=student or self.student,
            ipc=ipc or self.usual_ipc,
            table=self.table,
        )

    @property
    def usual_ipc(self) -> int:
        """Images per class where none are given."""
        return self.ipcs[0] if self.ipcs else 10

    def allows(self, ipc: int) -> bool:
        """Return whether its tables speak of a number of images per class."""
        return not self.ipcs or ipc in self.ipcs


_DELT = ("cifar10", "tiny-imagenet", "imagenette", "imagenet-100", "imagenet-1k")
_IPC_1 = {
    "cifar10": "resnet18 resnet101 mobilenet_v2",
    "tiny-imagenet": "resnet18 resnet101 mobilenet_v2 convnet-4",
    "imagenette": "resnet18 resnet101 mobilenet_v2 convnet-5",
    "imagenet-1k": "convnet-4",
}
"""The cells of DELT Table 8c."""
_CONVNETS = {"tiny-imagenet": "convnet-4", "imagenet-100": "convnet-6", "imagenet-1k": "convnet-4"}
"""DELT Table 2."""


def _made() -> Iterator[PaperPreset]:
    for dataset in _DELT:
        yield _preset("delt", dataset, "delt", ipcs=(10, 50, 100))
    for dataset, student in _CONVNETS.items():
        yield _preset("delt", dataset, "delt", student, ipcs=(10, 50, 100), student=student)
    for dataset, students in _IPC_1.items():
        for student in students.split():
            words = ("ipc1",) if student == "resnet18" else ("ipc1", student)
            yield _preset("delt", dataset, "delt", *words, ipcs=(1,), student=student)
    for dataset in ("cifar100", "tiny-imagenet", "imagenet-1k", "imagenet-21k"):
        yield _preset("cda", dataset, "cda")
    yield _preset("cda", "imagenet-1k", "cda", "ablations", ipcs=(50,), table="Table 18")
    for dataset in ("cifar100", *_DELT):
        yield _preset("delt", dataset, "sre2l")
    for dataset in _DELT:
        yield _preset("delt", dataset, "rded")
    for dataset in ("cifar10", "tiny-imagenet", "imagenet-1k"):
        yield _preset("delt", dataset, "cda-init", ipcs=(10, 50, 100))
    for dataset in ("cifar10", "tiny-imagenet", "imagenet-1k"):
        yield _preset("delt", dataset, "gvbsm")
    for method in ("cda-early-late", "sre2l-init"):
        yield _preset("delt", "imagenet-1k", method, ipcs=(50,))


def _preset(paper: str, dataset: str, method: str, *words: str, **more: Any) -> PaperPreset:
    titles = [METHOD_TITLES[method], CATALOGUE[dataset].title]
    titles += ["IPC 1" if word == "ipc1" else word for word in words]
    return PaperPreset("-".join([method, dataset, *words]), ", ".join(titles), paper, dataset, method, **more)


PRESETS = {preset.name: preset for preset in _made()}
"""The presets by name, DELT's first."""


def find_preset(name: str) -> PaperPreset:
    """Return a preset.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "there is none of that name."
        raise ConfigError(f"preset: {name!r} given, but {hint} `delt recover --help` lists all {len(PRESETS)}.")
    return PRESETS[name]


@lru_cache(maxsize=8)
def presets_of(stage: str) -> tuple[str, ...]:
    """Return the presets that differ in a stage; of those that are alike for a dataset the one that states most."""
    found = {name: preset.published() for name, preset in PRESETS.items()}
    stated = {name: sum(setting.startswith(f"{stage}.") for setting in one.origins) for name, one in found.items()}
    best: dict[tuple[str, Any], str] = {}
    for name in sorted(PRESETS, key=lambda name: -stated[name]):
        best.setdefault((PRESETS[name].dataset, getattr(found[name].experiment, stage)), name)
    return tuple(name for name in PRESETS if name in best.values())


class Change(NamedTuple):
    """What a preset changes against the defaults: a setting such as ``recover.iterations``, and where it is from."""

    setting: str
    default: Any
    value: Any
    origin: str

    @property
    def words(self) -> tuple[str, str]:
        """Default and value as one reads them.

        >>> Change("recover.flip", True, False, "").words, Change("evaluate.batch_size", None, 1024, "").words
        (('on', 'off'), ('by rule', '1,024'))
        """
        return _words(self.default), _words(self.value)


def _words(value: Any) -> str:
    if value is None:
        return "by rule"
    if isinstance(value, bool):
        return "on" if value else "off"
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value) or "none"
    )


def changes(found: PublishedExperiment, stages: Collection[str] = tuple(STAGE_RECORDS)) -> list[Change]:
    """Return what an experiment of a paper changes against this project's defaults, in those stages."""
    plain, rows = Experiment(), []
    for stage in STAGE_RECORDS:
        if stage not in stages:
            continue
        ours, theirs = (one if stage == "experiment" else getattr(one, stage) for one in (plain, found.experiment))
        kept = "the recipe's own" if stage == "evaluate" else "the method's own"
        for spec in field_specs(STAGE_RECORDS[stage]):
            default, value = getattr(ours, spec.name), getattr(theirs, spec.name)
            name = f"{stage}.{spec.name}"
            if value != default:
                origin = "what the preset is" if spec.name in ("method", "recipe") else found.origin(name) or kept
                rows.append(Change(name, default, value, origin))
    return rows
