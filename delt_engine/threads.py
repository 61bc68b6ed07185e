"""How threads wait for each other in a process that is going to load torch; torch-free.

An iteration has some 200 pieces of work that all threads begin and end together. A thread that has ended its piece can
sleep until the next one, and waking it takes longer than many pieces do; or it can look again and again, which takes a
core from everybody else. Measured on two cores, photos, 100 images: looking about 10,000 times before it sleeps is 1.2
to 1.5 times as fast as sleeping at once where nothing else runs, and no slower with a browser that watches; but where
other programs want both cores, sleeping at once is 1.5 to 4 times as fast.

Source: OMP_WAIT_POLICY is OpenMP's, GOMP_SPINCOUNT is libgomp's, the OpenMP of torch's packages for Linux.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import MutableMapping

LOOKS = 10_000
"""How often a thread looks whether there is work before it sleeps."""

BUSY = 0.5
"""Load of the last minute, by core, from which threads sleep at once."""

_CHOSEN = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def set_thread_waiting(environment: MutableMapping[str, str] = os.environ) -> None:
    """Decide how threads wait, unless the user has: by what else this machine has had to do in the last minute.

    Args:
        environment: of a process that is yet to load torch; changed.
    """
    if any(name in environment for name in _CHOSEN):
        return
    if sys.platform == "linux" and _load() < BUSY * len(os.sched_getaffinity(0)):
        environment["GOMP_SPINCOUNT"] = str(LOOKS)
    else:
        environment["OMP_WAIT_POLICY"] = "PASSIVE"


def _load() -> float:
    try:
        return os.getloadavg()[0]
    except OSError:  # nobody counts it, as in some containers
        return math.inf
