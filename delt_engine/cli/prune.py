"""``delt prune``: prune a trained network on a set of images in place of its training data."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click

from delt_engine.cli.evaluate import read_evaluation
from delt_engine.cli.options import output_options, setting_options, typed_settings
from delt_engine.cli.output import progress_option, reporter, say, say_json, say_table
from delt_engine.cli.progress import display
from delt_engine.config.pruning import TRAINING_SETTINGS, PruneConfig
from delt_engine.runs.command import EVALUATED_DATA
from delt_engine.runs.events import StageEvent
from delt_engine.runs.prunings import COLUMNS, network_title, table_row
from delt_engine.runs.sources import find_source
from delt_engine.runs.tables import shown

EVENT_SECONDS = 0.25
"""Shortest time between two looks of people at how far it is."""


@click.command()
@click.argument("sources", metavar="RUN...", nargs=-1, required=True)
@setting_options(["prune"], records={"prune": PruneConfig})
@setting_options(["evaluate", "experiment"], {"evaluate": TRAINING_SETTINGS, "experiment": EVALUATED_DATA})
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
    with display(quiet=quiet or progress_json) as shown_here:
        report = _told(reporter(progress_json), shown_here)
        from delt_engine.pipeline.prune import prune_images

        found = [prune_images(source, experiment, config, report) for source, experiment in asked]
    if as_json:
        say_json(found[0] if len(found) == 1 else found)
        return
    rows = [table_row(one) for one in found]
    say_table([column.title for column in COLUMNS], [[shown(row, column) for column in COLUMNS] for row in rows])
    for one in found:
        say(f"{network_title(one)} on {one['source_title']}, {one['seconds']:.1f} s: {one['pruning']}")


def _told(report: Callable[[str, int, int], None], shown_here: Any) -> Callable[[str, int, int], None]:
    """Return what tells programs and people alike how far it is, the latter a few times a second."""
    last = 0.0

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last
        report(what, done, total)
        if done == total or time.monotonic() - last >= EVENT_SECONDS:
            last = time.monotonic()
            shown_here.show(StageEvent(stage=what, done=done, total=total))

    return tell
