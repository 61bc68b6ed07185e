"""``delt compare``: methods side by side: recover, train students, measure similarity, and one table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from delt_engine.cli.compare_methods import Comparison, compared, planned
from delt_engine.cli.options import output_options, setting_options, teacher_options
from delt_engine.cli.output import say, say_json, say_table
from delt_engine.files import check_writable, write_bytes
from delt_engine.jobs.ranks import this_rank
from delt_engine.runs.tables import shown, to_csv, to_latex, to_markdown, without_common

DEFAULT_METHODS = "sre2l,cda,rded,delt,random"
_FORMATS = {"csv": to_csv, "latex": to_latex, "markdown": to_markdown}


def _file_options(function: Any) -> Any:
    for name in reversed(_FORMATS):
        text = f"Also write the table to FILE as {name if name == 'csv' else name.capitalize()}."
        function = click.option(
            f"--{name}", f"file_{name}", type=click.Path(path_type=Path), metavar="FILE", help=text
        )(function)
    return function


@click.command()
@click.option(
    "--methods",
    default=DEFAULT_METHODS,
    metavar="NAME,...",
    show_default=True,
    help="delt, cda, cda-init, sre2l, rded, random, and real for the whole training set.",
)
@setting_options(["experiment", "recover", "evaluate"], {"recover": ("ipc", "iterations", "round_iterations")})
@teacher_options
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Put the runs there, named by dataset and method, and not among your runs.",
)
@click.option("--fresh", is_flag=True, help="Compute everything anew, also what is there already.")
@_file_options
@output_options
def compare(methods: str, into: Path | None, fresh: bool, as_json: bool, quiet: bool, **values: Any) -> None:
    """Compare methods: recover each, train students on it, measure similarity, and print one table.

    Runs and evaluations with the very same settings, data and teacher are used again. Stop with Ctrl-C and type the
    same command again: it goes on. On the built-in datasets it is shortened to suit a laptop, unless --mi, --ri and
    --epochs say otherwise. Methods without rounds keep pictures of their start and their end.
    """
    files = {name: path for name in _FORMATS if (path := values.pop(f"file_{name}")) is not None}
    for path in files.values():
        check_writable(path)
    comparison = planned(methods, values, into)
    rows = list(_rows(comparison, fresh=fresh, quiet=quiet))
    if not this_rank().is_first:
        return
    columns, common = without_common(rows)
    note = " ".join(filter(None, [f"Students: {common}." if common else "", comparison.note]))
    for name, path in files.items():
        text = to_csv(rows) if name == "csv" else _FORMATS[name](rows, columns, note)
        write_bytes(path, text.encode())
    if as_json:
        say_json({"rows": rows, "notes": [comparison.note] if comparison.note else []})
        return
    say_table([column.title for column in columns], [[shown(row, column) for column in columns] for row in rows])
    if note:
        say(note)


def _rows(comparison: Comparison, *, fresh: bool, quiet: bool) -> Iterator[dict[str, Any]]:
    for number, method in enumerate(comparison.methods, start=1):

        def tell(text: str, place: str = f"{method} ({number} of {len(comparison.methods)})") -> None:
            if not quiet and this_rank().is_first:
                click.echo(f"{place}: {text}", err=True)

        yield compared(comparison, method, fresh=fresh, quiet=quiet, tell=tell)
