"""How a table of the papers is printed: in the paper's form, with what was measured here below each number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from delt_engine.analysis.cost import formula_cost
from delt_engine.cli.cost import size_words, time_words
from delt_engine.cli.output import say, say_table
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.jobs.prices import Price
from delt_engine.papers.crop_distribution import crop_distributions
from delt_engine.papers.kept import MARK, Kept
from delt_engine.papers.paper_tables import METRIC_TITLES, axis_label, axis_title
from delt_engine.papers.published import PublishedValue, printed_with_spread, published_settings
from delt_engine.papers.table_record import PaperTable
from delt_engine.pipeline.paper_teachers import add_command
from delt_engine.pipeline.reproduce import cell_title
from delt_engine.pipeline.table_needs import needs_of
from delt_engine.pipeline.table_records import CellView, Measured, TableView
from delt_engine.pipeline.table_view import differs_beyond

NEAR = 5
"""Runs with other settings that are told of a table."""

_SETTINGS_OF = {"cda-10": "cifar100", "cda-12": "tiny-imagenet", "cda-16": "imagenet-1k", "cda-21": "imagenet-21k"}
"""Datasets of CDA's tables of settings; DELT's is of all."""


def say_view(view: TableView, only: str = "") -> None:
    """Print a table as it stands here, or the part of it that ``only`` asked for."""
    table = view.table
    say(f"{table.where}: {table.title}. {table.caption}")
    if table.is_settings:
        _say_settings(table)
    if table.id == "cda-fig2":
        _say_crops()
    if not view.cells:
        say(table.note)
        return
    _say_matrix(view)
    for words in filter(None, (table.note, _assumed(view))):
        say(words)
    if view.scale == "laptop":
        say_table(("axis", "printed", "here"), view.mapping, "Made small")
    _say_near(view)
    _say_beyond(view)
    if machines := sorted({one.kept.on for one in view.cells if one.kept}):
        say(f"{MARK} comes with DELT Studio and is not among your runs; measured on {'; '.join(machines)}.")
    if any(one.known and one.value.is_printed for one in view.cells):
        is_best = any(one.known and one.cell and one.cell.measure == "accuracy" for one in view.cells)
        say(view.order.sentence + (" Compared are the best tested epochs." if is_best else ""))
    if repeats := sum(bool(one.same_as) for one in view.cells):
        say(f"{repeats} numbers are the same experiment here as another one (=), which is computed once.")
    if table.id in ("delt-6", "delt-fig12"):
        _say_formula()
    if view.missing:
        scale = "" if view.scale == "paper" else f" --scale {view.scale}"
        say(f"Missing: {len(view.missing)} of {view.reachable} {what_of(view)}, {price_words(view.price)}.")
        if words := network_words(view.missing):
            say(words)
        part = f" --only {only}" if only else ""
        say(f"Make them with `delt reproduce {table.id}{scale}{part}`.")


def what_of(view: TableView) -> str:
    """Return what the cells of a table are: numbers, or images."""
    return "images" if all(one.value.metric == "images" for one in view.cells) else "numbers"


def list_lines(large: Sequence[TableView], small: Sequence[TableView]) -> list[str]:
    """Return the list of tables in Markdown: command, what full size needs on a GPU, and what was measured here.

    Args:
        large: the tables at paper scale, with prices on a GPU.
        small: the same at laptop scale.
    """
    columns = ("Table", "About", "Command", "Full size", "As printed, measured", "Laptop scale, measured", "Order here")
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    for view, laptop in zip(large, small, strict=True):
        if not view.cells:
            continue
        command = f"`delt reproduce {view.table.id}`" if view.reachable else "printed values only"
        needs = f"about {time_words(view.price.hours)} on an RTX 4090" if view.missing else ""
        order = f"{laptop.order.answer}: {laptop.order.counts}" if laptop.order.pairs else ""
        words = [view.table.where, view.table.title, command, needs, _progress(view), _progress(laptop), order]
        lines.append("| " + " | ".join(words) + " |")
    return [*lines, ""]


def value_lines(small: Iterable[TableView]) -> list[str]:
    """Return the numbers of tables at laptop scale in Markdown, of those that are measured whole.

    What is another table's number, or the same experiment as one before it, is left out.
    """
    lines = ["| Table | Printed | Here |", "| --- | --- | --- |"]
    for view in small:
        cells = [one for one in view.cells if one.cell and one.known and not one.same_as]
        is_whole = all(one.known for one in view.cells if one.cell)
        if not cells or view.table.numbers or not is_whole:
            continue
        names = (*view.table.rows, *view.table.columns)
        varied = [name for name in names if len({axis_label(one.value, name) for one in cells}) > 1]
        places = [", ".join(filter(None, (_place_words(one.value, name) for name in varied))) for one in cells]
        pairs = zip(places, (one.value.printed for one in cells), strict=True)
        asked = "; ".join(f"{place}: {number}" if number else place for place, number in pairs)
        here = "; ".join(_number(*one.known.shown) for one in cells if one.known)
        lines.append(f"| {view.table.where} | {asked} | {here} |")
    return [*lines, ""]


_NAMED = ("method", "dataset", "student", "teacher", "metric", "patches", "selection", "order")
"""Axes whose places say by themselves what they are."""


def _place_words(value: PublishedValue, name: str) -> str:
    label = axis_label(value, name)
    return label if name in _NAMED or not label else f"{axis_title(name)} {label}"


def _progress(view: TableView) -> str:
    """Return how many numbers of a table were measured, here or before, and how far they are from the printed ones."""
    done = [one for one in view.cells if one.is_known]
    gaps = [one.gap for one in done if one.gap is not None and one.cell and one.cell.needs_students]
    words = f"{len(done)} of {view.reachable}" if view.reachable else ""
    return words + (f", mean gap {fmean(gaps):+.1f}" if gaps else "")


def _say_matrix(view: TableView) -> None:
    """Print the table in the paper's form, the measured number below each printed one."""
    table = view.table
    columns = list(dict.fromkeys(one.column for one in view.cells))
    labels = {one.column: _labels(one.value, table.columns) for one in view.cells}
    placed = {(one.row, one.column): one for one in view.cells}
    rows = []
    for row in dict.fromkeys(one.row for one in view.cells):
        first = next(one for one in view.cells if one.row == row)
        texts = [_cell_text(placed[row, column]) if (row, column) in placed else "" for column in columns]
        rows.append([*(axis_label(first.value, name) for name in table.rows), *texts])
    metrics = " and ".join(sorted({METRIC_TITLES[one.value.metric] for one in view.cells}))
    if any(one.value.is_printed for one in view.cells):
        say(f"{metrics}: printed, and below it measured here at {view.scale} scale.")
    else:
        say(f"{metrics} at {view.scale} scale; the paper prints no numbers.")
    say_table([*map(axis_title, table.rows), *(labels[column] for column in columns)], rows)


def _labels(value: PublishedValue, names: Iterable[str]) -> str:
    labels = ((name, axis_label(value, name)) for name in names)
    return "\n".join(f"{name} {label}" if label.replace(",", "").isdigit() else label for name, label in labels)


def _cell_text(one: CellView) -> str:
    printed = printed_with_spread(one.value) if one.value.is_printed else ""
    if one.known is None:
        words: str = "" if one.state == "missing" else one.state
        words = f"= {one.same_as}" if one.same_as and not words else words
        return "\n".join(filter(None, (printed, words)))
    same = "= " if one.same_as else ""
    mark = f" {MARK}" + (f" {one.state}" if one.state != "missing" else "") if one.kept else ""
    gap = f" ({one.gap:+.1f})" if one.gap is not None else ""
    return "\n".join(filter(None, (printed, f"{same}{measured_words(one.known)}{mark}{gap}")))


def measured_words(here: Measured | Kept) -> str:
    """Return what was measured: of accuracies the best tested epoch, and the last one.

    >>> measured_words(Measured(41.25, 0.5, 3, 42.0, 0.4))
    '42.0 ± 0.4, last 41.2'
    """
    last = f", last {_number(here.last)}" if here.last is not None else ""
    return _number(*here.shown) + last


def _number(value: float, std: float | None = None) -> str:
    digits = 1 if value >= 1 else 3
    return f"{value:,.{digits}f}" + (f" ± {std:.1f}" if std is not None else "")


def _assumed(view: TableView) -> str:
    """Return what the table leaves open and is filled in, in a sentence."""
    found = {(name, axis_label(one.value, name)) for one in view.cells for name in one.value.assumed}
    words = ", ".join(f"{axis_title(name)} {label}" for name, label in sorted(found))
    return f"Not printed in the table, taken from the text or equal numbers: {words}." if found else ""


def _say_near(view: TableView) -> None:
    near = [(one, each) for one in view.cells if not one.runs for each in one.near]
    for one, each in near[:NEAR]:
        rows = [(d.name, d.here, d.published, d.source) for d in each.differences]
        title = f"{cell_title(view.table, one)}: {measured_words(each.measured)} with other settings, run {each.run.id}"
        say_table(("setting", "here", "published", "from"), rows, title)
    if len(near) > NEAR:
        say(f"{len(near) - NEAR} more runs ask the same with other settings; --json lists them.")


def _say_beyond(view: TableView) -> None:
    """Print in what measured numbers differ from published code whatever is set."""
    rows = dict.fromkeys(row for one in view.cells for row in differs_beyond(one))
    if rows:
        say_table(("setting", "here", "published", "from"), list(rows), "Whatever is set, of those measured here")


def _say_settings(table: PaperTable) -> None:
    printed = published_settings()[table.paper]
    datasets = [_SETTINGS_OF[table.id]] if table.id in _SETTINGS_OF else printed
    rows = [
        (dataset, stage, name, _plain(value))
        for dataset in datasets
        for stage, settings in printed[dataset].items()
        for name, value in settings.items()
    ]
    say_table(("dataset", "stage", "setting", "printed"), rows)
    say("Take them with --preset on `delt squeeze`, `delt recover`, `delt evaluate` and `delt compare`.")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_plain(own)}" for name, own in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _say_crops() -> None:
    rows = [(one.title, round(one.mean_area, 3), round(one.centre_spread, 3)) for one in crop_distributions()]
    say_table(("area of a crop", "mean area", "spread of the centres"), rows)


def _say_formula() -> None:
    rows = []
    for ipc in (10, 50, 100):
        for ri in (500, 1000):
            schedule = EarlyLateSchedule(ipc, 4000, ri)
            cost = formula_cost(schedule)
            said = "exact" if cost.is_exact else f"{ipc} images in {schedule.num_rounds} rounds leave a remainder"
            rows.append((ipc, ri, round(cost.formula), cost.counted, f"{schedule.saved_percent:.2f} %", said))
    columns = ("IPC", "RI", "formula", "counted", "saved", "")
    say_table(columns, rows, "Image-iterations of a class at MI 4,000: N x T - j(j-1)/2 x RI (DELT Sec. 4.4)")


def price_words(price: Price) -> str:
    """Return a price in words.

    >>> price_words(Price(7200.0, 512.0, 12_000_000, is_measured=False))
    'about 2.0 h (a guess: nothing alike was measured here), 537 MB of memory for the recovery, 12 MB of disk'
    >>> price_words(Price(7200.0, None, 12_000_000))
    'about 2.0 h, 12 MB of disk; memory not measured here (the first such recovery tells it, or `delt bench recover`)'
    """
    source = "" if price.is_measured else " (a guess: nothing alike was measured here)"
    memory = f", {size_words(round(price.memory_mb * 2**20))} of memory for the recovery" if price.memory_mb else ""
    unknown = "; memory not measured here (the first such recovery tells it, or `delt bench recover`)"
    is_unknown = not memory and price.disk_bytes  # only images take disk
    words = f"about {time_words(price.hours)}{source}{memory}, {size_words(price.disk_bytes)} of disk"
    return words + (unknown if is_unknown else "")


def network_words(cells: Iterable[CellView]) -> str:
    """Return which networks of missing numbers are fetched rather than trained, in sentences; "" where there are none.

    Those are trainings that published weights save, and outside networks that are not here.
    """
    needs, said = needs_of(cells), []
    if needs.saved:
        hours = time_words(sum(price.hours for price in needs.saved.values()))
        commands = ", ".join(f"`{add_command(ref)}`" for ref in needs.saved)
        said.append(f"{hours} of it are trainings that {commands} {'saves' if len(needs.saved) == 1 else 'save'}.")
        said.append("`delt reproduce` tries to fetch them first.")
    said += [f"The outside network {ref} is fetched{' as well' if needs.saved else ' first'}." for ref in needs.judges]
    return " ".join([*said, *needs.lacking])
