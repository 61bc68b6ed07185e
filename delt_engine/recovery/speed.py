"""How an iteration is computed: what ``auto`` in the settings means on a device; torch-free.

Decided by rules, so the same machine always decides the same. A run on a CUDA device then measures how many batches a
step suit it (:mod:`delt_engine.recovery.trial`); what a run decided is kept in its record and used again when it goes
on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from delt_engine.config import RecoverConfig

PACK_PIXELS = 2**20
"""Pixels of all images in a step up to which batches are packed on a GPU: ten batches of 100 images of 32 px.

Ours, from arithmetic: at 224 px one batch of 100 has five times as many, and a GPU is busy with it.
"""

_STATIC = ("static", "graph", "channels_last", "fused_adam")

MOST_PACKED = 16
"""Most full batches in a step."""


@dataclass(frozen=True)
class FastPath:
    """What is done for speed; the default is nothing.

    ``precision`` is ``float32`` (the images' own format) or ``bfloat16``, for what the teacher computes; statistics,
    losses and images are in float32 either way.
    """

    precision: str = "float32"
    fold: bool = False  # BatchNorm into convolutions where that is exact to rounding
    pack: int = 1  # batches with the same schedule that take a step together, each with statistics of its own
    compile: bool = False
    low_memory: bool = False  # see delt_engine.recovery.objective
    static: bool = False  # crops as matrix products and tables on the device: see delt_engine.recovery.static_step
    graph: bool = False  # a step is captured once a round and replayed; needs ``static``
    channels_last: bool = False  # crops in that order of memory; with ``static``, for a CPU has it from the images
    fused_adam: bool = False  # one kernel for Adam; with ``static``

    def to_record(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @classmethod
    def from_record(cls, values: Mapping[str, Any]) -> FastPath:
        """Return what :meth:`to_record` gave; version 0.1.0 wrote ``low_memory`` as ``spare``."""
        low_memory = bool(values.get("low_memory", values.get("spare", False)))
        precision, fold, pack, compiles = (values[name] for name in ("precision", "fold", "pack", "compile"))
        newer = {name: bool(values.get(name, False)) for name in _STATIC}
        return cls(str(precision), bool(fold), int(pack), bool(compiles), low_memory, **newer)

    def __str__(self) -> str:
        """Return it in words.

        >>> str(FastPath("bfloat16", fold=True, pack=4))
        'bfloat16, BatchNorm folded, 4 batches a step'
        """
        words = [self.precision, "BatchNorm folded" if self.fold else "BatchNorm as it is"]
        words += [f"{self.pack} batches a step"] if self.pack > 1 else []
        words += ["compiled"] if self.compile else []
        words += ["static shapes"] if self.static else []
        words += ["CUDA graphs"] if self.graph else []
        return ", ".join(words + (["in less memory"] if self.low_memory else []))


def choose(config: RecoverConfig, device_type: str, image_size: int, num_classes: int | None = None) -> FastPath:
    """Return what the settings mean on a device.

    On a CPU ``auto`` stays exact: float32, one batch a step. On CUDA devices it is bfloat16, and as many batches as
    fill the device. On both, batches that hold one image of each of few classes are taken together, up to
    ``batch_size`` images and more. BatchNorm is folded on both. torch.compile is for those who ask: on a CPU it is not
    quicker. Shapes are static on CUDA devices, where a graph replays a round's steps; teachers that take turns have no
    graph. What G-VBSM, DM and DC match is computed plainly,
    batch by batch, that of the last two in float32.

    Args:
        num_classes: of the run; where it is not given, batches are taken for full ones.

    >>> str(choose(RecoverConfig(), "cpu", 32)), str(choose(RecoverConfig(), "cuda", 32))
    ('float32, BatchNorm folded', 'bfloat16, BatchNorm folded, 10 batches a step, static shapes, CUDA graphs')
    >>> str(choose(RecoverConfig.for_method("cda"), "cpu", 32, num_classes=20))
    'float32, BatchNorm folded, 5 batches a step'
    """
    is_cuda = device_type == "cuda"
    precision = config.precision
    if precision == "auto":
        precision = "bfloat16" if is_cuda and not config.is_batch_to_batch else "float32"
    parts = config.batches_that_fill(num_classes or config.batch_size)
    if config.is_plain:  # features are taken as they are, and a batch has running averages or a network of its own
        return FastPath(precision)
    is_static = config.static_shapes == "on" or (config.static_shapes == "auto" and is_cuda)
    on_card = is_static and is_cuda
    full = PACK_PIXELS // (max(config.batch_size, config.ipc) * image_size**2) if is_cuda else 1
    return FastPath(
        precision=precision,
        fold=config.fold != "off",
        pack=config.pack or parts * min(max(full, 1), MOST_PACKED),
        compile=config.compile == "on",
        static=is_static,
        graph=on_card and not config.committee and config.compile != "on",
        channels_last=on_card,
        fused_adam=is_static,
    )
