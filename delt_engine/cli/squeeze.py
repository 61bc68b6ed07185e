"""``delt squeeze``: train a teacher on the real images."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from delt_engine.cli.group import STOPPED
from delt_engine.cli.options import output_options, read_experiment, read_run_options, run_options, setting_options
from delt_engine.cli.output import say, say_json
from delt_engine.cli.recover import begun_before, flags, follow, launched, pieces_of, results
from delt_engine.config import Experiment
from delt_engine.errors import RunError
from delt_engine.files import check_writable, write_bytes
from delt_engine.jobs import ranks
from delt_engine.runs.command import STAGES, command_for
from delt_engine.runs.record import RunOptions
from delt_engine.runs.store import Run, check_free, new_run_path

if TYPE_CHECKING:
    from delt_engine.pipeline.inputs import Inputs

SUFFIX = ".safetensors"


@click.command()
@setting_options(["experiment", *STAGES["squeeze"]], {"experiment": ("dataset", "image_size", "seed", "device")})
@run_options("squeeze")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="FILE.safetensors for the teacher alone, or a folder for the run. [default: a run among your runs]",
)
@output_options
def squeeze(out: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Train a teacher on a dataset.

    It is kept where `--teacher auto` finds it; with --out FILE.safetensors it goes there alone. Several ranks (with
    --ranks, or under torchrun) train one teacher, each on its part of every batch.
    """
    experiment, options = read_experiment(values), read_run_options(values)
    is_file = out is not None and out.suffix == SUFFIX
    number = ranks.wanted(options.ranks, experiment, lambda: pieces_of(experiment, "squeeze"))
    if number > 1:
        path = out if out is not None else new_run_path(experiment, "squeeze")
        _inputs(experiment, path)
        words = command_for(experiment, path, "squeeze", options)[1:]
        if is_file:
            _launched_to_file(path, number, [*words, *flags(as_json=as_json, quiet=quiet)])
        else:
            launched(Run(path), number, words, as_json=as_json, quiet=quiet)
        return
    if is_file:
        result = _squeezed_to_file(experiment, out, options, quiet=quiet)
    else:
        result = squeezed(experiment, out, options, quiet=quiet)
    if as_json:
        say_json(result)
    else:
        accuracy = (
            f"{result['accuracy']:.2f} % on the test images" if result["accuracy"] is not None else "not measured"
        )
        say(f"teacher {result['name']}: {accuracy}, {result['seconds']:.1f} s: {result['teacher']}")


def squeezed(experiment: Experiment, out: Path | None, options: RunOptions, *, quiet: bool) -> dict[str, Any]:
    """Make a squeeze run, work on it, and return its results.

    Raises:
        RunCancelled: it was stopped.
    """
    from delt_engine.pipeline.run import run_experiment

    run, inputs = begun_before(experiment, out, "squeeze"), None
    if run is None:
        path = out if out is not None else new_run_path(experiment, "squeeze")
        inputs = _inputs(experiment, path)
        run = Run.create(path, experiment, "squeeze", command_for(experiment, path, "squeeze", options), options)
    stopped = follow(run_experiment(run, inputs), quiet=quiet) if run.record().status != "finished" else None
    if stopped is not None:
        raise stopped
    return results(run)


def _inputs(experiment: Experiment, out: Path) -> Inputs | None:
    """Look up what a squeeze starts from, so that what is wrong with the question is said before anything is made.

    Returns:
        None for a run that was prepared before.
    """
    if (out / "run.json").is_file():
        return None
    from delt_engine.pipeline.inputs import load_inputs

    _check_file(out) if out.suffix == SUFFIX else check_free(out)
    return load_inputs(experiment, needs_teacher=False)


def _check_file(out: Path) -> None:
    if out.is_dir():
        raise RunError(f"out: {out} is a folder, but the teacher needs a file name.")
    check_writable(out)


def _squeezed_to_file(experiment: Experiment, out: Path, options: RunOptions, *, quiet: bool) -> dict[str, Any]:
    _check_file(out)
    keep = options.model_copy(update={"keep_teacher": False})
    beside = out.absolute().parent if ranks.this_rank().size > 1 else None  # ranks of other machines have to see it
    with tempfile.TemporaryDirectory(prefix=".delt-squeeze-", dir=beside) as folder:
        result = squeezed(experiment, Path(folder) / "run", keep, quiet=quiet)
        write_bytes(out, Path(result["teacher"]).read_bytes())
    return {**result, "run": None, "teacher": str(out.absolute()), "name": out.name.removesuffix(SUFFIX)}


def _launched_to_file(out: Path, number: int, words: list[str]) -> None:
    """Let several ranks on this machine make a teacher's file.

    Raises:
        Exit: it failed or was stopped, which was said.
    """
    before = _written(out)
    code = ranks.launch(number, words)
    if code or _written(out) == before:
        raise click.exceptions.Exit(code or STOPPED)


def _written(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.is_file() else None
