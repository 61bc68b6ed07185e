"""A table of the papers as it stands here: what is printed, measured, near and missing, and what the rest takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from delt_engine.jobs.prices import Price
from delt_engine.papers.cells import Cell, Scale
from delt_engine.papers.continual_values import step_number
from delt_engine.papers.fits import Difference
from delt_engine.papers.kept import Kept
from delt_engine.papers.order import Order, Point, order_of
from delt_engine.papers.paper_tables import axis
from delt_engine.papers.published import PublishedValue
from delt_engine.papers.table_record import PaperTable
from delt_engine.runs.store import Run

State = Literal["finished", "running", "queued", "stopped", "missing", "not here"]


@dataclass(frozen=True)
class Measured:
    """What was measured here: mean and spread over ``n`` students or runs.

    Accuracies are in percent, of the last epoch and as ``best`` of the best tested one, which published code reports.
    """

    mean: float
    std: float | None = None
    n: int = 1
    best: float | None = None
    best_std: float | None = None
    device: str = ""

    @property
    def shown(self) -> tuple[float, float | None]:
        """What stands beside the printed number, and its spread: of accuracies the best tested epoch."""
        return (self.mean, self.std) if self.best is None else (self.best, self.best_std)

    @property
    def last(self) -> float | None:
        """The mean of the last epoch, where another one is shown."""
        return None if self.best is None else self.mean


@dataclass(frozen=True)
class Near:
    """A run that asks the same question with other settings."""

    run: Run
    measured: Measured
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class CellView:
    """One number of a table.

    Attributes:
        value: as printed, or a row of a figure without a number.
        row, column: where it stands on the table's axes, as printed.
        cell: the experiment that measures it here; None where ``reason`` says why there is none, and of images that
            were imported.
        measured: by ``runs``, which fit it; None while there are none, and for images, which have no number.
        kept: what comes with the package, until the cell is finished.
        near: runs that ask the same question with other settings; at paper scale only.
        state: of its work.
        recovered: a finished run with its images.
        same_as: of a number whose experiment here is that of one before it, which that is; datasets that one built-in
            set stands for have the same images at laptop scale.
        parts: what is missing with its price; what several cells share has the same key.
        published: of these the trainings that published weights save, with their reference, as "torchvision:resnet18".
    """

    value: PublishedValue
    row: tuple[str, ...]
    column: tuple[str, ...]
    cell: Cell | None = None
    reason: str = ""
    measured: Measured | None = None
    kept: Kept | None = None
    runs: tuple[Run, ...] = ()
    near: tuple[Near, ...] = ()
    state: State = "missing"
    recovered: Run | None = None
    same_as: str = ""
    parts: Mapping[str, Price] = field(default_factory=dict)
    published: Mapping[str, str] = field(default_factory=dict)

    @property
    def known(self) -> Measured | Kept | None:
        """What stands beside the printed number: what comes with the package until the cell is finished here."""
        return self.kept or self.measured

    @property
    def price(self) -> Price:
        """What the missing work of this cell alone takes."""
        return sum(self.parts.values(), Price())

    @property
    def gap(self) -> float | None:
        """Measured less printed, of the best tested epoch where it is an accuracy; only at paper scale."""
        if self.known is None or self.cell is None or self.cell.scale != "paper" or not self.value.is_printed:
            return None
        return self.known.shown[0] - self.value.value

    @property
    def is_known(self) -> bool:
        """Whether its number stands in the table, or its images are made."""
        return self.state == "finished" or self.kept is not None

    @property
    def is_open(self) -> bool:
        """Whether there is work to do for it."""
        return self.cell is not None and self.state not in ("finished", "running", "queued")


@dataclass(frozen=True)
class TableView:
    """A table as it stands here."""

    table: PaperTable
    scale: Scale
    cells: tuple[CellView, ...]

    @property
    def price(self) -> Price:
        """What all missing work takes; what cells share counts once."""
        return total_price(self.missing)

    @property
    def reachable(self) -> int:
        """Numbers that can be measured here, and images that were imported."""
        return sum(one.cell is not None or one.state == "finished" for one in self.cells)

    @property
    def missing(self) -> tuple[CellView, ...]:
        """Numbers that could be measured and were not."""
        return tuple(one for one in self.cells if one.is_open)

    @property
    def mapping(self) -> tuple[tuple[str, str, str], ...]:
        """What laptop scale makes smaller: name, printed, here; each once, by name."""
        found = dict.fromkeys(words for one in self.cells if one.cell for words in one.cell.scaled)
        names = list(dict.fromkeys(name for name, _, _ in found))
        return tuple(sorted(found, key=lambda words: names.index(words[0])))

    @cached_property
    def order(self) -> Order:
        """Whether the printed order holds among the numbers that stand in the cells."""
        return order_of(_points(self))


def total_price(cells: Iterable[CellView]) -> Price:
    """Return what the missing work of cells takes; what they share counts once."""
    parts = {key: price for one in cells for key, price in one.parts.items()}
    return sum(parts.values(), Price())


def _points(view: TableView) -> list[Point]:
    groups = [name for name in (*view.table.rows, *view.table.columns) if name not in view.table.compared]
    return [
        Point(
            tuple(axis(one.value, name) for name in groups),
            one.value.value,
            one.known.shown[0],
            one.known.shown[1] or 0.0,
            one.known.n,
            f"{one.cell.key} {step_number(one.value)}",
        )
        for one in view.cells
        if one.known is not None and one.value.is_printed and one.cell and one.cell.measure != "parameters"
    ]
