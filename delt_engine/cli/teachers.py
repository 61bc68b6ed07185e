"""``delt squeeze``: train a teacher on the real images."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import click

from delt_engine.cli.options import output_options, read_experiment, read_run_options, run_options, setting_options
from delt_engine.cli.output import say, say_json
from delt_engine.cli.recovery import follow, results
from delt_engine.config import Experiment
from delt_engine.errors import RunError
from delt_engine.runs.commands import STAGES, command_for
from delt_engine.runs.files import check_writable, write_bytes
from delt_engine.runs.records import RunOptions
from delt_engine.runs.store import Run, check_free, new_run_path

SUFFIX = ".safetensors"


@click.command()
@setting_options(["experiment", *STAGES["squeeze"]], {"experiment": ("dataset", "image_size", "seed", "device")})
@run_options("squeeze")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="PATH",
    help="FILE.safetensors for the teacher alone, or a folder for the run. [default: a run among your runs]",
)  # fmt: skip
@output_options
def squeeze(out: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Train a teacher on a dataset.

    It is kept where `--teacher auto` finds it; with --out FILE.safetensors it goes there alone.
    """
    experiment, options = read_experiment(values), read_run_options(values)
    if out is not None and out.suffix == SUFFIX:
        result = _squeezed_to_file(experiment, out, options, quiet=quiet)
    else:
        result = squeezed(experiment, out or new_run_path(experiment, "squeeze"), options, quiet=quiet)
    if as_json:
        say_json(result)
    else:
        accuracy = (
            f"{result['accuracy']:.2f} % on the test images" if result["accuracy"] is not None else "not measured"
        )
        say(f"teacher {result['name']}: {accuracy}, {result['seconds']:.1f} s: {result['teacher']}")


def squeezed(experiment: Experiment, path: Path, options: RunOptions, *, quiet: bool) -> dict[str, Any]:
    """Make a squeeze run, work on it, and return its results.

    Raises:
        RunCancelled: it was stopped.
    """
    from delt_engine.runs.pipeline import run_experiment

    inputs = None
    if not (path / "run.json").is_file():
        from delt_engine.runs.inputs import load_inputs

        check_free(path)
        inputs = load_inputs(experiment, needs_teacher=False)
    run = Run.create(path, experiment, "squeeze", command_for(experiment, path, "squeeze", options), options)
    stopped = follow(run_experiment(run, inputs), quiet=quiet)
    if stopped is not None:
        raise stopped
    return results(run)


def _squeezed_to_file(experiment: Experiment, out: Path, options: RunOptions, *, quiet: bool) -> dict[str, Any]:
    if out.is_dir():
        raise RunError(f"out: {out} is a folder, but the teacher needs a file name.")
    check_writable(out)
    keep = options.model_copy(update={"keep_teacher": False})
    with tempfile.TemporaryDirectory(prefix="delt-squeeze-") as folder:
        result = squeezed(experiment, Path(folder) / "run", keep, quiet=quiet)
        write_bytes(out, Path(result["teacher"]).read_bytes())
    return {**result, "run": None, "teacher": str(out.absolute()), "name": out.name.removesuffix(SUFFIX)}
