"""``delt`` in a rank that fails where it is not the first one; run by torch's launcher.

It fails in its third training step, or, where the variable FAILS says ``image``, at the first patches it scores.
"""

from __future__ import annotations

import os
from itertools import count

from delt_engine.cli import main
from delt_engine.errors import DataError
from delt_engine.jobs.ranks import this_rank
from delt_engine.patches import scoring
from delt_engine.training.trainer import Training

step, score, steps = Training._step, scoring.Scorer.__call__, count(1)


def failing(*arguments):
    if this_rank().number and next(steps) == 3:
        raise DataError("data: image 7 cannot be read.")
    return step(*arguments)


def failing_score(*arguments):
    if this_rank().number:
        raise DataError("data: image 7 cannot be read.")
    return score(*arguments)


if __name__ == "__main__":
    if os.environ.get("FAILS") == "image":
        scoring.Scorer.__call__ = failing_score
    else:
        Training._step = failing
    main(prog_name="delt")
