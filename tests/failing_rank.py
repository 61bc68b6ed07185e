"""``delt`` in a rank that fails in its third training step, where it is not the first one; run by torch's launcher."""

from __future__ import annotations

from itertools import count

from delt_engine.cli import main
from delt_engine.errors import DataError
from delt_engine.jobs.ranks import this_rank
from delt_engine.training import squeeze

step, steps = squeeze._Training.step, count(1)


def failing(*arguments):
    if this_rank().number and next(steps) == 3:
        raise DataError("data: image 7 cannot be read.")
    return step(*arguments)


if __name__ == "__main__":
    squeeze._Training.step = failing
    main(prog_name="delt")
