"""One of two ranks that meet; run as ``python meeting_ranks.py CASE FOLDER`` with what a launcher sets.

Each rank writes what it found into ``FOLDER/<number>.json``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from delt_engine.errors import ConfigError, RanksLost, RunCancelled
from delt_engine.jobs import ranks

RANK = ranks.this_rank()


def together(_folder: Path) -> list:
    """All that ranks do with each other, and one error that all of them see."""
    found = [ranks.first(lambda: {"path": "/runs/a", "rank": RANK.number}), ranks.agreed(RANK.number * 7)]
    ranks.barrier()
    try:
        ranks.first(lambda: (_ for _ in ()).throw(ConfigError("ipc: 0 given, but it must be at least 1.")))
    except ConfigError as error:
        found.append(str(error))
    return found


def stopped(folder: Path) -> list:
    """The first rank is asked to stop while it waits; the other never comes, and leaves by itself."""
    if RANK.is_first:
        try:
            ranks.barrier(stop)
        except RunCancelled as error:
            (folder / "stopped").touch()
            return [str(error)]
    while not (folder / "stopped").exists():
        pass
    return ["left"]


def stop() -> None:
    raise RunCancelled("pause")


def lost(_folder: Path) -> list:
    """The second rank dies without a word while the first waits."""
    if not RANK.is_first:
        os._exit(9)
    try:
        ranks.barrier()
    except RanksLost as error:
        return [str(error)]
    return []


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    with ranks.joined():
        result = {"together": together, "stopped": stopped, "lost": lost}[sys.argv[1]](folder)
    (folder / f"{RANK.number}.json").write_text(json.dumps(result))
