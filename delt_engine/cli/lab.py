"""``delt lab``: record the early-versus-late lab that the app shows, or write it as one file that opens by itself."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

import click

from delt_engine.cli.options import output_options, path_option, read_experiment, setting_options, typed_settings
from delt_engine.cli.output import say, say_json
from delt_engine.cli.patches import ranked
from delt_engine.cli.progress import display
from delt_engine.config import Experiment
from delt_engine.config.command_line import option_words
from delt_engine.lab.material import Lab, LabPlan, LabRecord, find_lab, labs_dir, open_lab, write_lab
from delt_engine.pipeline.lab_page import check_place, lab_page, write_lab_page
from delt_engine.runs.events import StageEvent
from delt_engine.runs.record import RunOptions, versions
from delt_engine.runs.store import list_runs
from delt_engine.runs.titles import example_runs

LAB_DEFAULTS = {"ipc": 8, "iterations": 400, "round_iterations": 50, "batch_size": 16}
"""Eight rounds in which one image joins each, and two classes a batch as with the published IPC 50 and batch 100."""

PLAN_SETTINGS = ("patches", "start_rounds", "every")
PROGRESS_SECONDS = 0.25


@click.command()
@setting_options(["experiment"], {"experiment": ("dataset", "image_size", "teacher", "classes", "seed", "device")})
@setting_options(["recover"], {"recover": tuple(LAB_DEFAULTS)})
@setting_options(["lab"], {"lab": PLAN_SETTINGS}, {"lab": LabPlan})
@click.option("--title", metavar="TEXT", help="What the app calls it. [default: the dataset's title]")
@click.option("--opens-with", metavar="CLASS", help="Class the app shows first. [default: the first one]")
@path_option(
    "--out",
    "DIR",
    "Where the lab is kept. [default: a folder of the dataset's name, which the app finds]",
    is_folder=True,
)
@path_option(
    "--html",
    "FILE",
    "Write the first four lessons as one page that opens from disk without a network. A lab that is there already "
    "(of --dataset, or in --out, else the one that the app opens with) is taken as it is.",
)
@output_options
def lab(
    title: str | None,
    opens_with: str | None,
    out: Path | None,
    html: Path | None,
    as_json: bool,
    quiet: bool,
    **values: Any,
) -> None:
    """Record the early-versus-late lab: the same patch joining in different rounds, and iterations step by step.

    It is slow: each patch costs one run a start round. IPC is 8, MI 400, RI 50 and a batch 16 where not given.
    """
    if html is not None:
        check_place(html)  # before any work
        ready = _ready(values, title, opens_with, out)
        if ready:
            _write_page(ready, html, as_json=as_json)
            return
    for name, default in LAB_DEFAULTS.items():
        if values.get(f"recover__{name}") is None:
            values[f"recover__{name}"] = default
    experiment = read_experiment(values)
    plan = LabPlan(**typed_settings(values).get("lab", {}))
    plan.check(experiment.recover)
    began = time.monotonic()
    made = _recorded(experiment, plan, title or "", opens_with or "", out, quiet=quiet)
    if html is not None:
        _write_page(made, html, as_json=as_json)
        return
    size, seconds = sum(path.stat().st_size for path in made.folder.iterdir()), round(time.monotonic() - began, 1)
    patches, moments = len(made.record.subjects), len(made.record.moments)
    if as_json:
        of = {"out": str(made.folder), "dataset": made.record.dataset, "teacher": made.record.teacher}
        say_json({**of, "subjects": patches, "moments": moments, "bytes": size, "seconds": seconds})
    else:
        say(f"{patches} patches at {moments} moments, {size / 1e6:.1f} MB: {made.folder}")


def _ready(values: dict[str, Any], title: str | None, opens_with: str | None, out: Path | None) -> Lab | None:
    """Return the lab that was asked for and is there; None where one is to be recorded."""
    typed = [f"{stage}.{name}" for stage, own in typed_settings(values).items() for name in own]
    is_plain = set(typed) <= {"experiment.dataset"} and not title and not opens_with
    if out is not None and is_plain and (out / "lab.json").is_file():
        return open_lab(out)
    if out is not None or not is_plain:
        return None
    return find_lab(values.get("experiment__dataset"))


def _write_page(made: Lab, html: Path, *, as_json: bool) -> None:
    page = lab_page(made, [*example_runs(), *list_runs()])
    path = write_lab_page(html, page)
    size = path.stat().st_size
    if as_json:
        of = {"path": str(path), "bytes": size, "lessons": list(page.lessons), "lab": str(made.folder)}
        say_json({**of, "classes": list(page.classes), "left_out": list(page.left_out)})
        return
    left = f"; no room for {', '.join(page.left_out)}" if page.left_out else ""
    say(f"{len(page.lessons)} lessons, {len(page.classes)} classes{left}, {size / 1e6:.1f} MB: {path}")


def _recorded(
    experiment: Experiment, plan: LabPlan, title: str, opens_with: str, out: Path | None, *, quiet: bool
) -> Lab:
    """Rank, select, record and write."""
    from delt_engine.lab.recording import LabWork, record_lab
    from delt_engine.models.device import pick_device
    from delt_engine.models.teachers import load_teacher
    from delt_engine.patches.selection import select

    ranking, inputs, _ = ranked(experiment, RunOptions(), None, quiet=quiet)
    dataset, recover = inputs.dataset, experiment.recover
    if opens_with:
        dataset.class_index(opens_with)
    device = pick_device(experiment.device)
    teacher = load_teacher(str(inputs.teacher_path), dataset=dataset, device=device)
    selection = select(
        ranking, dataset.train.names, recover.schedule, experiment.select, seed=experiment.seed, classes=inputs.classes
    )
    work = LabWork(dataset, teacher, selection, inputs.classes, recover, plan, experiment.seed)
    with display(quiet=quiet) as shown:
        next_event = 0.0

        def report(done: int, total: int) -> None:
            nonlocal next_event
            if done == total or time.monotonic() >= next_event:
                next_event = time.monotonic() + PROGRESS_SECONDS
                shown.show(StageEvent(stage="record the lab", done=done, total=total))

        material = record_lab(work, report)
    spec, card = dataset.spec, teacher.card
    record = LabRecord(
        title=title or spec.title,
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
        command=_command(experiment, plan, title, opens_with),
        versions=versions(),
        recover=recover,
        select=experiment.select,
        moments=plan.moments(recover),
        start_rounds=plan.start_rounds,
        opens_with=opens_with,
        subjects=tuple(material.subjects),
        halves=tuple(material.halves),
    )
    return write_lab(out or labs_dir() / spec.name, record, material.sheets)


def _command(experiment: Experiment, plan: LabPlan, title: str, opens_with: str) -> str:
    """Return the command that makes the same lab again."""
    recover, teacher = experiment.recover, None if experiment.teacher == "auto" else experiment.teacher
    words = option_words(
        **experiment.model_dump(include={"dataset", "image_size"}), teacher=teacher, classes=experiment.classes
    )
    words += option_words(ipc=recover.ipc, mi=recover.iterations, ri=recover.round_iterations)
    words += option_words(batch_size=recover.batch_size, **{name: getattr(plan, name) for name in PLAN_SETTINGS})
    words += option_words(seed=experiment.seed, title=title, opens_with=opens_with)
    return shlex.join(["delt", "lab", *words])
