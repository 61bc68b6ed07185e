"""Settings while they are gathered, each with where it is from; what is asked of the papers' tables.

The files beside this one each know one source: DELT's tables, CDA's tables, and the published code of the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from delt_engine.papers.published import PAPERS, published_settings


@dataclass(frozen=True)
class Asked:
    """One experiment of a paper; networks by our names.

    Attributes:
        table: such as "Table 18", for what a table changes; empty for what holds in general.
        num_classes: of the dataset.
        data_size: side of the dataset's images in pixels.
    """

    paper: str
    dataset: str
    method: str
    network: str
    student: str
    ipc: int
    table: str
    num_classes: int
    data_size: int

    @property
    def image_size(self) -> int:
        """Side of the images in pixels; ConvNets take large ones at 128 px, and ImageNet-1K at 64 px.

        Source: DELT evaluation/argument.py; no table prints it.
        """
        is_convnet = "convnet" in self.network or "convnet" in self.student
        if not is_convnet or self.data_size <= 64:
            return self.data_size
        return 64 if self.dataset == "imagenet-1k" else 128


@dataclass
class Gathered:
    """Settings by stage; ``experiment`` is the stage of dataset, image size, teacher and ranker."""

    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    unstated: dict[str, str] = field(default_factory=dict)

    def state(self, stage: str, origin: str, **values: Any) -> None:
        """Take settings that a paper prints, with the place."""
        self._take(stage, values, origin, self.origins, self.unstated)

    def assume(self, stage: str, reason: str, **values: Any) -> None:
        """Take settings that no paper prints, with the reason."""
        self._take(stage, values, reason, self.unstated, self.origins)

    def of(self, stage: str) -> dict[str, Any]:
        """Return the settings of a stage so far."""
        return self.values.get(stage, {})

    def _take(self, stage: str, values: Mapping[str, Any], why: str, into: dict[str, str], out: dict[str, str]) -> None:
        self.values.setdefault(stage, {}).update(values)
        for name in values:
            into[f"{stage}.{name}"] = why
            out.pop(f"{stage}.{name}", None)


@dataclass(frozen=True)
class Printed:
    """A paper's settings for a dataset: its own, or those of the nearest one in image size, which is told.

    Attributes:
        tables: of each stage (squeeze, recover, validate) what is printed.
        dataset: whose they are.
        missing: why they are not the dataset's own; empty where they are.
    """

    paper: str
    tables: Mapping[str, Any]
    dataset: str
    missing: str = ""

    @classmethod
    def find(cls, paper: str, asked: Asked) -> Printed:
        """Return the settings that a paper prints for what is asked."""
        of_paper = published_settings()[paper]
        if asked.dataset in of_paper:
            return cls(paper, of_paper[asked.dataset], asked.dataset)
        near = nearest_dataset(paper, asked.data_size)
        missing = f"{PAPERS[paper]} prints no settings for {asked.dataset}; these are its for {near}, nearest in size"
        return cls(paper, of_paper[near], near, missing)

    def where(self, stage: str) -> str:
        """Return the table of a stage, such as "CDA Table 10a"."""
        found = re.search(r"Table \d+[a-e]?", self.tables[stage]["source"])
        return f"{PAPERS[self.paper]} {found[0] if found else 'Appendix B'}"

    def put(self, into: Gathered, stage: str, origin: str, **values: Any) -> None:
        """Take settings as printed; as assumed where they are another dataset's."""
        if self.missing:
            into.assume(stage, f"{self.missing} ({origin})", **values)
        else:
            into.state(stage, origin, **values)


PRINTED_SIZES = {"cifar10": 32, "cifar100": 32, "tiny-imagenet": 64}
"""Side in pixels of the datasets that the papers print settings for; 224 of the others."""


def nearest_dataset(paper: str, image_size: int) -> str:
    """Return the dataset with settings in a paper whose images are nearest in size.

    >>> nearest_dataset("cda", 32), nearest_dataset("delt", 96), nearest_dataset("cda", 224)
    ('cifar100', 'tiny-imagenet', 'imagenet-1k')
    """
    ratios = {name: PRINTED_SIZES.get(name, 224) / image_size for name in published_settings()[paper]}
    return min(ratios, key=lambda name: max(ratios[name], 1 / ratios[name]))
