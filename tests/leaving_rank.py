"""``delt`` in a rank that is told to stop while it waits for an order, where it is not the first one.

The launcher's variable LEAVES says which order that is, from 1.
"""

from __future__ import annotations

import os
import signal
from itertools import count

from delt_engine.cli import main
from delt_engine.jobs.ranks import Channel, this_rank

hear, orders = Channel.hear, count(1)


def leaving(channel, check):
    if this_rank().number and next(orders) == int(os.environ["LEAVES"]):
        os.kill(os.getpid(), signal.SIGTERM)  # its handler stands, and marks the wish before the next line
    return hear(channel, check)


if __name__ == "__main__":
    Channel.hear = leaving
    main(prog_name="delt")
