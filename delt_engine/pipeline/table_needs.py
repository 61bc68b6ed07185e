"""What missing numbers need besides computing: data to put in place, networks to fetch, and what cannot be had.

Page and command ask here before anything is started. Readable without torch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from delt_engine.data.available import Place, place_of
from delt_engine.errors import CheckpointError, DataError, DeltError
from delt_engine.jobs.prices import Price
from delt_engine.models.held_out import second_dir
from delt_engine.papers.paper_tables import axis
from delt_engine.paths import teachers_dir
from delt_engine.pipeline.image_measures import judge_file
from delt_engine.pipeline.paper_teachers import (
    add_command,
    file_of,
    folder_of,
    judge_of,
    missing_networks,
    published_ref,
    role_of,
)
from delt_engine.pipeline.table_records import CellView

_BLOCKED = ("missing", "unusable")
"""Places of a dataset that somebody has to fill first."""

_AXES = ("student", "method", "teacher", "ipc")
"""By what numbers of one dataset are told apart where some of them need other data as well."""


@dataclass(frozen=True)
class Needs:
    """What open numbers need besides their computing.

    Attributes:
        blocked: datasets that somebody has to put in place first.
        waiting: how many numbers need them.
        saved: published weights that are fetched, such as "torchvision:resnet18", with the training that each saves.
        judges: published weights of outside networks that are fetched as well.
        folders: where these and those go: what only helps lies where ``--teacher auto`` does not find it.
        lacking: in sentences, the outside networks that are not here and of which no weights are published.
    """

    blocked: Mapping[str, Place]
    waiting: int
    saved: Mapping[str, Price]
    judges: tuple[str, ...]
    folders: Mapping[str, Path]
    lacking: tuple[str, ...]


def needs_of(cells: Iterable[CellView]) -> Needs:
    """Return what the open ones of some numbers need besides their computing."""
    todo = [one for one in cells if one.is_open]
    places, of_teachers = blocked(todo), _teachers(todo)
    judges, lacking = dict[str, None](), dict[str, None]()
    saved = {ref: one.parts[key] for one in todo for key, ref in one.published.items()}
    for cell in (one.cell for one in todo if one.cell and one.cell.measure == "judge"):
        judge = judge_of(cell)
        if judge is None or file_of(judge) is not None:
            continue
        if ref := published_ref(judge):
            judges[ref] = None
            continue
        try:
            judge_file(cell)
        except CheckpointError as error:
            lacking[str(error)] = None
    return Needs(
        blocked=places,
        waiting=sum(waits(one, places) for one in todo),
        saved=saved,
        judges=tuple(judges),
        folders={ref: teachers_dir() if ref in of_teachers else second_dir() for ref in (*judges, *saved)},
        lacking=tuple(lacking),
    )


def _teachers(cells: Iterable[CellView]) -> set[str]:
    """Return the published weights that some of the numbers need as a teacher."""
    parts = ((one.cell, part) for one in cells if one.cell for part in missing_networks(one.cell))
    return {published_ref(part) for cell, part in parts if folder_of(cell, part) == teachers_dir()}


def hindrance(view: CellView) -> DeltError | None:
    """Return what a number lacks that no computing here makes up for; None where it can be made.

    That is an outside network, or a network of other data where that data is not here either. A number's own data is
    looked for by :func:`blocked`, and published weights may be fetched before it is asked.
    """
    cell = view.cell
    if cell is None or not view.is_open:
        return None
    try:
        if judge_of(cell):
            judge_file(cell)
    except CheckpointError as error:
        return error
    for part in missing_networks(cell, has_images=view.recovered is not None):
        if part.dataset != cell.experiment.dataset and place_of(part.dataset).state in _BLOCKED:
            ref, place = published_ref(part), place_of(part.dataset)
            other = f" Its weights are fetched with `{add_command(ref)}`." if ref else ""
            return DataError(
                f"{role_of(cell, part)}: there is no {part.network} for {place.title} at {part.image_size} px, nor the "
                f"images to train one on. {place.note}{other}"
            )
    return None


def needed_datasets(view: CellView) -> set[str]:
    """Return the datasets that a number's missing work reads: its own, and those of networks to be trained first.

    Networks whose weights are published may be fetched; see :func:`hindrance`.
    """
    cell = view.cell
    if cell is None or not view.is_open or cell.measure == "parameters":
        return set()
    networks = missing_networks(cell, has_images=view.recovered is not None)
    return {cell.experiment.dataset, *(part.dataset for part in networks if not published_ref(part))}


def blocked(cells: Iterable[CellView]) -> dict[str, Place]:
    """Return the datasets that open cells need and that somebody has to put in place first."""
    names = sorted({name for one in cells for name in needed_datasets(one)})
    return {name: place for name in names if (place := place_of(name)).state in _BLOCKED}


def waits(view: CellView, datasets: Collection[str]) -> bool:
    """Return whether a number needs one of some datasets that are to be put in place first."""
    return not needed_datasets(view).isdisjoint(datasets)


def ready_part(cells: Iterable[CellView], datasets: Collection[str]) -> tuple[str, list[CellView]]:
    """Return the words of ``--only`` that leave the most open numbers of which none waits, and these.

    The words are datasets, and where each of these has numbers that wait, also students, methods, teachers or images a
    class. Without such a choice they are "", and there are no numbers.

    Args:
        cells: of which those that are open count.
        datasets: those that are to be put in place first.
    """
    todo = [one for one in cells if one.is_open]
    waiting = [waits(one, datasets) for one in todo]
    ready = [one for one, is_waiting in zip(todo, waiting, strict=True) if not is_waiting]
    others = [one for one, is_waiting in zip(todo, waiting, strict=True) if is_waiting]
    own = _values(ready, "dataset")
    choices = [{"dataset": own - _values(others, "dataset")}]
    near = [one for one in others if axis(one.value, "dataset") in own]
    choices += [{"dataset": own, name: _values(ready, name) - _values(near, name)} for name in _AXES]
    parts = [[one for one in ready if _is_of(one, choice)] for choice in choices]
    choice, part = max(zip(choices, parts, strict=True), key=lambda pair: len(pair[1]))
    words = ",".join(f"{name}={'+'.join(sorted(values))}" for name, values in choice.items())
    return (words, part) if part else ("", [])


def _values(cells: Sequence[CellView], name: str) -> set[str]:
    return {axis(one.value, name) for one in cells} - {""}


def _is_of(view: CellView, choice: Mapping[str, set[str]]) -> bool:
    return all(axis(view.value, name) in values for name, values in choice.items())
