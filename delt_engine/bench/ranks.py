"""How much faster are several ranks than one? The same run by one process and by ranks, one thread each.

Both are real runs of the command, in turns, as processes of their own with ``OMP_NUM_THREADS=1``; the rate is what
the run itself keeps, from the first batch begun to the last image written, and the images of both are compared.
The ranks of a CPU share its memory, so two of them on two cores need not be twice as fast as one.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from delt_engine.config.command_line import option_words
from delt_engine.errors import RunError
from delt_engine.paths import PROJECT
from delt_engine.runs.store import Run

CLASSES = 10
"""Classes of the built-in photographs, which are one batch each."""

IPC = 20
ITERATIONS, QUICK_ITERATIONS = 100, 40


@dataclass(frozen=True)
class RanksResult:
    """What was measured.

    Attributes:
        ranks: how many.
        device: as given.
        one_rate: image-iterations a second of one process, median.
        rate: of the ranks, median.
        ratio: median of the ratios of neighbouring measurements.
        same_images: whether every image file of both is the same to the byte.
        rounds: measurements of each.
        load: other work on the machine before it began: its load over a minute.
        cores: of the machine.
    """

    ranks: int
    device: str
    one_rate: float
    rate: float
    ratio: float
    same_images: bool
    rounds: int
    load: float
    cores: int

    def to_record(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"case": f"ranks-{self.ranks}", **asdict(self)}


def bench_ranks(
    ranks: int, folder: Path, *, device: str, rounds: int, quick: bool, report: Callable[[str, int, int], None]
) -> RanksResult:
    """Measure in turns.

    Args:
        ranks: how many are compared with one.
        folder: a new folder for the runs.
        device: ``cpu`` or ``cuda``.
        rounds: measurements of each.
        quick: fewer iterations.
        report: told how far it is.

    Raises:
        RunError: one of the runs failed.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    pairs, same = [], True
    for number in range(rounds):
        report("measure", number, rounds)
        one, many = (_run(folder / f"{number}-{size}", size, ranks, device, quick) for size in (1, ranks))
        pairs.append((_rate(one), _rate(many)))
        same = same and _images(one) == _images(many)
    report("measure", rounds, rounds)
    return RanksResult(
        ranks,
        device,
        round(statistics.median(pair[0] for pair in pairs), 1),
        round(statistics.median(pair[1] for pair in pairs), 1),
        round(statistics.median(pair[1] / pair[0] for pair in pairs), 3),
        same,
        rounds,
        round(load, 2),
        os.cpu_count() or 1,
    )


def command(ranks: int, of: int, out: Path, device: str, *, quick: bool) -> list[str]:
    """Return the command line after ``delt``: as many batches of one size as the ranks can share evenly.

    >>> command(1, 4, Path("a"), "cpu", quick=True)[:4]
    ['recover', '--dataset', 'photos', '--classes']
    """
    from delt_engine.data.catalogue import load_dataset

    names = load_dataset("photos").spec.class_names[: max(of, CLASSES // of * of)]
    iterations = QUICK_ITERATIONS if quick else ITERATIONS
    options = option_words(
        dataset="photos",
        classes=tuple(names),
        ipc=IPC,
        batch_size=IPC,
        mi=iterations,
        ri=iterations // 4,
        early_late=False,
        pack=1,
        live_seconds=0,
        snapshot_classes=0,
        teacher_check=False,
        device=device,
        ranks=ranks,
        out=out,
        quiet=True,
    )
    return ["recover", *options]


def _run(out: Path, ranks: int, of: int, device: str, quick: bool) -> Run:
    words = command(ranks, of, out, device, quick=quick)
    paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, "-m", "delt_engine", *words], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise RunError(f"bench: the run with {ranks} ranks failed: {last}")
    return Run(out)


def _rate(run: Run) -> float:
    return run.record().image_iterations_per_second or 0.0


def _images(run: Run) -> dict[str, bytes]:
    folder = run.path / "images"
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.png"))}
