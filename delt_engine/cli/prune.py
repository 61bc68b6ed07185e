"""``delt prune``: prune a trained network on a set of images in place of its training data."""

from __future__ import annotations

from typing import Any

import click

from delt_engine.cli.evaluate import known_of, read_evaluation
from delt_engine.cli.options import output_options, setting_options, typed_settings
from delt_engine.cli.output import progress_option, reporter, say, say_columns, say_json
from delt_engine.cli.presets import preset_option, presets_told
from delt_engine.cli.progress import display, tell_both
from delt_engine.config.pruning import TRAINING_SETTINGS, PruneConfig
from delt_engine.runs.command import EVALUATED_DATA
from delt_engine.runs.prunings import COLUMNS, network_title, table_row
from delt_engine.runs.sources import find_source


@click.command()
@click.argument("sources", metavar="RUN...", nargs=-1, required=True)
@setting_options(["prune"], records={"prune": PruneConfig})
@setting_options(["evaluate", "experiment"], {"evaluate": TRAINING_SETTINGS, "experiment": EVALUATED_DATA})
@preset_option
@progress_option
@output_options
def prune(sources: tuple[str, ...], progress_json: bool, as_json: bool, quiet: bool, **values: Any) -> None:
    """Prune a network trained on real data with RUN in place of that data, and test it on the real test images.

    RUN is a finished run (its folder or id), a folder with one folder of images a class, or `real` for the whole
    training set of --dataset. Network slimming: train with an L1 penalty on the BatchNorm scales, cut the channels of
    the smallest, fine-tune. A network that is not there is trained first and kept. What was measured before is found
    again; stop with Ctrl-C and type the same to go on. Source: DELT Sec. 4.6, Table 7.
    """
    config = PruneConfig(**typed_settings(values).get("prune", {}))
    asked = [(source, read_evaluation(source, values)) for source in map(find_source, sources)]
    for source, _ in asked:
        source.check_ready()
    known = [known_of(source) for source, _ in asked]
    told = presets_told(values, ("evaluate",), known, silent=as_json or quiet, only=TRAINING_SETTINGS)
    with display(quiet=quiet or progress_json) as shown_here:
        report = tell_both(reporter(progress_json), shown_here)
        from delt_engine.pipeline.prune import prune_images

        found = [prune_images(source, experiment, config, report) for source, experiment in asked]
    if as_json:
        rows = [{**one, **own} for one, own in zip(found, told, strict=True)]
        say_json(rows[0] if len(rows) == 1 else rows)
        return
    say_columns(COLUMNS, map(table_row, found))
    for one in found:
        say(f"{network_title(one)} on {one['source_title']}, {one['seconds']:.1f} s: {one['pruning']}")
