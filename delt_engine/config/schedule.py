"""Which image joins in which round, and what that costs.

MI (``iterations``) is what the first images get, RI (``round_iterations``) is the gap between two rounds,
``num_rounds`` K = MI / RI. Nothing here needs torch: the planner, the cost page and the loop read the same numbers.

Source: DELT Sec. 3 "Diversity-driven IPC Concatenation Training" and "Training Procedure", Eq. 6-7;
images per round follow the published recover/utils.py (ipc // rounds, the remainder to the first rounds).
Differs: MI that RI does not divide is refused (the published code runs past its list of rounds), and IPC 1 has
no rounds here either, but says so (``has_rounds``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from delt_engine.errors import ConfigError


def images_per_round(ipc: int, num_rounds: int) -> tuple[int, ...]:
    """Split ``ipc`` images of a class over the rounds, the remainder going to the first; some get 0 at a small IPC.

    Raises:
        ConfigError: either number is below 1.

    Source: field facts on DELT recover/utils.py get_round_imgs: IPC 10 in 8 rounds is 2, 2, 1, 1, 1, 1, 1, 1.

    >>> images_per_round(10, 8)
    (2, 2, 1, 1, 1, 1, 1, 1)
    """
    if ipc < 1:
        raise ConfigError(f"ipc: {ipc} given, but at least 1 image per class is needed.")
    if num_rounds < 1:
        raise ConfigError(f"num_rounds: {num_rounds} given, but at least 1 round is needed.")
    share, extra = divmod(ipc, num_rounds)
    return tuple(share + (1 if round_index < extra else 0) for round_index in range(num_rounds))


def check_rounds(iterations: int, round_iterations: int) -> int:
    """Return K = MI / RI.

    Raises:
        ConfigError: RI is below 1, above MI, or does not divide MI; the text offers values that do.

    >>> check_rounds(4000, 500)
    8
    """
    if round_iterations < 1 or iterations < 1:
        raise ConfigError(
            f"round_iterations: MI = {iterations} and RI = {round_iterations} given, but both must be at least 1."
        )
    if round_iterations > iterations:
        raise ConfigError(
            f"round_iterations: RI = {round_iterations} given, but it must not be larger than MI = {iterations}."
        )
    if iterations % round_iterations:
        divisors = [d for d in range(1, iterations + 1) if iterations % d == 0]
        below = max(d for d in divisors if d < round_iterations)
        above = min(d for d in divisors if d > round_iterations)
        raise ConfigError(
            f"round_iterations: RI = {round_iterations} given, but it must divide MI = {iterations} "
            f"without a remainder; the nearest values that do are {below} and {above}."
        )
    return iterations // round_iterations


@dataclass(frozen=True)
class EarlyLateSchedule:
    """Rounds of one class: who joins when, for how long, at what cost.

    Args:
        ipc: images per class.
        iterations: MI, what the images of round 1 get; 0 when nothing is optimised, which makes no rounds.
        round_iterations: RI, iterations of one round.
        early_late: False lets every image join in round 1 (SRe2L, CDA); snapshots still come every RI.

    Raises:
        ConfigError: see :func:`check_rounds`.

    Source: DELT Eq. 7 and Fig. 4.
    """

    ipc: int
    iterations: int
    round_iterations: int
    early_late: bool = True

    def __post_init__(self) -> None:
        images_per_round(self.ipc, 1)
        if self.iterations:
            check_rounds(self.iterations, self.round_iterations)

    @property
    def num_rounds(self) -> int:
        """K = MI / RI."""
        return self.iterations // self.round_iterations

    @property
    def is_still(self) -> bool:
        """Whether nothing is optimised, so that the start images are the finished ones."""
        return self.iterations == 0

    @property
    def has_rounds(self) -> bool:
        """Whether any image joins later than round 1; never so at IPC 1 (DELT Appendix B)."""
        return self.early_late and self.ipc > 1 and self.num_rounds > 1

    @cached_property
    def newcomers(self) -> tuple[int, ...]:
        """How many images of a class join in each round, length ``num_rounds``."""
        if not self.has_rounds:
            return (self.ipc,) + (0,) * (self.num_rounds - 1)
        return images_per_round(self.ipc, self.num_rounds)

    @cached_property
    def start_rounds(self) -> tuple[int, ...]:
        """Round (1-based) in which each image of a class joins, length ``ipc``, never falling."""
        return tuple(k + 1 for k, count in enumerate(self.newcomers) for _ in range(count))

    @property
    def last_start(self) -> int:
        """Round in which the last images join; with more rounds than images that is long before the last round.

        >>> EarlyLateSchedule(10, 4000, 500).last_start, EarlyLateSchedule(10, 4000, 50).last_start
        (8, 10)
        """
        return self.start_rounds[-1]

    @cached_property
    def image_iterations_each(self) -> tuple[int, ...]:
        """Iterations each image of a class gets, length ``ipc``."""
        return tuple(self.iterations - (start - 1) * self.round_iterations for start in self.start_rounds)

    def joined(self, round_number: int) -> int:
        """Return how many images of a class have joined in round ``round_number`` (1-based)."""
        return sum(self.newcomers[:round_number])

    def image_iterations(self, num_classes: int = 1) -> int:
        """Return the sum of iterations over all images of ``num_classes`` classes."""
        return num_classes * sum(self.image_iterations_each)

    def baseline_image_iterations(self, num_classes: int = 1) -> int:
        """Return what the same images would cost if every one got MI iterations."""
        return num_classes * self.ipc * self.iterations

    @property
    def saved_percent(self) -> float:
        """Image-iterations saved against no EarlyLate, in percent.

        >>> round(EarlyLateSchedule(50, 4000, 500).saved_percent, 2)
        42.25
        """
        baseline = self.baseline_image_iterations()
        return 100.0 * (1.0 - self.image_iterations() / baseline) if baseline else 0.0
