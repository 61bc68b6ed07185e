"""``delt squeeze``: train a teacher on the real images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from delt_engine.cli.options import (
    output_options,
    path_option,
    read_experiment,
    read_run_options,
    run_options,
    setting_options,
)
from delt_engine.cli.output import say, say_json
from delt_engine.cli.presets import preset_option, preset_told
from delt_engine.cli.recover import completed, made, results, shared_folder
from delt_engine.config import Experiment
from delt_engine.errors import RunError
from delt_engine.files import check_writable, write_bytes
from delt_engine.jobs import ranks
from delt_engine.runs.command import STAGES
from delt_engine.runs.record import RunOptions

SUFFIX = ".safetensors"


@click.command()
@setting_options(
    ["experiment", *STAGES["squeeze"]], {"experiment": ("dataset", "image_size", "resize", "seed", "device")}
)
@preset_option
@run_options("squeeze")
@path_option(
    "--out", "PATH", "FILE.safetensors for the teacher alone, or a folder for the run. [default: a run among your runs]"
)
@output_options
def squeeze(out: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Train a teacher on a dataset.

    It is kept where `--teacher auto` finds it; with --out FILE.safetensors it goes there alone. Several ranks (with
    --ranks, or under torchrun) train one teacher, each on its part of every batch.
    """
    experiment, options = read_experiment(values), read_run_options(values)
    told = preset_told(values, ("experiment", "squeeze"), silent=as_json or quiet)
    if out is not None and out.suffix == SUFFIX:
        result = _squeezed_to_file(experiment, out, options, quiet=quiet)
    else:
        result = squeezed(experiment, out, options, quiet=quiet)
    if as_json:
        say_json({**result, **told})
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
    from delt_engine.pipeline.inputs import load_inputs

    look_up = partial(load_inputs, experiment, needs_teacher=False, needs_ranker=False)
    run, inputs = made(experiment, "squeeze", out, options, look_up)
    stopped = completed(run, inputs, quiet=quiet)
    if stopped is not None:
        raise stopped
    return results(run)


def _squeezed_to_file(experiment: Experiment, out: Path, options: RunOptions, *, quiet: bool) -> dict[str, Any]:
    if out.is_dir():
        raise RunError(f"out: {out} is a folder, but the teacher needs a file name.")
    check_writable(out)
    with shared_folder(".delt-squeeze-", out.absolute().parent) as folder:
        options = options.model_copy(update={"keep_teacher": False})
        result = squeezed(experiment, folder / "run", options, quiet=quiet)
        if ranks.this_rank().is_first:
            write_bytes(out, Path(result["teacher"]).read_bytes())
        ranks.barrier()
    return {**result, "run": None, "teacher": str(out.absolute()), "name": out.name.removesuffix(SUFFIX)}
