"""``delt chaos``: kill runs at random moments, and see that none loses an image."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import click

from delt_engine.cli.options import count_option
from delt_engine.cli.output import progress_option, reporter, say, say_json

_KINDS = ("worker", "launcher", "app")


@click.command()
@count_option("--kills", text="How many processes are killed.", most=100_000, default=20)
@count_option("--seed", text="Of the moments.", least=0, default=0)
@click.option("--only", "kinds", type=click.Choice(_KINDS), multiple=True, help="Kill this only; may be given again.")
@count_option("--workers", text="Instead so many workers at one run, one killed every 3 s.", most=1000)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@progress_option
def chaos(
    kills: int, seed: int, kinds: tuple[str, ...], workers: int | None, as_json: bool, progress_json: bool
) -> None:
    """Kill small runs with SIGKILL at random moments, go on with them, and compare all images with an unkilled run's.

    Killed are the process that works, the launcher of two ranks, and the process that started a run, as the app does.
    Everything is in a temporary folder, which is kept where something is wrong.
    """
    from delt_engine.bench.chaos import chaos as kill_and_resume
    from delt_engine.bench.worker_kills import kill_workers

    folder = Path(tempfile.mkdtemp(prefix="delt-chaos-"))
    if workers:
        numbers = kill_workers(folder, workers, kills, seed=seed, report=reporter(progress_json))
        shutil.rmtree(folder, ignore_errors=True)
        say_json(numbers) if as_json else say(_of_workers(numbers))
        return
    counts = kill_and_resume(folder, kills, seed=seed, kinds=kinds or _KINDS, report=reporter(progress_json))
    shutil.rmtree(folder, ignore_errors=True)
    found = counts.to_record()
    if as_json:
        say_json(found)
        return
    own = ", ".join(f"{number} of the {kind}" for kind, number in found["by_kind"].items() if number)
    say(
        f"{found['kills']} kills ({own}; {found['while_starting']} before the first step) of {found['runs']} runs, "
        f"{found['resumes']} resumed, {found['images_checked']:,} images looked at: none lost, none doubled, all runs "
        f"ended in the same bytes as the one that was left alone."
    )


def _of_workers(numbers: dict[str, int]) -> str:
    return (
        f"{numbers['kills']} kills of {numbers['workers']} workers ({numbers['kills_at_a_batch']} at a batch), "
        f"{numbers['batches']} batches, {numbers['taken_again']} of them taken again; all {numbers['pictures']:,} "
        f"pictures are those of one process."
    )
