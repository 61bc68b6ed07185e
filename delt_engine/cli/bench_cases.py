"""``delt bench rank``, ``delt bench evaluate`` and ``delt bench app``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from delt_engine.cli.output import progress_option, reporter, say, say_json, say_table
from delt_engine.threads import settle_waiting

ROUNDS = 3


def bench_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--quick``, ``--rounds``, ``--json`` and ``--progress-json``."""
    told = f"How often each is measured; medians are told. [default: {ROUNDS}, 1 with --quick]"
    function = progress_option(function)
    function = click.option("--json", "as_json", is_flag=True, help="Print one JSON list on stdout.")(function)
    function = click.option("--rounds", type=click.IntRange(min=1), metavar="N", help=told)(function)
    return click.option("--quick", is_flag=True, help="Less of each, one round.")(function)


_case = click.option(
    "--case", "names", multiple=True, metavar="NAME", help="Measure this case only; may be given again."
)
_device = click.option(
    "--device", default="auto", show_default=True, metavar="TEXT", help="auto, cpu, cuda, cuda:1, ..."
)


@click.command()
@_case
@_device
@bench_options
def rank(
    names: tuple[str, ...], device: str, quick: bool, rounds: int | None, as_json: bool, progress_json: bool
) -> None:
    """Measure ranking: patches a second of published code, and of the engine.

    Both score the same pictures; beside each ratio stands by how much their probabilities differ, and where the
    engine's time went.
    """
    settle_waiting()  # as runs have it; read when torch is loaded
    from delt_engine.bench.rank import bench_rank, find_cases
    from delt_engine.models.device import pick_device

    cases = find_cases(names)
    results = bench_rank(
        cases, quick=quick, rounds=_rounds(rounds, quick), device=pick_device(device), report=reporter(progress_json)
    )
    shown = ("decoder_rate", "decode_percent", "copy_percent", "network_percent")
    _say("Patches a second", results, shown, as_json=as_json)


@click.command()
@_case
@_device
@bench_options
def evaluate(
    names: tuple[str, ...], device: str, quick: bool, rounds: int | None, as_json: bool, progress_json: bool
) -> None:
    """Measure the training of students: images a second of published code, and of the engine.

    Both see the same crops and mixes; beside each ratio stands by how much their mean losses differ.
    """
    settle_waiting()  # as runs have it; read when torch is loaded
    from delt_engine.bench.evaluate import bench_evaluate, find_cases
    from delt_engine.models.device import pick_device

    cases = find_cases(names)
    results = bench_evaluate(
        cases, quick=quick, rounds=_rounds(rounds, quick), device=pick_device(device), report=reporter(progress_json)
    )
    _say("Images a second", results, (), as_json=as_json)


@click.command()
@bench_options
def app(quick: bool, rounds: int | None, as_json: bool, progress_json: bool) -> None:
    """Measure the app: its cold start, and its pages' scripts with a run of 50,000 images.

    Beside it stands the smallest script that Streamlit can show, started and visited in the same way.
    """
    from delt_engine.bench.app import bench_app

    records = [
        result.to_record()
        for result in bench_app(quick=quick, rounds=_rounds(rounds, quick), report=reporter(progress_json))
    ]
    if as_json:
        say_json(records)
        return
    columns = ["case", "seconds", "first visit", "plain script", "goal", "met"]
    say_table(columns, [_app_row(record) for record in records])
    torch = {True: "has loaded torch", False: "has not loaded torch", None: "may have loaded torch"}
    say(f"The server's process {torch[records[0]['has_torch']]}.")


def _app_row(record: dict[str, Any]) -> list[str]:
    first = "-" if record["first_seconds"] is None else f"{record['first_seconds']:.2f}"
    met = "an error is shown" if record["has_error"] else "yes" if record["meets_goal"] else "no"
    goal = f"< {record['goal_seconds']:g}"
    return [record["case"], f"{record['seconds']:.3f}", first, f"{1 / record['plain_rate']:.3f}", goal, met]


def _say(what: str, results: Iterable[Any], more: Sequence[str], *, as_json: bool) -> None:
    records = [result.to_record() for result in results]
    if as_json:
        say_json(records)
        return
    say(f"{what} on {records[0]['device']}, {records[0]['threads']} threads.")
    columns = ["case", "plain", "fast", "ratio", "largest gap", *(name.replace("_", " ") for name in more)]
    say_table(columns, [_row(record, more) for record in records])


def _row(record: dict[str, Any], more: Sequence[str]) -> list[str]:
    rates = [f"{record['plain_rate']:,.1f}", f"{record['fast_rate']:,.1f}", f"{record['ratio']:.2f}"]
    return [record["title"], *rates, f"{record['max_abs_diff']:.1e}", *(f"{record[name]:,.1f}" for name in more)]


def _rounds(rounds: int | None, quick: bool) -> int:
    return rounds or (1 if quick else ROUNDS)
