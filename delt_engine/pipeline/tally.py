"""What a recovery has done so far: seconds in the loop, without waiting and loading; image-iterations of all ranks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from delt_engine.pipeline.context import RankCounts, StageContext
from delt_engine.recovery.batches import BatchPlan
from delt_engine.runs.checkpoint import positions


class Tally:
    """Counts the work on a run; every rank counts its own, and knows what the others have left.

    Args:
        context: of the stage.
        plans: all batches.
        is_done: whether a batch has all its images; asked in the first rank.

    Attributes:
        plans: all batches.
        pending: the batches that are to be worked on, in every rank the same.
        total: image-iterations of all batches.
    """

    def __init__(self, context: StageContext, plans: Sequence[BatchPlan], is_done: Callable[[BatchPlan], bool]) -> None:
        self._context, self._config = context, context.experiment.recover
        self._counts = RankCounts(context.run.path, context.rank, "recover")
        self.plans, self._by_number = plans, {plan.batch_index: plan for plan in plans}
        self.total = sum(self._worth(number, self._config.iterations) for number in self._by_number)
        begun, left = context.first(
            lambda: (positions(context.run), [plan.batch_index for plan in plans if not is_done(plan)])
        )
        self.pending = [self._by_number[number] for number in left]
        ahead = {number: begun[number].iteration if number in begun else 0 for number in left}
        whole = dict.fromkeys(self._by_number, self._config.iterations)
        self._done = {number: self._worth(number, completed) for number, completed in {**whole, **ahead}.items()}
        self._before = sum(self._done.values())
        seconds = [position.seconds for position in begun.values()]
        self._base, self._began = max([context.run.record().seconds, *seconds]), time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of work so far."""
        return self._base + time.monotonic() - self._began

    @property
    def done(self) -> int:
        """Image-iterations that all batches have behind them."""
        return self._before + self._counts.total(sum(self._done.values()) - self._before)

    def count(self, batch: int, completed: int) -> None:
        """Count the completed iterations of a batch of this rank."""
        self._done[batch] = self._worth(batch, completed)

    def save(self) -> None:
        """Write what was counted into the run's record."""
        done, seconds = self.done, self.seconds
        rate = round(done / seconds, 3) if seconds > 0 else None
        self._context.update(seconds=round(seconds, 3), image_iterations=done, image_iterations_per_second=rate)

    def _worth(self, batch: int, completed: int) -> int:
        return image_iterations(self._by_number[batch], completed, self._config.round_iterations)


def image_iterations(plan: BatchPlan, iterations: int, round_iterations: int) -> int:
    """Return how many image-iterations a batch has behind it after its first ``iterations``."""
    full, part = divmod(iterations, round_iterations)
    done = sum(plan.joined(number) for number in range(1, full + 1)) * round_iterations
    return done + (part * plan.joined(full + 1) if part else 0)
