"""Named settings to start a run from: small ones for a laptop, and the rows of the papers' tables.

Every row says where its numbers are from. A row of a paper belongs to a dataset and sets it; what a table leaves open
(IPC of CDA and SRe2L, say) stays as it is. RI of methods without rounds only says when pictures are taken.

Source: DELT Table 8b (recovery) and 8c (IPC 1); CDA Tables 10b, 12b, 16c-d with Sec. 3.1 and B.1; SRe2L's
data_synthesis.py, recover_tiny.py and recover_cifar.py, since its tables were not at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from delt_engine.config import DEFAULT_DATASET, Experiment, RecoverConfig, is_optimised
from delt_engine.config.methods import METHOD_TITLES

_DELT_IPCS = (10, 50, 100)


@dataclass(frozen=True)
class Preset:
    """A starting point; dataset and method stay as they are where it names none."""

    title: str  # unique
    origin: str  # the table its numbers are from
    iterations: int
    round_iterations: int
    ipcs: tuple[int, ...] = ()  # that it speaks of, the first one is taken unless another is set; any when empty
    dataset: str = ""
    method: str = ""
    changes: tuple[tuple[str, Any], ...] = ()  # further settings of the recovery against the method's own

    @property
    def ipc(self) -> int:
        """Images per class that it takes when none was set."""
        return self.ipcs[0] if self.ipcs else RecoverConfig().ipc

    def recover(self, method: str = "delt", ipc: int | None = None) -> RecoverConfig:
        """Return the settings of the recovery; of a method that optimises nothing only IPC is set.

        ``method`` and ``ipc`` are those chosen so far, for what the preset leaves open.
        """
        allowed = ipc is not None and (not self.ipcs or (len(self.ipcs) > 1 and ipc in self.ipcs))
        values = {"iterations": self.iterations, "round_iterations": self.round_iterations, **dict(self.changes)}
        method = self.method or method
        if not is_optimised(method):
            values = {}
        return RecoverConfig.for_method(method, ipc=ipc if allowed else self.ipc, **values)

    def experiment(self, method: str = "delt") -> Experiment:
        """Return the settings as an experiment, on the default dataset where the preset names no dataset."""
        return Experiment(dataset=self.dataset or DEFAULT_DATASET, recover=self.recover(method))


GLANCE = Preset("Tiny", "ours, seconds on two CPU cores", 40, 10, (4,))
QUICK = Preset("Small", "ours, under a minute on two CPU cores", 200, 50, (10,))
FINER = Preset("Finer rounds", "ours, eight rounds in which two images join each", 400, 50, (16,))
PUBLISHED = Preset("As published", "DELT Table 8b", 4000, 500, (10,))
PRESETS = (GLANCE, QUICK, FINER, PUBLISHED)
"""Settings for any dataset, the smallest first."""


def _delt(title: str, dataset: str, ipc1_iterations: int | None, ipc1_teacher: str = "ResNet-18") -> list[Preset]:
    rows = [Preset(f"DELT, {title}", "DELT Table 8b", 4000, 500, _DELT_IPCS, dataset, "delt")]
    if ipc1_iterations:
        origin = f"DELT Table 8c, {ipc1_teacher}"
        rows.append(Preset(f"DELT, {title}, IPC 1", origin, ipc1_iterations, ipc1_iterations, (1,), dataset, "delt"))
    return rows


def _other(method: str, title: str, origin: str, mi: int, ri: int, dataset: str, **changes: Any) -> Preset:
    title = f"{METHOD_TITLES[method]}, {title}"
    return Preset(title, origin, mi, ri, dataset=dataset, method=method, changes=tuple(changes.items()))


_TINY: dict[str, Any] = {"dataset": "tiny-imagenet", "r_bn": 1.0, "learning_rate": 0.1, "jitter": 4}
_IN1K: dict[str, Any] = {"dataset": "imagenet-1k", "jitter": 32}
_UNCROPPED: dict[str, Any] = {"dataset": "cifar100", "min_crop": 1.0, "flip": False, "jitter": 4}
PAPER_PRESETS: tuple[Preset, ...] = (
    *_delt("CIFAR-10", "cifar10", 2000),
    *_delt("Tiny-ImageNet", "tiny-imagenet", 500),
    *_delt("ImageNette", "imagenette", 1000),
    *_delt("ImageNet-100", "imagenet-100", None),
    *_delt("ImageNet-1K", "imagenet-1k", 3000, "ConvNet-4"),
    _other("cda", "CIFAR-100", "CDA Table 10b, smallest crop from B.1", 1000, 125, "cifar100", min_crop=0.4),
    _other("cda", "Tiny-ImageNet", "CDA Table 12b; jitter from recover_cda_tiny.py", 4000, 500, **_TINY),
    _other("cda", "ImageNet-1K", "CDA Table 16c-d, ResNet-18; jitter from recover_cda_in1k.py", 4000, 500, **_IN1K),
    _other("cda", "ImageNet-1K, ablations", "CDA Appendix B.3: MI of Tables 2, 3 and 18", 1000, 125, **_IN1K),
    _other("sre2l", "CIFAR-100", "SRe²L recover_cifar.py: neither crops nor flips", 1000, 125, **_UNCROPPED),
    _other("sre2l", "Tiny-ImageNet", "SRe²L recover_tiny.py", 4000, 500, **_TINY, jitter_both_ways=True),
    _other("sre2l", "ImageNet-1K", "SRe²L data_synthesis.py", 4000, 500, **_IN1K),
)
"""Rows of the papers' tables, each for its dataset."""
