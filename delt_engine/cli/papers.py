"""``delt papers`` and ``delt reproduce``: the papers' tables, printed and measured, and what makes the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from delt_engine.cli.finished import finished_run
from delt_engine.cli.options import output_options, path_option
from delt_engine.cli.output import say, say_json, say_table
from delt_engine.cli.paper_tables import list_lines, network_words, price_words, say_view, value_lines, what_of
from delt_engine.data.catalogue import CATALOGUE
from delt_engine.errors import ConfigError, DataError, RunError
from delt_engine.files import write_bytes
from delt_engine.jobs import ranks
from delt_engine.papers.cells import SCALES, Scale, why_not
from delt_engine.papers.kept import MARK
from delt_engine.papers.paper_tables import TABLES, axis, find_table
from delt_engine.papers.published import all_published
from delt_engine.papers.table_record import PaperTable
from delt_engine.paths import add_data_folder, expanded
from delt_engine.pipeline.keep_numbers import keep_numbers
from delt_engine.pipeline.reproduce import cell_title
from delt_engine.pipeline.reproduce import reproduce as make
from delt_engine.pipeline.table_needs import needs_of, ready_part
from delt_engine.pipeline.table_records import CellView, TableView, total_price
from delt_engine.pipeline.table_view import views

_scale = click.option(
    "--scale",
    type=click.Choice(SCALES),
    default="paper",
    show_default=True,
    help="As printed, or the same axes made small on a built-in dataset.",
)
_device = click.option("--device", default="auto", metavar="TEXT", help="Where it is computed. [default: auto]")


@click.command()
@click.argument("table", required=False)
@_scale
@path_option(
    "--markdown",
    "FILE",
    "Write the list as Markdown, and the numbers of the tables at laptop scale.",
)
@path_option("--keep", "FILE", "Write all numbers that were measured here into FILE, beside those it holds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def papers(table: str | None, scale: Scale, markdown: Path | None, keep: Path | None, as_json: bool) -> None:
    """List the tables and figures of DELT and CDA, or show TABLE, such as delt-4c: printed and measured values.

    A number counts as measured where a run has every setting of its row; runs with other settings are told with them.
    Numbers that were measured before come with DELT Studio, marked †; your own runs take their place.
    """
    files = {name: given for name, given in (("markdown", markdown), ("keep", keep)) if given is not None}
    for name, given in files.items():
        if table is not None:
            raise ConfigError(f"{name}: {given} given together with table {table!r}, but it is of the whole list.")
    if len(files) > 1:
        raise ConfigError(f"keep: {keep} given together with markdown, but one file is written at a time.")
    if table is not None:
        (view,) = views([find_table(table)], scale)
        if as_json:
            say_json(table_json(view))
        else:
            say_view(view)
        return
    if keep is not None:
        changed = keep_numbers(keep, [view for name in SCALES for view in views(TABLES, name)])
        if as_json:
            say_json({"file": str(keep), "changed": changed})
        else:
            say(f"{keep}: {changed} numbers are new or changed.")
        return
    if markdown is not None:
        large, small = (views(TABLES, name, device="cuda") for name in SCALES)
        write_bytes(markdown, "\n".join([*list_lines(large, small), *value_lines(small)]).encode())
        return
    both = {name: views(TABLES, name) for name in SCALES}
    if as_json:
        say_json(overview(both))
        return
    columns = ("id", "table", "printed", "reachable", "measured", "at laptop scale", "about")
    rows = [
        [
            view.table.id,
            view.table.where,
            _printed(view),
            view.reachable,
            _known(view),
            f"{_known(small)} of {small.reachable}",
            view.table.title,
        ]
        for view, small in zip(both["paper"], both["laptop"], strict=True)
    ]
    say_table(columns, rows)
    count = counts()
    say(f"{count['reachable']} of {count['printed']} printed numbers can be measured here; the others:")
    for reason, number in count["not_here"].items():
        say(f"  {number:>3}  {reason}")
    say(f"Counted as measured are also numbers that come with DELT Studio, marked {MARK} in their tables.")
    say("Show one with `delt papers ID`, make its missing numbers with `delt reproduce ID`.")


@click.command()
@click.argument("table")
@_scale
@click.option(
    "--only",
    multiple=True,
    metavar="AXIS=VALUE,...",
    help="Only these numbers, as dataset=cifar10,ipc=10; several values with a plus, as ipc=10+50.",
)
@click.option(
    "--dataset",
    "folders",
    multiple=True,
    metavar="NAME=FOLDER",
    help="Where the images of a printed dataset are, as imagenet-1k=/data/imagenet. [default: where they are found]",
)
@click.option("--price", "is_price", is_flag=True, help="Say what it would take, and do nothing.")
@_device
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    show_default=True,
    help="Number format of all work; auto is bfloat16 on a GPU. dm and dc recover in float32 whatever is asked.",
)
@click.option(
    "--validate-every",
    type=click.IntRange(1, 100_000),
    metavar="N",
    help="Test students every so many epochs, where tests take longer than the training; the best epoch is then one of "
    "fewer. [default: as the paper's code]",
)
@output_options
def reproduce(
    table: str,
    scale: Scale,
    only: Sequence[str],
    folders: Sequence[str],
    is_price: bool,
    device: str,
    precision: str,
    validate_every: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Make the numbers of TABLE, such as delt-4c, that were not measured here yet.

    Each is a whole experiment under its paper's settings: teacher, ranking, recovery, labels, students. What numbers
    share is done once, what is finished is used again, and a stopped run goes on: type the same command again.
    """
    found = find_table(table)
    take_folders(folders)
    (view,) = views([found], scale, device=device, validate_every=validate_every)
    chosen = chosen_cells(view, only)
    if is_price:
        _say_price(view, chosen, as_json)
        return
    check_data(chosen)
    failures = make(
        found,
        chosen,
        partial(finished_run, quiet=quiet),
        _progress(quiet),
        device=device,
        precision=precision,
    )
    if ranks.this_rank().is_first:
        (view,) = views([found], scale, device=device)
        if only:
            view = replace(view, cells=tuple(chosen_cells(view, only)))
        if as_json:
            say_json(table_json(view))
        else:
            say_view(view, ",".join(only))
    if failures:
        title = cell_title(found, failures[0].cell)
        raise RunError(f"{len(failures)} of {len(chosen)} numbers failed; {title}: {failures[0].error}")


def chosen_cells(view: TableView, only: Iterable[str]) -> list[CellView]:
    """Return the cells that can be measured, of those that ``only`` leaves: pairs such as "ipc=10", with commas.

    Raises:
        ConfigError: no pair, an axis that the table has not, or a value that it has not there.
    """
    table, chosen = view.table, [one for one in view.cells if one.cell is not None]
    axes = tuple(dict.fromkeys((*table.rows, *table.columns, "dataset", "ipc", "method", "student", "teacher")))
    for pair in (part.strip() for text in only for part in text.split(",") if part.strip()):
        name, equals, wanted = pair.partition("=")
        if not equals or name not in axes:
            raise ConfigError(f"only: {pair!r} given, but it must be AXIS=VALUE with one of {', '.join(axes)}.")
        known = sorted({axis(one.value, name) for one in view.cells})
        any_of = [wanted] if wanted in known else wanted.split("+")
        if not set(any_of) <= set(known):
            raise ConfigError(f"only: {pair!r} given, but {name} must be one of {', '.join(filter(None, known))}.")
        chosen = [one for one in chosen if axis(one.value, name) in any_of]
    return chosen


def take_folders(folders: Iterable[str]) -> None:
    """Let this process and those it starts find datasets in folders, given as NAME=FOLDER.

    Raises:
        ConfigError: no pair, no dataset of that name, or no folder.
    """
    for pair in folders:
        name, _, folder = pair.partition("=")
        if not name or not folder:
            raise ConfigError(f"dataset: {pair!r} given, but it must be NAME=FOLDER, as imagenet-1k=/data/imagenet.")
        if name not in CATALOGUE:
            raise ConfigError(f"dataset: {name!r} given, but it must be one of {', '.join(CATALOGUE)}.")
        if not expanded(folder).is_dir():
            raise ConfigError(f"dataset: {folder!r} given for {name}, but there is no such folder.")
        add_data_folder(name, expanded(folder).absolute())


def check_data(chosen: Sequence[CellView]) -> None:
    """Refuse numbers whose data is not on this machine, before anything is computed.

    Raises:
        DataError: the sentence names the datasets, how many numbers need them, and what to put where.
    """
    needs = needs_of(chosen)
    if not needs.blocked:
        return
    only, _ = ready_part(chosen, needs.blocked)
    without = f" Leave them out with --only {only}." if only else ""
    notes = " ".join(f"{place.title}: {place.note}" for place in needs.blocked.values())
    raise DataError(
        f"dataset: {needs.waiting} of {len(chosen)} numbers need data that is not on this machine. {notes} A folder "
        f"elsewhere is named with --dataset {next(iter(needs.blocked))}=FOLDER.{without}"
    )


def counts() -> dict[str, Any]:
    """Return how many printed numbers there are, how many can be measured here, and why not the others."""
    reasons = Counter(why_not(value) for value in all_published())
    reachable = reasons.pop("", 0)
    return {"printed": len(all_published()), "reachable": reachable, "not_here": dict(reasons.most_common())}


def overview(both: dict[Scale, list[TableView]]) -> dict[str, Any]:
    """Return what `delt papers --json` prints."""
    tables = [
        {
            **_about(view.table),
            "printed": _printed(view),
            "reachable": view.reachable,
            "measured": _finished(view),
            "kept": _known(view) - _finished(view),
            "laptop": {
                "reachable": small.reachable,
                "measured": _finished(small),
                "kept": _known(small) - _finished(small),
                "order": small.order.answer,
            },
        }
        for view, small in zip(both["paper"], both["laptop"], strict=True)
    ]
    return {**counts(), "tables": tables}


def table_json(view: TableView) -> dict[str, Any]:
    """Return what `delt papers TABLE --json` and `delt reproduce TABLE --json` print."""
    order = view.order
    return {
        **_about(view.table),
        "scale": view.scale,
        "reachable": view.reachable,
        "missing": len(view.missing),
        "order": {"answer": order.answer, "as_printed": order.as_printed, "reversed": order.reversed}
        | {"within_noise": order.within_noise},
        "mapping": [list(words) for words in view.mapping],
        "cells": [_cell_json(view.table, one) for one in view.cells],
    }


def _about(table: PaperTable) -> dict[str, Any]:
    return {
        "id": table.id,
        "where": table.where,
        "title": table.title,
        "caption": table.caption,
        "axes": [*table.rows, *table.columns],
        "note": table.note,
        "command": f"delt reproduce {table.id}",
    }


def _cell_json(table: PaperTable, one: CellView) -> dict[str, Any]:
    value, here = one.value, one.measured
    return {
        **{name: axis(value, name) for name in (*table.rows, *table.columns)},
        "printed": value.value if value.is_printed else None,
        "printed_std": value.std,
        "source": value.where,
        "assumed": list(value.assumed),
        "measured": None if here is None else vars(here),
        "kept": None if one.kept is None else asdict(one.kept),
        "gap": one.gap,
        "state": one.state,
        "reason": one.reason,
        "same_as": one.same_as,
        "runs": [run.id for run in one.runs],
        "near": [
            {
                "run": near.run.id,
                "measured": vars(near.measured),
                "differences": [d._asdict() for d in near.differences],
            }
            for near in one.near
        ],
        "hours": one.price.hours if one.is_open else 0.0,
    }


def _printed(view: TableView) -> int:
    return sum(one.value.is_printed for one in view.cells)


def _finished(view: TableView) -> int:
    return sum(one.state == "finished" for one in view.cells)


def _known(view: TableView) -> int:
    return sum(one.is_known for one in view.cells)


def _say_price(view: TableView, chosen: Sequence[CellView], as_json: bool) -> None:
    todo = [one for one in chosen if one.is_open]
    price = total_price(todo)
    if as_json:
        say_json(
            {
                "table": view.table.id,
                "scale": view.scale,
                "cells": len(chosen),
                "missing": len(todo),
                "hours": price.hours,
                "memory_mb": price.memory_mb,
                "disk_bytes": price.disk_bytes,
                "is_measured": price.is_measured,
            }
        )
        return
    say(f"{view.table.where} at {view.scale} scale: {len(chosen)} {what_of(view)}, {len(todo)} missing.")
    if not view.reachable:
        say(view.table.note or "It prints settings and no results.")
    if todo:
        say(f"{price_words(price)}.")
        if words := network_words(todo):
            say(words)


def _progress(quiet: bool) -> Callable[[str], None]:
    def report(words: str) -> None:
        if not quiet and ranks.this_rank().is_first:
            click.echo(words, err=True)

    return report
