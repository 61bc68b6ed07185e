"""``delt work``: one of many workers at a recovery, which share its batches by the files in its folder."""

from __future__ import annotations

import click

from delt_engine.cli.options import output_options
from delt_engine.cli.progress import display
from delt_engine.cli.recover import finish
from delt_engine.runs.store import Run


@click.command()
@click.argument("run", metavar="RUN")
@output_options
def work(run: str, as_json: bool, quiet: bool) -> None:
    """Work on RUN with any number of others: each takes a batch, and the batch of one that dies is taken by another.

    Start it as often as there are devices, on one machine or on many that see the same disk; `delt recover
    --prepare-only` makes the run. Images are those of one process. All return when the run is finished. SIGTERM and
    SIGUSR1 let a worker write a checkpoint and leave with exit code 75; the others go on.
    """
    from delt_engine.pipeline.work import work_on

    opened = Run.open(run)
    with display(quiet=quiet) as shown:
        work_on(opened, shown.show)
    finish(opened, as_json=as_json, stopped=None)
