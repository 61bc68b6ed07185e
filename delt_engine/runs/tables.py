"""Tables of results to take away: CSV for programs, LaTeX for papers, Markdown for notes; no torch.

A row is a mapping of plain values, a column says which of them it shows, with how many digits, and where its spread
is. CSV holds every value as it is, a spread in a column of its own; the other two hold what a reader is shown.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NOTHING = "–"
"""Shown where a row has no value."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: of the value in a row; the heading in CSV.
        title: heading for readers.
        digits: after the point, of numbers; None shows them as they are.
        spread: name of the value's standard deviation, "" without one.
    """

    name: str
    title: str
    digits: int | None = None
    spread: str = ""

    @property
    def is_number(self) -> bool:
        """Whether the column stands to the right."""
        return self.digits is not None


METHOD_COLUMNS: tuple[Column, ...] = (
    Column("method_title", "Method"),
    Column("ipc", "IPC", 0),
    Column("top1_last", "Top-1, last epoch (%)", 1, "top1_last_std"),
    Column("top1_best", "Top-1, best epoch (%)", 1, "top1_best_std"),
    Column("top5_last", "Top-5 (%)", 1),
    Column("cosine_similarity", "Cosine similarity", 3),
    Column("synthesis_seconds", "Synthesis (s)", 1),
    Column("train_seconds", "Training (s)", 1),
    Column("training", "Student and recipe"),
)
"""The table of methods that `delt compare` and the accuracy page show."""


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


def to_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column] = METHOD_COLUMNS) -> str:
    """Return the rows as CSV with a heading: numbers with up to six digits, nothing where there is no value.

    Words that a spreadsheet would take for a formula, such as the name of a folder, get an apostrophe before them.
    """
    names = [name for column in columns for name in (column.name, column.spread) if name]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([[_plain(row.get(name)) for name in names] for row in rows])
    return buffer.getvalue()


def without_common(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[Column] = METHOD_COLUMNS, name: str = "training"
) -> tuple[tuple[Column, ...], str]:
    """Return the columns that have a value, and what all rows have in common in one, which then is left out.

    Args:
        rows: what to show.
        columns: all columns.
        name: of the column that is left out where every row says the same.
    """
    kept = tuple(column for column in columns if any(row.get(column.name) not in (None, "") for row in rows))
    found = {row.get(name) for row in rows}
    common = found.pop() if len(found) == 1 else None
    if common is None:
        return kept, ""
    return tuple(column for column in kept if column.name != name), str(common)


def _plain(value: Any) -> Any:
    """Return a value for CSV; digits of a float that only binary numbers have are left out."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else round(value, 6) if isinstance(value, float) else value


def to_markdown(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column] = METHOD_COLUMNS, note: str = "") -> str:
    """Return the rows as a Markdown table; names of any kind are shown as they are.

    Args:
        rows: what to show.
        columns: which values, in order.
        note: a sentence below the table.
    """
    lines = [
        [markdown_text(column.title) for column in columns],
        ["---:" if column.is_number else ":---" for column in columns],
        *([markdown_text(shown(row, column)) for column in columns] for row in rows),
    ]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
    return f"{table}\n{markdown_text(note)}\n" if note else table


def to_latex(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column] = METHOD_COLUMNS, note: str = "") -> str:
    r"""Return the rows as a LaTeX tabular with the rules of booktabs, which needs ``\usepackage{booktabs}``.

    Args:
        rows: what to show.
        columns: which values, in order.
        note: a sentence, written as a comment above the table.
    """
    kinds = "".join("r" if column.is_number else "l" for column in columns)
    lines = [" & ".join(latex_text(column.title) for column in columns) + r" \\"]
    lines += [" & ".join(latex_text(shown(row, column)) for column in columns) + r" \\" for row in rows]
    head = ["% " + " ".join(note.split())] if note else []
    parts = [*head, rf"\begin{{tabular}}{{{kinds}}}", r"\toprule", lines[0], r"\midrule", *lines[1:]]
    return "\n".join([*parts, r"\bottomrule", r"\end{tabular}"]) + "\n"


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
