"""``delt`` on tables of few iterations, in a process that is killed in the middle of its second recovery."""

from __future__ import annotations

import os
import signal

from delt_engine.cli import main
from delt_engine.papers import laptop
from delt_engine.pipeline import recover_batch

recover, begun = recover_batch.recover, []


def killed(*arguments, **options):
    begun.append(arguments)
    for step in recover(*arguments, **options):
        if len(begun) == 2 and step.iteration == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        yield step


if __name__ == "__main__":
    laptop.ITERATIONS = 100
    recover_batch.recover = killed
    main(prog_name="delt")
