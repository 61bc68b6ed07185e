"""``delt rank`` and ``delt select``: what the teacher thinks of the real patches, and which of them would be taken."""

from __future__ import annotations

import contextlib
import shlex
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
    typed_settings,
)
from delt_engine.cli.output import say, say_json, say_table
from delt_engine.cli.presets import preset_option, preset_told
from delt_engine.cli.recover import completed, made, shared_folder
from delt_engine.config import Experiment
from delt_engine.errors import ConfigError
from delt_engine.files import check_writable, write_bytes
from delt_engine.jobs import ranks
from delt_engine.patches.scoring import timing_words
from delt_engine.paths import home
from delt_engine.runs.command import STAGES
from delt_engine.runs.events import StageEvent
from delt_engine.runs.record import RunOptions

if TYPE_CHECKING:
    from delt_engine.patches.ranking import Ranking
    from delt_engine.patches.ranking_csv import ImportedRanking
    from delt_engine.pipeline.inputs import Inputs

QUANTILES = {"min": 0.0, "q25": 0.25, "median": 0.5, "q75": 0.75, "max": 1.0}


@click.command()
@setting_options(["experiment", *STAGES["rank"]])
@teacher_options
@preset_option
@run_options("rank")
@path_option(
    "--out",
    "PATH",
    "FILE.npz for the ranking alone, or a folder for the run. [default: the cache, where later runs find it]",
)
@path_option("--csv", "FILE.csv", "Also write the ranking as a table with the published code's columns.")
@click.option(
    "--import",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.csv",
    help="Take the ranking from such a table and keep it; --ranker FILE.csv uses it in other commands.",
)
@output_options
def rank(out: Path | None, csv: Path | None, file: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Score real patches by the teacher's probability of their class."""
    from delt_engine.patches.ranking_csv import ranking_csv

    ranker = typed_settings(values).get("experiment", {}).get("ranker")
    if file is not None and ranker:
        raise ConfigError(f"ranker: {ranker!r} given, but --import says which ranking it is.")
    experiment, options = read_experiment(values), read_run_options(values)
    told = preset_told(values, ("experiment", "rank"), silent=as_json or quiet)
    taken = None
    if file is not None:
        experiment, taken = _imported(experiment, file)
    if csv is not None:
        check_writable(csv)
    folder = out if out is not None and out.suffix != ".npz" else None
    ranking, inputs, timing = ranked(experiment, options, folder, quiet=quiet)
    if out is not None and out.suffix == ".npz":
        ranking.save(out)
    if csv is not None:
        write_bytes(csv, ranking_csv(ranking, inputs.dataset.train.names))
    rows = []
    for class_index in np.unique(ranking.label).tolist():
        probs = ranking.true_class_prob[ranking.of_class(class_index)]
        values = {name: round(float(np.quantile(probs, share)), 4) for name, share in QUANTILES.items()}
        rows.append({"class": ranking.class_name(class_index), "patches": len(probs), **values})
    if as_json:
        of: dict[str, Any] = {
            "out": str(out.absolute()) if out else None,
            "dataset": ranking.dataset,
            "teacher": ranking.teacher,
        }
        of |= {"csv": str(csv.absolute())} if csv else {}
        of |= {"imported": taken.counts} if taken else {}
        say_json({**of, "patches": len(ranking), "key": ranking.key, "timing": timing, "classes": rows, **told})
        return
    by = ranking.teacher if ranking.is_imported else f"by {ranking.teacher}"
    title = f"{ranking.dataset}: probability of the true class {by}, {len(ranking):,} patches"
    say_table(list(rows[0]), [list(row.values()) for row in rows], title)
    if taken is not None:
        say(f"{taken.sentence} Other commands take it with --ranker {shlex.quote(experiment.ranker)}.")
    else:
        say(timing_words(timing) if timing else "This ranking was made before.")
    if csv is not None:
        say(f"Written to {csv.absolute()}.")


def _imported(experiment: Experiment, file: Path) -> tuple[Experiment, ImportedRanking]:
    """Return the settings with a table as the ranker, also in the place of a preset's, and what was read of it.

    Raises:
        ConfigError: its name is that of no table.
        DataError: it is none, or of other images.
    """
    from delt_engine.data.catalogue import load_dataset
    from delt_engine.patches.ranking_csv import SUFFIX, read_ranking_csv

    if file.suffix.lower() != SUFFIX:
        raise ConfigError(f"import: {file} given, but the name of a ranking's table must end with {SUFFIX}.")
    taken = read_ranking_csv(file.absolute(), load_dataset(experiment.dataset, experiment.image_size))
    return experiment.replace(ranker=str(file.absolute())), taken


@click.command()
@setting_options(
    ["experiment", *STAGES["select"]], {"recover": ("ipc", "iterations", "round_iterations", "early_late")}
)
@teacher_options
@preset_option
@path_option("--out", "FILE.csv", "Write the selection as a table.")
@output_options
def select(out: Path | None, as_json: bool, quiet: bool, **values: Any) -> None:
    """Show which patches would be taken, and in which round each joins.

    Patches are ranked first where that was not done yet.
    """
    from delt_engine.patches.coresets import stored_scores
    from delt_engine.patches.selection import select as select_patches
    from delt_engine.patches.selection import write_selection

    experiment = read_experiment(values)
    told = preset_told(values, ("experiment", "rank", "select", "recover"), silent=as_json or quiet)
    ranking, inputs, _ = ranked(experiment, RunOptions(), None, quiet=quiet)
    names = inputs.dataset.train.names
    chosen = select_patches(
        ranking,
        names,
        experiment.recover.schedule,
        experiment.select,
        seed=experiment.seed,
        classes=inputs.classes,
        scores=stored_scores(inputs.dataset.fingerprint, inputs.card, experiment.select, experiment.seed),
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
        say_json({**of, **experiment.select.model_dump(include={"criterion", "order"}), "patches": rows, **told})
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
            raise type(stopped)("the ranking; what is scored is kept, and the same command goes on.")
        if stopped is not None:
            raise stopped
        last = next((event for event in reversed(run.events(StageEvent)) if event.stage == "rank"), None)
        ranking = Ranking.load(run.path / "ranking.npz")
        ranks.barrier()  # or the folder is gone before all have read it
        return ranking, inputs, last.timing if last else None
