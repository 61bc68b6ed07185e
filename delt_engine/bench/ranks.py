"""How much faster are several ranks than one? The same run by one process and by ranks, one thread each.

Both are real runs of the command, in turns, as processes of their own with ``OMP_NUM_THREADS=1``; the rate is what
the run itself keeps, from the first batch begun to the last image written, and the images of both are compared.
The ranks of a CPU share its memory, so two of them on two cores need not be twice as fast as one.

Figures: ``ranks``, how many; ``one_rate`` and ``rate``, image-iterations a second of one process and of the ranks;
``same_images``, whether every image file of both is the same to the byte; ``rounds``, measurements of each; ``load``,
that of the machine over the minute before; ``cores`` of the machine.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from statistics import median

from delt_engine.bench.harness import Measured, Report, start
from delt_engine.config.command_line import option_words
from delt_engine.errors import RunError
from delt_engine.runs.store import Run

CLASSES = 10
"""Classes of the built-in photographs, which are one batch each."""

IPC = 20
ITERATIONS, QUICK_ITERATIONS = 100, 40


def bench_ranks(ranks: int, folder: Path, *, device: str, rounds: int, quick: bool, report: Report) -> Measured:
    """Measure some ranks and one in turns; the runs are left in ``folder``.

    Raises:
        RunError: one of the runs failed.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    runs: dict[int, list[Run]] = {1: [], ranks: []}
    for number in range(rounds):
        report("measure", number, rounds)
        for size, taken in runs.items():
            taken.append(_run(folder / f"{number}-{size}", size, ranks, device, quick))
    report("measure", rounds, rounds)
    one, many = ([run.record().image_iterations_per_second or 0.0 for run in taken] for taken in runs.values())
    return Measured(
        f"ranks-{ranks}",
        f"{ranks} ranks, one thread each",
        device,
        1,
        plain_rate=round(median(one), 1),
        fast_rate=round(median(many), 1),
        ratio=round(median(together / alone for alone, together in zip(one, many, strict=True)), 3),
        figures={
            "ranks": ranks,
            "one_rate": round(median(one), 1),
            "rate": round(median(many), 1),
            "same_images": all(_images(a) == _images(b) for a, b in zip(*runs.values(), strict=True)),
            "rounds": rounds,
            "load": round(load, 2),
            "cores": os.cpu_count() or 1,
        },
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
    words = ["delt_engine", *command(ranks, of, out, device, quick=quick)]
    process = start(words, errors=subprocess.PIPE, OMP_NUM_THREADS="1")
    _, errors = process.communicate()
    if process.returncode:
        last = (errors.decode(errors="replace").strip().splitlines() or ["it ended without a word"])[-1]
        raise RunError(f"bench: the run with {ranks} ranks failed: {last}")
    return Run(out)


def _images(run: Run) -> dict[str, bytes]:
    folder = run.path / "images"
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.png"))}
