"""``delt recover``, ``delt run`` and ``delt resume``: make the synthetic images of a run, or go on with them."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from delt_engine.cli.options import (
    count_option,
    output_options,
    path_option,
    read_experiment,
    read_run_options,
    run_options,
    setting_options,
    size_of,
    teacher_options,
)
from delt_engine.cli.output import say, say_json
from delt_engine.cli.presets import preset_option, preset_told
from delt_engine.cli.progress import display
from delt_engine.config import Experiment
from delt_engine.config.doubts import doubts
from delt_engine.data.catalogue import find_entry
from delt_engine.errors import RunCancelled, RunError
from delt_engine.jobs import ranks
from delt_engine.jobs.watchdog import free
from delt_engine.jobs.worker import set_stopped
from delt_engine.paths import expanded
from delt_engine.recovery.batches import plan_batches
from delt_engine.runs.command import STAGES, command_for
from delt_engine.runs.record import Kind, RunOptions, new_run_path, relevant_settings, with_absolute_paths
from delt_engine.runs.store import Run, check_free, list_runs

if TYPE_CHECKING:
    from delt_engine.pipeline.inputs import Inputs

OUT = path_option("--out", "DIR", "Folder of the run: new or empty. [default: one among your runs]")

PIXELS_A_RANK = 2**20
"""Fewer pixels of a batch than these (21 images of 224 px) are no work for a card of their own; ours, not measured."""

STUDENT_BATCH = 100
"""Images in a step of student training where the recipe decides; the published number at IPC 50."""


@click.command()
@setting_options(["experiment", *STAGES["recover"]])
@teacher_options
@preset_option
@run_options("recover")
@OUT
@click.option("--prepare-only", is_flag=True, help="Only make the folder of the run, for `delt work`.")
@output_options
def recover(out: Path | None, prepare_only: bool, as_json: bool, quiet: bool, **values: Any) -> None:
    """Make the synthetic images of a method: optimised against the teacher in rounds, or taken as they are.

    Patches are ranked by the teacher and selected first; a ranking made before is used again. Stop with Ctrl-C and go
    on with `delt resume`.
    """
    experiment, options = read_experiment(values), read_run_options(values)
    told = preset_told(values, ("experiment", *STAGES["recover"]), silent=as_json or quiet)
    if prepare_only:
        _prepared(experiment, out, options, as_json=as_json, told=told)
        return
    recovered(experiment, out, options, as_json=as_json, quiet=quiet, told=told)


@click.command()
@click.argument("run", metavar="RUN")
@count_option(
    "--ranks",
    "number",
    text="Processes that go on with it; images do not depend on it. [default: as it was begun]",
    least=0,
    most=1024,
)
@click.option("--takeover", is_flag=True, help="End the process that is at it first, such as one that hangs.")
@click.option("--no-result", is_flag=True, hidden=True, help="Say nothing of the result: for ranks of a launcher.")
@output_options
def resume(run: str, number: int | None, takeover: bool, no_result: bool, as_json: bool, quiet: bool) -> None:
    """Go on with a run that stopped: its folder, or its id among your runs."""
    opened = Run.open(run)
    if opened.record().status == "finished":
        raise RunError(f"run {opened.id}: it is finished, so there is nothing to resume.")
    if takeover:
        ranks.first(lambda: free(opened))
    stopped = completed(opened, ranks_asked=number, quiet=quiet)
    finish(opened, as_json=as_json, stopped=stopped, shows_result=not no_result)


def recovered(
    experiment: Experiment,
    out: Path | None,
    options: RunOptions,
    *,
    as_json: bool,
    quiet: bool,
    told: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Make a recover run, work on it, and say the result; ``told`` is said beside it as JSON."""
    from delt_engine.pipeline.inputs import load_inputs

    run, inputs = made(experiment, "recover", out, options, lambda: load_inputs(experiment, needs_committee=True))
    finish(run, as_json=as_json, stopped=completed(run, inputs, quiet=quiet), told=told)


def _prepared(
    experiment: Experiment, out: Path | None, options: RunOptions, *, as_json: bool, told: Mapping[str, Any]
) -> None:
    """Make a recover run that waits for workers, and say so; ``told`` is said beside it as JSON."""
    from delt_engine.pipeline.inputs import load_inputs
    from delt_engine.pipeline.work import open_to_workers

    run, _ = made(experiment, "recover", out, options, lambda: load_inputs(experiment, needs_committee=True))
    open_to_workers(run)
    if as_json:
        say_json({"run": str(run.path), "kind": "recover", "status": run.status, **told})
    else:
        say(f"It waits for workers, any number of `delt work {run.path}`.")


def made(
    experiment: Experiment,
    kind: Kind,
    out: Path | None,
    options: RunOptions,
    look_up: Callable[[], Inputs],
    source: str = "",
) -> tuple[Run, Inputs | None]:
    """Make a queued run; of several ranks the first one does, and all get it.

    Args:
        look_up: finds what is wrong with the question before a folder is made.
        source: what an evaluation trains on.

    Returns:
        The run, and in the process that made it what was looked up.

    Raises:
        DeltError: it cannot be done.
    """
    found: list[Inputs] = []

    def make() -> Path:
        again = _begun_before(experiment, out, kind)
        if again is not None:
            return again.path
        path = out if out is not None else new_run_path(experiment, kind)
        check_free(path)
        found.append(look_up())
        for doubt in doubts(experiment, kind):
            click.echo(f"Warning: {doubt}", err=True)
        command = command_for(experiment, path, kind, options, source)
        return Run.create(path, experiment, kind, command, options, source).path

    run = Run(ranks.first(make))
    return run, found[0] if found else None


def completed(
    run: Run, inputs: Inputs | None = None, *, ranks_asked: int | None = None, quiet: bool
) -> RunCancelled | None:
    """Work on a run until it is finished, or let several ranks on this machine do so; return why it stopped.

    Without ``ranks_asked`` the run says how many processes are to work on it.

    Raises:
        Exit: ranks failed, which was said by the first of them.
    """
    from delt_engine.pipeline.run import run_experiment, stop_error

    record = run.record()
    if record.status == "finished":
        return None
    if record.kind != "rank":
        asked = record.options.ranks if ranks_asked is None else ranks_asked
        number = ranks.wanted(asked, record.experiment, lambda: pieces_of(record.experiment, record.kind))
        if number > 1:
            code = ranks.launch(number, ["resume", str(run.path), "--no-result", *flags(as_json=False, quiet=quiet)])
            if run.status in ("cancelled", "paused"):
                return stop_error(run, run.status)
            if code:
                raise click.exceptions.Exit(code)
            return None
    try:
        with display(quiet=quiet or not ranks.this_rank().is_first) as shown:
            run_experiment(run, inputs, shown.show)
    except RunCancelled as stopped:
        if run.status == "queued" and run.record().process is None:  # before it listened for signals
            set_stopped(run, "pause")
            return stop_error(run, run.status)
        return stopped
    return None


def flags(*, as_json: bool, quiet: bool) -> list[str]:
    """Return the options of the output as they were typed."""
    return [flag for flag, is_on in (("--json", as_json), ("--quiet", quiet)) if is_on]


def pieces_of(experiment: Experiment, kind: Kind = "recover") -> int:
    """Return how many ranks can share a run with gain: by its students, by its batches, or by what is in a batch.

    No images are read, but the size of a folder's: classes of a folder are its folders.
    """
    if kind == "evaluate" and experiment.evaluate.seeds > 1:
        return experiment.evaluate.seeds
    if kind in ("evaluate", "squeeze"):
        batch = experiment.squeeze.batch_size if kind == "squeeze" else experiment.evaluate.batch_size or STUDENT_BATCH
        return max(1, batch * size_of(experiment.dataset, experiment.image_size) ** 2 // PIXELS_A_RANK)
    classes, entry = len(experiment.classes or ()), find_entry(experiment.dataset)
    if not classes and entry is not None:
        classes = entry.num_classes or 0
    elif not classes:
        root = expanded(experiment.dataset)
        folder = root / "train" if (root / "train").is_dir() else root
        classes = sum(path.is_dir() for path in folder.glob("*"))
    return len(plan_batches(classes, experiment.recover)) if classes and experiment.recover.is_optimised else 1


@contextlib.contextmanager
def shared_folder(prefix: str, beside: Path) -> Iterator[Path]:
    """Yield a folder for the length of a command: of several ranks the same ``beside``, which all machines see."""
    is_shared = ranks.this_rank().size > 1
    if is_shared:
        beside.mkdir(parents=True, exist_ok=True)
    folder = Path(ranks.first(lambda: tempfile.mkdtemp(prefix=prefix, dir=beside if is_shared else None)))
    try:
        yield folder
    finally:
        if ranks.this_rank().is_first:
            shutil.rmtree(folder, ignore_errors=True)


def _begun_before(experiment: Experiment, out: Path | None, kind: Kind) -> Run | None:
    """Return the run that these ranks began before their launcher started them again; None at the first start."""
    if not ranks.this_rank().restarts:
        return None
    settings = relevant_settings(with_absolute_paths(experiment), kind)
    for run in [Run(out)] if out is not None else list_runs():
        if run.unreadable or (run.record().kind, run.experiment) != (kind, settings):
            continue
        if out is not None or run.record().status != "finished":
            return run
    return None


def finish(
    run: Run,
    *,
    as_json: bool,
    stopped: RunCancelled | None,
    shows_result: bool = True,
    told: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Say the result of a run, also of one that was stopped; ``told`` is said beside it as JSON.

    Raises:
        RunCancelled: it was stopped.
    """
    if shows_result and as_json:
        say_json({**results(run), **told})
    elif shows_result and stopped is None:
        say(sentence(run, results(run)))
    if stopped is not None:
        raise stopped


def results(run: Run) -> dict[str, Any]:
    """Return what ``--json`` prints for a run."""
    record = run.record()
    found: dict[str, Any] = {"run": str(run.path), "kind": record.kind, "status": run.status}
    if record.kind == "recover":
        config = record.experiment.recover
        found |= {
            "method": config.method,
            "images": len(list((run.path / "images").glob("*/*.png"))),
            "num_rounds": config.schedule.num_rounds,
            "has_rounds": config.schedule.has_rounds,
            "is_optimised": config.is_optimised,
            "image_iterations": record.image_iterations,
            "baseline_image_iterations": config.schedule.baseline_image_iterations(len(run.classes)),
            "saved_percent": round(config.schedule.saved_percent, 2),
            "seconds": record.seconds,
            "image_iterations_per_second": record.image_iterations_per_second,
            "first_snapshot_seconds": record.first_snapshot_seconds,
            "device": record.device,
            "memory": record.memory,
            "notes": list(record.notes),
        }
    else:
        found |= {"seconds": record.seconds, **record.result}
    if record.teacher is not None:
        found["teacher"] = record.teacher.name
        found["teacher_accuracy"] = record.teacher.measured_accuracy
    if record.committee:
        found["committee"] = [one.network for one in record.committee]
    if record.ranker is not None:
        found["ranker"] = record.ranker.name
    return found


def sentence(run: Run, result: dict[str, Any]) -> str:
    """Return what is said of a finished run, of which :func:`results` are given."""
    if result["kind"] == "evaluate":
        return f"{accuracy_words(result)} in {result['seconds']:.1f} s: {run.path}"
    if result["kind"] != "recover":
        return f"{result['kind']} finished in {result['seconds']:.1f} s: {run.path}"
    if not result["is_optimised"]:
        return f"{result['images']:,} images, not optimised, in {result['seconds']:.1f} s: {run.path}"
    rounds = f"{result['num_rounds']} rounds" if result["has_rounds"] else "no rounds"
    rate = result["image_iterations_per_second"] or 0
    return (
        f"{result['images']:,} images, {rounds}, {result['image_iterations']:,} image-iterations "
        f"({result['saved_percent']:g} % saved) in {result['seconds']:.1f} s ({rate:,.0f}/s)"
        f"{memory_words(result['memory'])}: {run.path}"
    )


def memory_words(record: dict[str, Any]) -> str:
    """Return what a run's record says of memory, to go on a line with; nothing of a run that says nothing.

    >>> memory_words({"of": "process", "predicted_mb": 812.3, "measured_mb": 790.0})
    ', peak memory 790 MB of the process (812 MB predicted)'
    """
    if not record:
        return ""
    measured, predicted = f"{record['measured_mb']:,.0f} MB", f"{record['predicted_mb']:,.0f} MB"
    return f", peak memory {measured} of the {record['of']} ({predicted} predicted)"


def accuracy_words(result: dict[str, Any]) -> str:
    """Return what students reached in a line: top-1 of the last and of the best epoch, and by which recipe.

    >>> result = {"source_title": "DELT, IPC 10", "seeds": [0], "top1_last": 41.2, "top1_last_std": 0.0,
    ...     "top1_best": 43.0, "recipe_title": "DELT", "epochs": 60, "is_shortened": True, "student": "resnet18"}
    >>> accuracy_words(result)
    'DELT, IPC 10: top-1 41.2 % (best epoch 43.0 %), resnet18, recipe DELT shortened to 60 epochs'
    """
    spread = f" ± {result['top1_last_std']:.1f} over {len(result['seeds'])} seeds" if len(result["seeds"]) > 1 else ""
    length = f" shortened to {result['epochs']} epochs" if result["is_shortened"] else ""
    best = f"best epoch {result['top1_best']:.1f} %"
    return (
        f"{result['source_title']}: top-1 {result['top1_last']:.1f} %{spread} ({best}), {result['student']}, "
        f"recipe {result['recipe_title']}{length}"
    )
