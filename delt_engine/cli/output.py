"""How a command says its result: one JSON object for tools, or a few lines and tables for people."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from delt_engine.runs.tables import Column, shown

_REPORT_EVERY_S = 0.25

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What a terminal would take for an order; names of classes and files may hold any letter."""


def say_json(result: dict[str, Any] | list[Any]) -> None:
    """Print one JSON object, or a list, on one line."""
    click.echo(json.dumps(result, ensure_ascii=False))


def say(text: str) -> None:
    """Print a line."""
    click.echo(_CONTROL.sub("?", text))


def say_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """Print a table; columns of numbers stand to the right, and names of any kind are shown as they are."""
    rows = [list(row) for row in rows]
    # Text, for rich reads brackets in a str as its own markup, and names of classes and folders may hold any.
    table = Table(title=Text(title, style="table.title") if title else None, title_justify="left")
    for number, name in enumerate(columns):
        is_numeric = all(isinstance(row[number], (int, float)) for row in rows)
        table.add_column(name, justify="right" if is_numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_shown(value)) for value in row))
    console = Console()
    if not console.is_terminal:  # a file or a pipe has no width to fold at
        console = Console(width=max(120, console.width), no_color=True)
    console.print(table)


def say_columns(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows as a table of some columns."""
    say_table([column.title for column in columns], [[shown(row, column) for column in columns] for row in rows])


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else _CONTROL.sub("?", str(value))


progress_option = click.option(
    "--progress-json", is_flag=True, help="Write how far it is as JSON lines on stderr, for other programs."
)


def reporter(is_on: bool) -> Callable[[str, int, int], None]:
    """Return what takes (what, done, total) and writes it as JSON lines on stderr, at most some a second."""
    last = ("", 0.0)

    def report(what: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if is_on and (what != last[0] or done == total or now - last[1] >= _REPORT_EVERY_S):
            last = (what, now)
            click.echo(json.dumps({"what": what, "done": done, "total": total}), err=True)

    return report
