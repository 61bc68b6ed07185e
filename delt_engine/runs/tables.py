"""Tables of results to take away: CSV for programs, LaTeX for papers, Markdown for notes; no torch.

A row is a mapping of plain values, a column says which of them it shows, with how many digits, and where its spread
is. CSV holds every value as it is, a spread in a column of its own; the other two hold what a reader is shown.
Markdown is written here because pandas' needs one more package, tabulate.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from delt_engine.files import guarded

if TYPE_CHECKING:
    import pandas

Quoting = Literal[0, 1, 2, 3]
"""What is quoted in CSV, one of the csv module's constants."""

NOTHING = "–"
"""Shown where a row has no value."""


@dataclass(frozen=True)
class Column:
    """One column: ``name`` of the value in a row and heading in CSV, ``title`` for readers, of numbers the digits.

    ``spread`` is the name of the value's standard deviation, "" without one.
    """

    name: str
    title: str
    digits: int | None = None
    spread: str = ""


METHOD_COLUMNS: tuple[Column, ...] = (
    Column("method_title", "Method"),
    Column("ipc", "IPC", 0),
    Column("top1_last", "Top-1, last epoch (%)", 1, "top1_last_std"),
    Column("top1_best", "Top-1, best epoch (%)", 1, "top1_best_std"),
    Column("top5_last", "Top-5 (%)", 1),
    Column("cosine_similarity", "Cosine similarity", 3),
    Column("synthesis_seconds", "Synthesis (s)", 1),
    Column("train_seconds", "Training (s)", 1),
    Column("settings", "Images made as in"),
    Column("training", "Student and recipe"),
)
"""The table of methods that `delt compare` and the accuracy page show."""


MI_COLUMNS: tuple[Column, ...] = (
    Column("method_title", "Method"),
    Column("iterations", "MI", 0),
    Column("round_iterations", "RI", 0),
    Column("image_iterations", "Image-iterations", 0),
    Column("top1_last", "Top-1, last epoch (%)", 1, "top1_last_std"),
    Column("top1_best", "Top-1, best epoch (%)", 1, "top1_best_std"),
    Column("synthesis_seconds", "Synthesis (s)", 1),
)
"""The table of accuracy over MI, of `delt compare --over-mi` and of the accuracy page."""


def shown(row: Mapping[str, Any], column: Column) -> str:
    """Return the value of a row in a column as a reader sees it, its spread behind it.

    >>> shown({"top1": 41.27, "std": 0.84}, Column("top1", "Top-1", 1, "std"))
    '41.3 ± 0.8'
    >>> shown({"top1": 41.27, "std": 0.0}, Column("top1", "Top-1", 1, "std")), shown({}, Column("ipc", "IPC", 0))
    ('41.3', '–')
    """
    value = row.get(column.name)
    if value is None or value == "":
        return NOTHING
    if column.digits is None or not isinstance(value, (int, float)):
        return str(value)
    spread = row.get(column.spread) if column.spread else None
    text = f"{value:,.{column.digits}f}"
    return f"{text} ± {spread:.{column.digits}f}" if spread else text


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]], quoting: Quoting = csv.QUOTE_MINIMAL) -> str:
    """Return rows as CSV with a heading, nothing where a value is None; every text is :func:`guarded`."""
    cells = [[guarded(value) for value in row] for row in rows]
    return _frame(cells, columns).to_csv(index=False, lineterminator="\n", quoting=quoting)


def _frame(cells: Sequence[Sequence[Any]], columns: Sequence[str]) -> pandas.DataFrame:
    import pandas  # here, for the app opens without it

    return pandas.DataFrame(cells, columns=list(columns), dtype=object)


def to_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column] = METHOD_COLUMNS) -> str:
    """Return the rows as CSV; of a float the digits that only binary numbers have are left out."""
    names = [name for column in columns for name in (column.name, column.spread) if name]
    values = [[row.get(name) for name in names] for row in rows]
    return csv_text(names, [[round(v, 6) if isinstance(v, float) else v for v in row] for row in values])


def without_common(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[Column] = METHOD_COLUMNS, name: str = "training"
) -> tuple[tuple[Column, ...], str]:
    """Return the columns that have a value, and what all rows have in common in column ``name``, then left out."""
    filled = tuple(column for column in columns if any(row.get(column.name) not in (None, "") for row in rows))
    found = {row.get(name) for row in rows}
    common = found.pop() if len(found) == 1 else None
    if common is None:
        return filled, ""
    return tuple(column for column in filled if column.name != name), str(common)


def to_markdown(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column] = METHOD_COLUMNS, note: str = "") -> str:
    """Return the rows as a Markdown table with a note below it; names of any kind are shown as they are."""
    lines = [
        [markdown_text(column.title) for column in columns],
        [":---" if column.digits is None else "---:" for column in columns],
        *([markdown_text(shown(row, column)) for column in columns] for row in rows),
    ]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
    return f"{table}\n{markdown_text(note)}\n" if note else table


def to_latex(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column] = METHOD_COLUMNS, note: str = "") -> str:
    r"""Return the rows as a LaTeX tabular with the rules of booktabs, which needs ``\usepackage{booktabs}``.

    The note becomes a comment above it.
    """
    cells = [[latex_text(shown(row, column)) for column in columns] for row in rows]
    frame = _frame(cells, [latex_text(column.title) for column in columns])
    sides = "".join("l" if column.digits is None else "r" for column in columns)
    head = f"% {' '.join(note.split())}\n" if note else ""
    return head + frame.to_latex(index=False, escape=False, column_format=sides)


# a bracket or a star at the beginning of a row would be an argument of the line break before it
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",
    "*": "{*}",
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "²": r"\textsuperscript{2}",
    NOTHING: "--",
}


def latex_text(text: str) -> str:
    r"""Return words so that LaTeX prints them as they are.

    >>> print(latex_text("SRe²L 41.3 ± 0.8, a_b & 50%"))
    SRe\textsuperscript{2}L 41.3 $\pm$ 0.8, a\_b \& 50\%
    """
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))


def markdown_text(text: str) -> str:
    r"""Return words so that a Markdown table shows them as they are, in one line.

    >>> print(markdown_text("a|b *c* _d_"))
    a\|b \*c\* \_d\_
    """
    return re.sub(r"[\\`*_\[\]<>|#~$]", r"\\\g<0>", " ".join(text.split()))
