"""Which images are optimised together, in what order, and where each iteration stands on the schedules.

Images of one batch share their BatchNorm statistics, so the grouping is part of the method. ``"classes"`` keeps whole
classes together (DELT); ``"one-per-class"`` takes the n-th images of all classes, cut at the batch size (CDA, SRe2L);
``"images"`` goes on with the next images of the classes until the batch is full; ``"all"`` is one batch (DC). Slots
stand in the order in which they join, so the joined images are always the first ones of the batch.
Nothing here needs torch.

Source: DELT recover/recover.py (batch of 100 filled class by class), CDA recover_cda_in1k.py and SRe2L
data_synthesis.py (outer loop over the index in the class, inner over the classes in their order, 100 at a time).
Differs: DELT lets a class straddle two batches when 100 / ipc is not whole, here classes stay whole. Ten classes make
batches of ten images with ``"one-per-class"``, as in CDA's loop; several of them are computed together, each with its
own statistics (:func:`pack_batches`). ``"images"`` is ours: with fewer classes than the batch size, images of one class
share statistics that in CDA and SRe2L never do.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from delt_engine.config import RecoverConfig
from delt_engine.errors import ConfigError


@dataclass(frozen=True)
class Slot:
    """One synthetic image: its class, its index in the class, and the round (from 1) in which it joins."""

    class_index: int
    index: int
    start_round: int


@dataclass(frozen=True)
class BatchPlan:
    """Images that are optimised together, in the order in which they join.

    A batch without an image of round 1 (late images that do not share it with their whole class) starts when its first
    image joins; its iterations keep their number, so learning rate and curriculum are those of the whole run.

    Batches may be packed into one that takes their steps together: ``groups`` then says which batch each slot is of,
    and every group keeps its own statistics, crops and losses.
    """

    batch_index: int
    slots: tuple[Slot, ...]
    groups: tuple[int, ...] = ()

    @cached_property
    def members(self) -> tuple[int, ...]:
        """Indices of the batches in it, in order: its own unless it is packed."""
        return tuple(sorted(set(self.groups))) or (self.batch_index,)

    @property
    def batches(self) -> tuple[int, ...]:
        """Which batch each slot is of."""
        return self.groups or (self.batch_index,) * len(self.slots)

    @cached_property
    def class_groups(self) -> tuple[tuple[int, int], ...]:
        """Batch and class of each group of images that are matched class by class, in order."""
        pairs = zip(self.batches, self.slots, strict=True)
        return tuple(sorted({(batch, slot.class_index) for batch, slot in pairs}))

    def group_order(self, joined: int, *, by_class: bool = False) -> list[int]:
        """Return the places of the first ``joined`` slots, group after group, and within it class after class if asked.

        >>> BatchPlan(0, (Slot(0, 0, 1), Slot(1, 0, 1), Slot(0, 1, 2), Slot(1, 1, 2)), (0, 1, 0, 1)).group_order(4)
        [0, 2, 1, 3]
        """
        batches, slots = self.batches, self.slots
        return sorted(range(joined), key=lambda place: (batches[place], by_class and slots[place].class_index))

    @cached_property
    def start_rounds(self) -> tuple[int, ...]:
        """Round (from 1) in which each slot joins, never falling."""
        return tuple(slot.start_round for slot in self.slots)

    def joined(self, round_number: int) -> int:
        """Return how many images have joined in round ``round_number`` (from 1): the first ones of the batch."""
        return bisect_right(self.start_rounds, round_number)

    def first_iterations(self, round_iterations: int) -> tuple[int, ...]:
        """Return the iteration (from 0) in which each slot takes its first step, for rounds of RI iterations."""
        return tuple((start_round - 1) * round_iterations for start_round in self.start_rounds)


def plan_batches(classes: int | Sequence[int], config: RecoverConfig) -> tuple[BatchPlan, ...]:
    """Group all images of some classes into batches.

    The last batch may be smaller, and a class larger than ``batch_size`` is a batch of its own.

    Args:
        classes: class indices, or their number.

    Raises:
        ConfigError: no class given, or one of them twice.

    >>> [len(plan.slots) for plan in plan_batches(5, RecoverConfig(ipc=50))]
    [100, 100, 50]
    >>> [len(plan.slots) for plan in plan_batches(5, RecoverConfig.for_method("cda", ipc=3))]
    [5, 5, 5]
    """
    class_indices = tuple(range(classes)) if isinstance(classes, int) else tuple(classes)
    if not class_indices:
        raise ConfigError("classes: none given, but at least one class is needed.")
    if len(set(class_indices)) < len(class_indices):
        raise ConfigError(f"classes: {list(class_indices)} given, but each class may be named once only.")
    return _planned(class_indices, config)


@lru_cache(maxsize=1)  # a run that begins asks several times
def _planned(class_indices: tuple[int, ...], config: RecoverConfig) -> tuple[BatchPlan, ...]:
    starts = list(enumerate(config.schedule.start_rounds))
    by_class = [[Slot(class_index, index, start) for index, start in starts] for class_index in class_indices]
    size, columns = config.batch_size, list(zip(*by_class, strict=True))  # the n-th images of all classes
    if config.batching == "classes":
        sequences, size = [[slot for each in by_class for slot in each]], max(1, size // config.ipc) * config.ipc
    elif config.batching == "all":
        sequences, size = [[slot for each in by_class for slot in each]], config.ipc * len(class_indices)
    elif config.batching == "images":
        sequences = [[slot for column in columns for slot in column]]
    else:
        sequences = [list(column) for column in columns]
    groups = (slots[start : start + size] for slots in sequences for start in range(0, len(slots), size))
    return tuple(
        BatchPlan(batch_index, tuple(sorted(group, key=lambda slot: slot.start_round)))
        for batch_index, group in enumerate(groups)
    )


def pack_batches(plans: Sequence[BatchPlan], number: int) -> tuple[BatchPlan, ...]:
    """Pack neighbouring batches of the same schedule, so that all groups of a batch always are equally large.

    At most ``number`` become one. They are numbered anew, but stay as they are where nothing is packed.

    >>> [plan.members for plan in pack_batches(plan_batches(5, RecoverConfig(ipc=50, batch_size=50)), 2)]
    [(0, 1), (2, 3), (4,)]
    """
    if number <= 1:
        return tuple(plans)
    runs: list[list[BatchPlan]] = []
    for plan in plans:
        if runs and len(runs[-1]) < number and runs[-1][0].start_rounds == plan.start_rounds:
            runs[-1].append(plan)
        else:
            runs.append([plan])
    packed = []
    for batch_index, run in enumerate(runs):
        pairs = [(slot, plan.batch_index) for plan in run for slot in plan.slots]
        pairs.sort(key=lambda pair: pair[0].start_round)
        slots, groups = zip(*pairs, strict=True)
        packed.append(BatchPlan(batch_index, slots, groups))
    return tuple(packed)


def clock(iteration: int, config: RecoverConfig) -> tuple[int, int]:
    """Return (s, MI) as the learning rate and the crop curriculum read them at one iteration.

    They are the iteration and MI, or with ``restart_rounds`` the iteration within its round and RI.

    >>> clock(1250, RecoverConfig()), clock(1250, RecoverConfig(restart_rounds=True))
    ((1250, 4000), (250, 500))
    """
    if config.restart_rounds:
        return iteration % config.round_iterations, config.round_iterations
    return iteration, config.iterations
