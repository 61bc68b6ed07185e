"""``delt continual``: learn the classes step after step, with a set of images as the memory of those seen."""

from __future__ import annotations

from typing import Any

import click

from delt_engine.cli.evaluate import known_of, read_evaluation
from delt_engine.cli.options import output_options, setting_options, typed_settings
from delt_engine.cli.output import progress_option, reporter, say, say_columns, say_json
from delt_engine.cli.presets import preset_option, presets_told
from delt_engine.cli.progress import display, tell_both
from delt_engine.config.continual import CONTINUAL_TRAINING, ContinualConfig
from delt_engine.runs.command import EVALUATED_DATA
from delt_engine.runs.continuals import COLUMNS, table_row
from delt_engine.runs.sources import find_source


@click.command()
@click.argument("sources", metavar="RUN...", nargs=-1, required=True)
@setting_options(["continual"], records={"continual": ContinualConfig})
@click.option(
    "--random-real",
    is_flag=True,
    help="Measure as many random real images a class as well, one set for each number of images a class.",
)
@setting_options(["evaluate", "experiment"], {"evaluate": CONTINUAL_TRAINING, "experiment": EVALUATED_DATA})
@preset_option
@progress_option
@output_options
def continual(
    sources: tuple[str, ...], random_real: bool, progress_json: bool, as_json: bool, quiet: bool, **values: Any
) -> None:
    """Learn classes that come in steps, with RUN as the memory of those seen, and test on the real test images.

    RUN is a finished run (its folder or id), a folder with one folder of images a class, or `real` for the whole
    training set of --dataset. After each step a new student is trained on the images of all classes seen so far and
    tested on these classes. `accuracies` has one number a step, the mean over the class orders. What was measured
    before is found again; stop with Ctrl-C and type the same to go on. Source: DELT Sec. 4.7, Fig. 8; CDA Tables 14
    and 15.
    """
    config = ContinualConfig(**typed_settings(values).get("continual", {}))
    asked = [(source, read_evaluation(source, values)) for source in map(find_source, sources)]
    for source, experiment in asked:
        source.check_ready()
        config.trained(experiment.evaluate)
    known = [known_of(source) for source, _ in asked]
    told = presets_told(values, ("evaluate",), known, silent=as_json or quiet, only=CONTINUAL_TRAINING)
    with display(quiet=quiet or progress_json) as shown_here:
        report = tell_both(reporter(progress_json), shown_here)
        from delt_engine.pipeline.continual import learn_continually

        found = [learn_continually(source, experiment, config, report) for source, experiment in asked]
        if random_real:
            budgets = {(one["dataset_fingerprint"], one["ipc"]): number for number, one in enumerate(found)}
            told += [told[number] for number in budgets.values()]
            found += [
                learn_continually(*asked[number], config, report, random_real=True) for number in budgets.values()
            ]
    if as_json:
        rows = [{**one, **own} for one, own in zip(found, told, strict=True)]
        say_json(rows[0] if len(rows) == 1 else rows)
        return
    say_columns(COLUMNS, map(table_row, found))
    for one in found:
        steps = ", ".join(f"{top1:.1f}" for top1 in one["accuracies"])
        say(f"{one['source_title']}, step by step: {steps} %: {one['continual']}")
