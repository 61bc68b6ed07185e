"""``delt bench``: how fast this machine is, against plain PyTorch code that does the same."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from delt_engine.bench.cases import CASES, EVALUATE_CASES, QUICK_SECONDS, RANK_CASES, find_cases, left_out, named
from delt_engine.cli.options import count_option
from delt_engine.cli.output import progress_option, reporter, say, say_json, say_table
from delt_engine.threads import set_thread_waiting

ROUNDS = 3


@click.group()
def bench() -> None:
    """Measure speed against plain code, side by side."""


def _case_option(cases: Sequence[Any]) -> Callable[..., Any]:
    text = f"Measure this case only; may be given again. [{', '.join(case.name for case in cases)}]"
    return click.option("--case", "names", multiple=True, metavar="NAME", help=text)


def _bench_options(quick: str) -> Callable[..., Any]:
    """Return ``--quick``, which means ``quick``, ``--rounds``, ``--json`` and ``--progress-json``."""
    rounds = f"How often each is measured; medians are taken. [default: {ROUNDS}, 1 with --quick]"

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        function = progress_option(function)
        function = click.option("--json", "as_json", is_flag=True, help="Print one JSON list on stdout.")(function)
        function = count_option("--rounds", text=rounds)(function)
        return click.option("--quick", is_flag=True, help=quick)(function)

    return decorate


def _how(quick: bool, rounds: int | None, progress_json: bool) -> dict[str, Any]:
    return {"quick": quick, "rounds": rounds or (1 if quick else ROUNDS), "report": reporter(progress_json)}


DEVICE = click.option(
    "--device", default="auto", show_default=True, metavar="TEXT", help="auto, cpu, cuda, cuda:1, ..."
)


@bench.command()
@_bench_options("Fewer cases, a shorter schedule, one round.")
@_case_option(CASES)
@DEVICE
def recover(names: tuple[str, ...], device: str, as_json: bool, **typed: Any) -> None:
    """Measure recovery: image-iterations a second of the loop as published, and of the engine's.

    Both take the same images and crops in turns; beside each ratio stands by how much their images differ. Cases of
    224 px and of packed batches are measured on CUDA devices, elsewhere when they are asked for by name. A quick
    measurement leaves bfloat16 out on a processor that has no instructions for it, and what would take it over a
    minute. A figure above its own limit is reported as a failed measurement.
    """
    set_thread_waiting()  # as runs have it; read when torch is loaded
    named(CASES, names)  # what is not there is said before torch is loaded
    from delt_engine.bench.recovery import bench_recovery
    from delt_engine.models.device import pick_device

    chosen, how = pick_device(device), _how(**typed)
    cases = find_cases(names, quick=how["quick"], device_type=chosen.type)
    for case in left_out(chosen.type) if how["quick"] and not names else ():
        click.echo(f"Left out: {case.name}, since this processor has no instructions for bfloat16.", err=True)
    if how["quick"] and not names and chosen.type == "cpu":
        how |= {"seconds": QUICK_SECONDS, "leave_out": _say_too_slow}
    records = [result.to_record() for result in bench_recovery(cases, device=chosen, **how)]
    if as_json:
        say_json(records)
        return
    plain = next((f"; the plain loop in {record['plain']}" for record in records if "plain" in record), "")
    _say_where("Image-iterations a second", records, plain)
    columns = ["case", "plain", "fast", "ratio", "largest gap", "changed %", "gradient error", "loss gap %"]
    loops = [record for record in records if "saved_percent" not in record]
    say_table([*columns, "% of peak / convs", "kept MiB"], [_loop_row(record) for record in loops])
    for record in records:
        for sentence in record["failed"]:
            say(f"Measurement failed: {record['title']}: {sentence}")
        if "saved_percent" in record:
            say(
                f"{record['title']}: {record['saved_percent']:.1f} % of wall time saved, where the schedule has "
                f"{record['scheduled_percent']:.1f} % fewer image-iterations."
            )


def _say_too_slow(case: Any) -> None:
    click.echo(
        f"Left out: {case.name}, since a quick measurement would take more than a minute with it here; --case "
        f"{case.name} measures it.",
        err=True,
    )


@bench.command()
@_case_option(RANK_CASES)
@DEVICE
@_bench_options("Less of each, one round.")
def rank(names: tuple[str, ...], device: str, as_json: bool, **typed: Any) -> None:
    """Measure ranking: patches a second of published code, and of the engine.

    Both score the same pictures; beside each ratio stands by how much their probabilities differ, where the engine's
    time went, and how much longer it takes without reading ahead.
    """
    set_thread_waiting()  # as runs have it; read when torch is loaded
    cases = named(RANK_CASES, names) or RANK_CASES
    from delt_engine.bench.rank import bench_rank
    from delt_engine.models.device import pick_device

    results = bench_rank(cases, device=pick_device(device), **_how(**typed))
    shown = ("decoder_rate", "decode_percent", "copy_percent", "network_percent", "ahead_ratio")
    _say("Patches a second", results, shown, as_json=as_json)


@bench.command()
@_case_option(EVALUATE_CASES)
@DEVICE
@_bench_options("Less of each, one round.")
def evaluate(names: tuple[str, ...], device: str, as_json: bool, **typed: Any) -> None:
    """Measure the training of students: images a second of published code, and of the engine.

    Both see the same crops and mixes; beside each ratio stands by how much their mean losses differ.
    """
    set_thread_waiting()  # as runs have it; read when torch is loaded
    cases = named(EVALUATE_CASES, names) or EVALUATE_CASES
    from delt_engine.bench.evaluate import bench_evaluate
    from delt_engine.models.device import pick_device

    results = bench_evaluate(cases, device=pick_device(device), **_how(**typed))
    _say("Images a second", results, (), as_json=as_json)


@bench.command()
@click.option("--dry-run", "dry", is_flag=True, help="Take small cases on the CPU, to see that the command works.")
@click.option("--device", default="cuda", show_default=True, metavar="TEXT", help="cuda, cuda:1, ...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list on stdout.")
@progress_option
def gpu(dry: bool, device: str, as_json: bool, progress_json: bool) -> None:
    """Measure a card: correctness against the CPU first, then each stage.

    ResNet-18 and -50 at 224 px, packed batches at 32 px, students alone and side by side, a squeeze, and what the
    CIFAR-10 row takes at these rates, with shares of the measured peak, and memory. Without a card it is a dry run.
    """
    set_thread_waiting()
    from delt_engine.bench.gpu import bench_gpu
    from delt_engine.models.device import device_names, pick_device

    if not dry and not any(name.startswith("cuda") for name in device_names()):
        click.echo("No CUDA device is here, so this is a dry run: small cases on the CPU.", err=True)
        dry = True
    chosen = pick_device("cpu" if dry else device)
    results = bench_gpu(device=chosen, dry=dry, report=reporter(progress_json))
    records = [{**result.to_record(), "dry_run": dry} for result in results]
    if as_json:
        say_json(records)
        return
    _say_where("Dry run, rates a second" if dry else "Rates a second", records)
    columns = ["case", "plain", "fast", "ratio", "% of peak", "% of convs", "memory MiB"]
    say_table(columns, [_gpu_row(record) for record in records])
    for record in records:
        for sentence in record["failed"]:
            say(f"Measurement failed: {record['title']}: {sentence}")
    first, row = records[0], records[-1]
    say(
        f"Against the CPU: gradient off by {first['float32_error']:.0e} in float32 and {first['bfloat16_error']:.0e} "
        f"in bfloat16, loss by {first['loss_gap_percent']:.2g} %. CUDA graph: {first['no_graph'] or 'yes'}."
    )
    hours = ", ".join(f"{name} {row[f'{name}_s'] / 3600:.2f} h" for name in ("squeeze", "recover", "students"))
    narrow = " with networks of a quarter width, here" if dry else ""
    say(f"The CIFAR-10 row at IPC 50 would take {1 / row['fast_rate']:.2f} h{narrow}: {hours}.")


def _gpu_row(record: dict[str, Any]) -> list[str]:
    names = ("plain_rate", "fast_rate", "ratio", "peak_percent", "limit_percent", "memory_mb")
    values = [record.get(name) for name in names]
    return [record["title"], *("-" if value is None else f"{value:,.2f}" for value in values)]


@bench.command()
@_bench_options("A smaller run, fewer visits, one round.")
def app(as_json: bool, **typed: Any) -> None:
    """Measure the app in a browser: its cold start, and its pages with a run of 50,000 images.

    Beside it stands the smallest script that Streamlit can show, started and visited in the same way. It needs
    playwright and Chromium.
    """
    from delt_engine.bench.app import bench_app

    records = [result.to_record() for result in bench_app(**_how(**typed))]
    if as_json:
        say_json(records)
        return
    columns = ["case", "seconds", "first visit", "plain script", "goal", "met"]
    say_table(columns, [_app_row(record) for record in records])
    torch = {True: "has loaded torch", False: "has not loaded torch", None: "may have loaded torch"}
    say(f"The server's process {torch[records[0]['has_torch']]}.")


@bench.command()
@click.option("--quick", is_flag=True, help="A run of 5,000 images, and 50 in the list.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list on stdout.")
@progress_option
def large(quick: bool, as_json: bool, progress_json: bool) -> None:
    """Measure how long one waits for a run of 50,000 images: start, resume, list, gallery, export.

    Start and resume count from the app's button to the first iteration, of a folder that was read and ranked before;
    what a new one takes stands beside it. The list is the command as typed. The export is there with its first bytes;
    how long all of it took stands beside it. The gallery needs playwright and Chromium, and is left out without them.
    It takes minutes, most of them to make the images.
    """
    set_thread_waiting()
    from delt_engine.bench.large import bench_large

    with tempfile.TemporaryDirectory(prefix="delt-bench-") as folder:
        records = [one.to_record() for one in bench_large(Path(folder), quick=quick, report=reporter(progress_json))]
    if as_json:
        say_json(records)
        return
    say_table(["case", "seconds", "goal", "met", "besides", "load"], [_large_row(record) for record in records])


_BESIDES = {
    "new_seconds": "of a new folder {:.1f} s",
    "first_seconds": "first visit {:.2f} s",
    "whole_seconds": "whole zip {:.1f} s",
    "runs": "of {:,} runs",
}


def _large_row(record: dict[str, Any]) -> list[str]:
    besides = [words.format(record[name]) for name, words in _BESIDES.items() if name in record]
    met = "yes" if record["meets_goal"] else "no"
    goal, load = f"<= {record['goal_seconds']:g}", f"{record['load']:g}"
    return [record["case"], f"{record['seconds']:.2f}", goal, met, ", ".join(besides), load]


@bench.command()
@count_option("--ranks", "number", text="How many ranks are compared with one.", least=2, most=10, default=2)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@_bench_options("Fewer iterations, one round.")
def ranks(number: int, device: str, as_json: bool, **typed: Any) -> None:
    """Measure what several ranks gain: the same run by one process and by N, one thread each.

    Real runs of the built-in photographs in a temporary folder; beside the ratio stands whether the images are the
    same to the byte.
    """
    from delt_engine.bench.ranks import bench_ranks

    with tempfile.TemporaryDirectory(prefix="delt-bench-") as folder:
        record = bench_ranks(number, Path(folder), device=device, **_how(**typed)).to_record()
    if as_json:
        say_json([record])
        return
    same = "the same to the byte" if record["same_images"] else "NOT the same"
    say(
        f"{number} ranks: {record['rate']:,.0f} image-iterations/s, one: {record['one_rate']:,.0f}, ratio "
        f"{record['ratio']:.2f}; the images are {same}. Load before: {record['load']:g} on {record['cores']} cores."
    )


def _say_where(what: str, records: Sequence[dict[str, Any]], more: str = "") -> None:
    machine = records[0]["machine"]
    name = ", ".join(filter(None, (machine["processor"], machine["instructions"], f"torch {machine['torch']}")))
    say(f"{what} on {records[0]['device']}, {records[0]['threads']} threads{more}. {name}.")


def _say(what: str, results: Iterable[Any], more: Sequence[str], *, as_json: bool) -> None:
    records = [result.to_record() for result in results]
    if as_json:
        say_json(records)
        return
    _say_where(what, records)
    columns = ["case", "plain", "fast", "ratio", "largest gap", *(name.replace("_", " ") for name in more)]
    say_table(columns, [[*_rates(record), *(f"{record[name]:,.2f}" for name in more)] for record in records])


def _rates(record: dict[str, Any]) -> list[str]:
    rates = [f"{record['plain_rate']:,.1f}", f"{record['fast_rate']:,.1f}", f"{record['ratio']:.2f}"]
    return [record["title"], *rates, f"{record['max_abs_diff']:.1e}"]


def _loop_row(record: dict[str, Any]) -> list[str]:
    return [
        *_rates(record),
        f"{record['changed_percent']:.2f}",
        f"{record['plain_error']:.0e} / {record['fast_error']:.0e}",
        f"{record['loss_difference_percent']:.3f}",
        f"{record['peak_percent']:.0f} / {record['limit_percent']:.0f}",
        f"{record['plain_mb']:.0f} -> {record['fast_mb']:.0f}",
    ]


def _app_row(record: dict[str, Any]) -> list[str]:
    first = "-" if record["first_seconds"] is None else f"{record['first_seconds']:.2f}"
    met = "an error is shown" if record["has_error"] else "yes" if record["meets_goal"] else "no"
    goal = f"< {record['goal_seconds']:g}"
    return [record["case"], f"{record['seconds']:.3f}", first, f"{1 / record['plain_rate']:.3f}", goal, met]
