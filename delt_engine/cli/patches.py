"""``delt rank`` and ``delt select``: what the teacher thinks of the real patches, and which of them would be taken."""

from __future__ import annotations

import contextlib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
import numpy as np

from delt_engine.cli.options import (
    output_options,
    path_option,
    read_experiment,
    read_run_options,
    run_options,
    setting_options,
    teacher_options,
)
from delt_engine.cli.output import say, say_json, say_table
from delt_engine.cli.recover import completed, made, shared_folder
from delt_engine.config import Experiment
from delt_engine.errors import RunCancelled
from delt_engine.jobs import ranks
from delt_engine.patches.scoring import timing_words
from delt_engine.paths import home
from delt_engine.runs.command import STAGES
from delt_engine.runs.events import StageEvent
from delt_engine.runs.record import RunOptions

if TYPE_CHECKING:
    from delt_engine.patches.ranking import Ranking
    from delt_engine.pipeline.inputs import Inputs

QUANTILES = {"min": 0.0, "q25": 0.25, "median": 0.5, "q75": 0.75, "max": 1.0}


@click.command()
@setting_options(["experiment", *STAGES["rank"]])
@teacher_options
@run_options("rank")
@path_option(
    "--out",
    "PATH",
    "FILE.npz for the ranking alone, or a folder for the run. [default: the cache, where later runs find it]",
)
@output_options
def rank(out: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Score real patches by the teacher's probability of their class."""
    experiment, options = read_experiment(values), read_run_options(values)
    folder = out if out is not None and out.suffix != ".npz" else None
    ranking, _, timing = ranked(experiment, options, folder, quiet=quiet)
    if out is not None and out.suffix == ".npz":
        ranking.save(out)
    rows = []
    for class_index in np.unique(ranking.label).tolist():
        probs = ranking.true_class_prob[ranking.of_class(class_index)]
        values = {name: round(float(np.quantile(probs, share)), 4) for name, share in QUANTILES.items()}
        rows.append({"class": ranking.class_name(class_index), "patches": len(probs), **values})
    if as_json:
        of = {"out": str(out.absolute()) if out else None, "dataset": ranking.dataset, "teacher": ranking.teacher}
        say_json({**of, "patches": len(ranking), "key": ranking.key, "timing": timing, "classes": rows})
        return
    title = f"{ranking.dataset}: probability of the true class by {ranking.teacher}, {len(ranking):,} patches"
    say_table(list(rows[0]), [list(row.values()) for row in rows], title)
    say(timing_words(timing) if timing else "This ranking was made before.")


@click.command()
@setting_options(
    ["experiment", *STAGES["select"]], {"recover": ("ipc", "iterations", "round_iterations", "early_late")}
)
@teacher_options
@path_option("--out", "FILE.csv", "Write the selection as a table.")
@output_options
def select(out: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Show which patches would be taken, and in which round each joins.

    Patches are ranked first where that was not done yet.
    """
    from delt_engine.patches.selection import select as select_patches
    from delt_engine.patches.selection import write_selection

    experiment = read_experiment(values)
    ranking, inputs, _ = ranked(experiment, RunOptions(), None, quiet=quiet)
    names = inputs.dataset.train.names
    chosen = select_patches(
        ranking, names, experiment.recover.schedule, experiment.select, seed=experiment.seed, classes=inputs.classes
    )
    class_names = inputs.dataset.spec.class_names
    if out is not None:
        write_selection(out, chosen, class_names)
    rows = [
        {
            "class": class_names[image.class_index],
            "index": image.index,
            "tile": tile,
            "source": patch.source,
            "crop_box": list(patch.crop_box),
            "true_class_prob": float(f"{patch.true_class_prob:.6g}"),
            "rank": patch.rank,
            "start_round": image.start_round,
            "iterations": image.iterations,
        }
        for image in chosen
        for tile, patch in enumerate(image.patches)
    ]
    if as_json:
        of = {"out": str(out.absolute()) if out else None, "dataset": ranking.dataset, "teacher": ranking.teacher}
        say_json({**of, **experiment.select.model_dump(include={"criterion", "order"}), "patches": rows})
    elif out is not None:
        say(f"{len(rows):,} patches of {len(inputs.classes)} classes: {out.absolute()}")
    else:
        shown = [name for name in rows[0] if name not in ("crop_box", "tile")]
        say_table(shown, [[row[name] for name in shown] for row in rows])


def ranked(
    experiment: Experiment, options: RunOptions, out: Path | None, *, quiet: bool
) -> tuple[Ranking, Inputs, dict[str, Any] | None]:
    """Return the ranking these settings ask for, made now where it was not made before, and what it is of.

    The third is where the time went, None of a ranking made before. Without ``out`` no run is left.

    Raises:
        RunCancelled: it was stopped.
    """
    from delt_engine.patches.ranking import Ranking
    from delt_engine.pipeline.inputs import load_inputs

    with contextlib.nullcontext() if out else shared_folder("delt-rank-", home()) as folder:
        path = out or cast("Path", folder) / "run"
        look_up = partial(load_inputs, experiment, needs_teacher=not experiment.ranker)
        run, inputs = made(experiment, "rank", path, options, look_up)
        inputs = inputs or look_up()
        stopped = completed(run, inputs, quiet=quiet)
        if stopped is not None and out is None:
            raise RunCancelled("the ranking; what is scored is kept, and the same command goes on.")
        if stopped is not None:
            raise stopped
        last = next((event for event in reversed(run.events(StageEvent)) if event.stage == "rank"), None)
        ranking = Ranking.load(run.path / "ranking.npz")
        ranks.barrier()  # or the folder is gone before all have read it
        return ranking, inputs, last.timing if last else None
