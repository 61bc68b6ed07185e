"""``delt lab``: record the early-versus-late lab that the app shows, from a dataset and its teacher."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from delt_engine.cli.options import output_options, read_experiment, setting_options
from delt_engine.cli.output import say, say_json
from delt_engine.cli.patches import ranked
from delt_engine.cli.progress import display
from delt_engine.config import Experiment
from delt_engine.errors import ConfigError
from delt_engine.runs.record import RunOptions, versions

if TYPE_CHECKING:
    from delt_engine.lab.material import Lab, LabPlan
    from delt_engine.lab.recording import LabMaterial, LabWork

LAB_DEFAULTS = {"ipc": 8, "iterations": 400, "round_iterations": 50, "batch_size": 16}
"""Eight rounds in which one image joins each, and two classes a batch as with the published IPC 50 and batch 100."""

PROGRESS_SECONDS = 0.25


@click.command()
@setting_options(["experiment"], {"experiment": ("dataset", "image_size", "teacher", "classes", "seed", "device")})
@setting_options(["recover"], {"recover": ("ipc", "iterations", "round_iterations", "batch_size")})
@click.option(
    "--patches",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="N",
    help="Patches of each class that are shown, the first ones to join.",
)
@click.option(
    "--start-rounds",
    default="1,3,5,8",
    show_default=True,
    metavar="N,...",
    help="Rounds in which the twins of a patch join.",
)
@click.option(
    "--every",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="Iterations between two moments of the timeline.",
)
@click.option("--title", metavar="TEXT", help="What the app calls it. [default: the dataset's title]")
@click.option("--opens-with", metavar="CLASS", help="Class the app shows first. [default: the first one]")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where the lab is kept. [default: a folder of the dataset's name, which the app finds]",
)
@output_options
def lab(
    patches: int,
    start_rounds: str,
    every: int,
    title: str | None,
    opens_with: str | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
    **values: Any,
) -> None:
    """Record the early-versus-late lab: the same patch joining in different rounds, and iterations step by step.

    It is slow: each patch costs one run a start round. IPC is 8, MI 400, RI 50 and a batch 16 where not given.
    """
    from delt_engine.lab.material import LabPlan

    for name, default in LAB_DEFAULTS.items():
        if values.get(f"recover__{name}") is None:
            values[f"recover__{name}"] = default
    experiment = read_experiment(values)
    plan = LabPlan(patches, _numbers(start_rounds), every)
    plan.check(experiment.recover)
    began = time.monotonic()
    made = _recorded(experiment, plan, _Words(title, opens_with), out, quiet=quiet)
    size = sum(path.stat().st_size for path in made.folder.iterdir())
    told = {
        "out": str(made.folder),
        "dataset": made.record.dataset,
        "teacher": made.record.teacher,
        "subjects": len(made.record.subjects),
        "moments": len(made.record.moments),
        "bytes": size,
        "seconds": round(time.monotonic() - began, 1),
    }
    if as_json:
        say_json(told)
        return
    say(f"{told['subjects']} patches at {told['moments']} moments, {size / 1e6:.1f} MB: {made.folder}")


class _Words(NamedTuple):
    """What is said of a lab: its title, and the class it opens with."""

    title: str | None
    opens_with: str | None


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"start_rounds: {text!r} given, but rounds with commas between them are needed.") from None


def _recorded(experiment: Experiment, plan: LabPlan, words: _Words, out: Path | None, *, quiet: bool) -> Lab:
    """Rank, select, record and write."""
    from delt_engine.lab.material import LabRecord, labs_dir, write_lab
    from delt_engine.lab.recording import LabWork
    from delt_engine.models.device import pick_device
    from delt_engine.models.teachers import load_teacher
    from delt_engine.patches.selection import select

    ranking, inputs = ranked(experiment, RunOptions(), None, quiet=quiet)
    dataset, recover = inputs.dataset, experiment.recover
    if words.opens_with:
        dataset.class_index(words.opens_with)
    device = pick_device(experiment.device)
    teacher = load_teacher(str(inputs.teacher_path), dataset=dataset, device=device)
    selection = select(
        ranking, dataset.train.names, recover.schedule, experiment.select, seed=experiment.seed, classes=inputs.classes
    )
    work = LabWork(dataset, teacher, selection, inputs.classes, recover, plan, experiment.seed)
    material = _followed(work, quiet=quiet)
    spec, card = dataset.spec, teacher.card
    record = LabRecord(
        title=words.title or spec.title,
        dataset=spec.name,
        dataset_fingerprint=dataset.fingerprint,
        class_names=spec.class_names,
        classes=tuple(inputs.classes),
        image_size=spec.image_size,
        teacher=card.name,
        teacher_network=card.network,
        teacher_fingerprint=card.fingerprint,
        teacher_accuracy=card.accuracy,
        features=f"what the last linear layer of teacher {card.name} is given",
        seed=experiment.seed,
        device=str(device),
        command=_command(experiment, plan, words),
        versions=versions(),
        recover=recover,
        select=experiment.select,
        moments=plan.moments(recover),
        start_rounds=plan.start_rounds,
        opens_with=words.opens_with or "",
        subjects=tuple(material.subjects),
        halves=tuple(material.halves),
    )
    return write_lab(out or labs_dir() / spec.name, record, material.sheets)


def _followed(work: LabWork, *, quiet: bool) -> LabMaterial:
    """Record the material and show how far it is."""
    from delt_engine.lab.recording import LabProgress, record_lab

    with display(quiet=quiet) as shown:
        next_event, last = 0.0, None
        for item in record_lab(work):
            if not isinstance(item, LabProgress):
                last = item
            elif item.done == item.total or time.monotonic() >= next_event:
                next_event = time.monotonic() + PROGRESS_SECONDS
                shown.show({"kind": "stage", "stage": "record the lab", "done": item.done, "total": item.total})
    assert last is not None  # the last record of record_lab is the material
    return last


def _command(experiment: Experiment, plan: LabPlan, said: _Words) -> str:
    """Return the command that makes the same lab again."""
    recover = experiment.recover
    words = [
        "delt",
        "lab",
        "--dataset",
        experiment.dataset,
        *_given(experiment),
        "--ipc",
        recover.ipc,
        "--mi",
        recover.iterations,
        "--ri",
        recover.round_iterations,
        "--batch-size",
        recover.batch_size,
        "--patches",
        plan.patches,
        "--start-rounds",
        ",".join(map(str, plan.start_rounds)),
        "--every",
        plan.every,
        "--seed",
        experiment.seed,
    ]
    words += ["--title", said.title] if said.title else []
    words += ["--opens-with", said.opens_with] if said.opens_with else []
    return shlex.join(map(str, words))


def _given(experiment: Experiment) -> Iterator[str]:
    if experiment.image_size is not None:
        yield from ("--image-size", str(experiment.image_size))
    if experiment.teacher != "auto":
        yield from ("--teacher", experiment.teacher)
    if experiment.classes is not None:
        yield from ("--classes", ",".join(experiment.classes))
