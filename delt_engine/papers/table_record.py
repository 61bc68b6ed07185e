"""What is known of a table or figure of a paper before any number of it: its axes, its claim, its words.

Axes are what :func:`delt_engine.papers.paper_tables.axis` knows: a column of assets/published/results.csv, or a word of
its variants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from delt_engine.papers.published import PAPERS


@dataclass(frozen=True, eq=False)
class PaperTable:
    """A table or a figure.

    Attributes:
        id: paper and number, such as ``delt-4c`` or ``cda-fig1``.
        title: what it is about, in a line.
        caption: what is varied and how it was measured, in our words.
        rows, columns: axes down and across; see above.
        compared: of these the axes along which the paper's claim is made; other axes tell the groups apart.
        numbers: tables of results.csv whose numbers it shows; its own when empty.
        shows: of a figure without printed numbers what it shows, one mapping a row; keys are columns of results.csv
            and words of a variant. Of a table what stands beside the printed numbers here.
        note: what is not here, or has to be known to read it.
    """

    id: str
    title: str
    caption: str
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    shows: tuple[Mapping[str, Any], ...] = ()
    note: str = ""

    @property
    def paper(self) -> str:
        """``delt`` or ``cda``."""
        return self.id.partition("-")[0]

    @property
    def label(self) -> str:
        """How the paper calls it.

        >>> PaperTable("delt-4c", "", "").label, PaperTable("cda-fig5", "", "").label
        ('Table 4c', 'Figure 5')
        """
        number = self.id.partition("-")[2]
        return f"Figure {number.removeprefix('fig')}" if number.startswith("fig") else f"Table {number}"

    @property
    def where(self) -> str:
        """Paper and label, such as "DELT Table 4c"."""
        return f"{PAPERS[self.paper]} {self.label}"

    @property
    def is_figure(self) -> bool:
        """Whether it is a figure."""
        return self.label.startswith("Figure")

    @property
    def is_settings(self) -> bool:
        """Whether it prints settings and no results."""
        return not self.rows and not self.shows and not self.is_figure


def shown(*axes: tuple[str, tuple[Any, ...]], **same: Any) -> tuple[Mapping[str, Any], ...]:
    """Return one mapping a combination of the values on the axes, each with what is the same everywhere."""
    rows: list[dict[str, Any]] = [same]
    for name, values in axes:
        rows = [{**row, name: value} for row in rows for value in values]
    return tuple(rows)


IN1K: dict[str, Any] = {"dataset": "imagenet-1k", "ipc": 50, "teacher": "resnet18"}
"""What most figures show."""
