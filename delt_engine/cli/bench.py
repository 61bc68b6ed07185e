"""``delt bench``: how fast this machine is, against plain PyTorch code that does the same."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from delt_engine.bench.cases import CASES, find_cases, named
from delt_engine.cli import bench_cases
from delt_engine.cli.output import progress_option, reporter, say, say_json, say_table
from delt_engine.threads import settle_waiting

ROUNDS = 3
_NAMES = ", ".join(case.name for case in CASES)


@click.group()
def bench() -> None:
    """Measure speed against plain code, side by side."""


@bench.command()
@click.option("--quick", is_flag=True, help="Fewer cases, a shorter schedule, one round.")
@click.option(
    "--case", "names", multiple=True, metavar="NAME", help=f"Measure this case only; may be given again. [{_NAMES}]"
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"How often each is measured; medians are told. [default: {ROUNDS}, 1 with --quick]",
)
@click.option("--device", default="auto", show_default=True, metavar="TEXT", help="auto, cpu, cuda, cuda:1, ...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list on stdout.")
@progress_option
def recover(
    quick: bool, names: tuple[str, ...], rounds: int | None, device: str, as_json: bool, progress_json: bool
) -> None:
    """Measure recovery: image-iterations a second of the loop as published, and of the engine's.

    Both take the same images and crops in turns; beside each ratio stands by how much their images differ. Cases of
    224 px and of packed batches are measured on CUDA devices, elsewhere when they are asked for by name.
    """
    settle_waiting()  # as runs have it; read when torch is loaded
    named(CASES, names)  # what is not there is said before torch is loaded
    from delt_engine.bench.recovery import bench_recovery
    from delt_engine.models.device import pick_device

    report, chosen = reporter(progress_json), pick_device(device)
    cases = find_cases(names, quick=quick, device_type=chosen.type)
    results = bench_recovery(
        cases, quick=quick, rounds=rounds or (1 if quick else ROUNDS), device=chosen, report=report
    )
    records = [result.to_record() for result in results]
    if as_json:
        say_json(records)
        return
    first = records[0]
    plain = next((f"; the plain loop in {record['plain']}" for record in records if "plain" in record), "")
    say(f"Image-iterations a second on {first['device']}, {first['threads']} threads{plain}.")
    columns = [
        "case",
        "plain",
        "fast",
        "ratio",
        "largest gap",
        "changed %",
        "gradient error",
        "loss gap %",
        "% of peak / convs",
        "kept MiB",
    ]
    say_table(columns, [_row(record) for record in records if "saved_percent" not in record])
    for record in records:
        if "saved_percent" in record:
            say(
                f"{record['title']}: {record['saved_percent']:.1f} % of wall time saved, where the schedule has "
                f"{record['scheduled_percent']:.1f} % fewer image-iterations."
            )


def _row(record: dict) -> list[str]:
    return [
        record["title"],
        f"{record['plain_rate']:.1f}",
        f"{record['fast_rate']:.1f}",
        f"{record['ratio']:.2f}",
        f"{record['max_abs_diff']:.1e}",
        f"{record['changed_percent']:.2f}",
        f"{record['plain_error']:.0e} / {record['fast_error']:.0e}",
        f"{record['loss_difference_percent']:.3f}",
        f"{record['peak_percent']:.0f} / {100 * record['fast_rate'] / record['limit_rate']:.0f}",
        f"{record['plain_mb']:.0f} -> {record['fast_mb']:.0f}",
    ]


@bench.command()
@click.option(
    "--ranks",
    "number",
    type=click.IntRange(min=2, max=10),
    default=2,
    show_default=True,
    metavar="N",
    help="How many ranks are compared with one.",
)
@click.option("--quick", is_flag=True, help="Fewer iterations, one round.")
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"How often each is measured; medians are told. [default: {ROUNDS}, 1 with --quick]",
)
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list on stdout.")
@progress_option
def ranks(number: int, quick: bool, rounds: int | None, device: str, as_json: bool, progress_json: bool) -> None:
    """Measure what several ranks gain: the same run by one process and by N, one thread each.

    Real runs of the built-in photographs in a temporary folder; beside the ratio stands whether the images are the
    same to the byte.
    """
    from delt_engine.bench.ranks import bench_ranks

    rounds = rounds or (1 if quick else ROUNDS)
    with tempfile.TemporaryDirectory(prefix="delt-bench-") as folder:
        result = bench_ranks(
            number, Path(folder), device=device, rounds=rounds, quick=quick, report=reporter(progress_json)
        )
    if as_json:
        say_json([result.to_record()])
        return
    same = "the same to the byte" if result.same_images else "NOT the same"
    say(
        f"{number} ranks: {result.rate:,.0f} image-iterations/s, one: {result.one_rate:,.0f}, ratio "
        f"{result.ratio:.2f}; the images are {same}. Load before: {result.load:g} on {result.cores} cores."
    )


for command in (bench_cases.rank, bench_cases.evaluate, bench_cases.app):
    bench.add_command(command)
