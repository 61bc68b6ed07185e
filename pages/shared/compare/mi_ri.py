"""The grid of MI by RI: its choices, the film of its cells, and the way to it from a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

import streamlit as st

from delt_engine.config import RecoverConfig
from delt_engine.data.catalogue import find_entry
from delt_engine.jobs import mi_ri_grid, queue
from delt_engine.jobs.mi_ri_grid import GridCell
from delt_engine.runs.store import Run
from pages.shared import address, cached, controls, nav
from pages.shared.compare import alignment
from pages.shared.compare.film import cells, class_numbers, shots, tile
from pages.shared.controls import button
from pages.shared.gallery.grid import Film, Frame, Head, Look, Row, gallery_grid
from pages.shared.runs.progress import progress
from pages.shared.wording import count, long_title, ordinal, plain, plural

PAGE, GRID, PICKED = "grid", "grid/cells", "grid/cell"
MOST = {"mi": 5, "rounds": 6}
SHOWN = {"all": "All", "ends": "First and last"}
SIZES = {"S": 48, "M": 72, "L": 112}


def open_button(run: Run, page: str) -> None:
    """Draw the button that opens the grid of a run, where it optimises anything."""
    if run.classes and run.experiment.recover.is_optimised:
        what = "One class of this run with other MI and RI, cell by cell; nothing starts yet."
        if button("Grid of MI x RI", "grid_on", f"{page}/mi_ri/{run.id}", help=what):
            nav.go("explore/mi_ri_grid", run=run.id)


def choose_base(runs: Sequence[Run]) -> tuple[Run, str]:
    """Draw the choice of the base and of the class, and return them."""
    titles = {run.id: long_title(run) for run in runs}
    named = st.query_params.get("run")
    if named and named not in titles:
        st.warning(f"There is no run {plain(named)} that optimised images here, so this is another one.")
    left, right = st.columns([3, 2])
    with left:
        chosen = controls.linked_choice("run", "Run that the grid changes", titles, f"{PAGE}/run", always=True)
    base = next(run for run in runs if run.id == chosen)
    names, entry = list(class_numbers(base)), find_entry(base.experiment.dataset)
    first = entry.striking if entry and entry.striking in names else names[0]
    named = st.query_params.get("cls")
    if named and named not in names:
        st.warning(f"There is no class {plain(named)} in this run, so this is another one.")
    with right:
        return base, controls.linked_choice("cls", "Class", names, f"{PAGE}/class", default=first, always=True)


def choose_axes(base: Run, class_name: str) -> tuple[list[int], list[int], bool]:
    """Draw MI values, numbers of rounds, and what each cell recovers; return them, the last as "the class alone"."""
    recover = base.experiment.recover
    if st.session_state.get(f"{PAGE}/base", base.id) != base.id:  # another base has other lists
        for name in ("mi", "rounds"):
            st.session_state.pop(f"{PAGE}/{name}", None)
    st.session_state[f"{PAGE}/base"] = base.id
    first, second = mi_ri_grid.suggested(recover)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        most = controls.spec_of(RecoverConfig, "iterations").maximum
        found = _numbers("mi", "MI values", first, int(most or 10**6))
        rounds = _numbers("rounds", "Rounds, MI / RI", second, max(found or first))
        options = {"one": f"{class_name} alone", "all": f"All {len(base.classes):,} of the run"}
        chosen = "one"
        look = {
            "segmented": True,
            "help": "Classes of one batch share its statistics, so a class looks different alone.",
        }
        if len(base.classes) > 1:
            chosen = controls.linked_choice("classes", "Each cell recovers", options, f"{PAGE}/classes", **look)
        controls.linked_choice("show", "Images in a cell", SHOWN, f"{PAGE}/show", segmented=True)
        controls.linked_choice("size", "Image size", list(SIZES), f"{PAGE}/size", segmented=True)
    return found, rounds, chosen == "one"


def _numbers(name: str, label: str, usual: Sequence[int], highest: int) -> list[int]:
    """Draw a list of numbers as text, and return those that are allowed; what is not is said."""
    key, text = f"{PAGE}/{name}", ", ".join(map(str, usual))
    address.restore(name, key)
    st.session_state.setdefault(key, text)
    given = st.text_input(label, key=key, width=190, help=f"Numbers from 1 to {count(highest)}, with commas between.")
    address.publish(name, key, "" if given == text else given)
    words = [word for word in re.split(r"[,;\s]+", given) if word]
    found = sorted({int(word) for word in words if word.isdecimal() and 1 <= int(word) <= highest})
    wrong = [word for word in words if not word.isdecimal() or not 1 <= int(word) <= highest]
    if wrong:
        st.caption(f":red[{plain(', '.join(wrong))}: left out, not a number from 1 to {count(highest)}.]")
    if len(found) > MOST[name]:
        st.caption(f":red[{len(found)} given: the first {MOST[name]} count.]")
    return found[: MOST[name]] or list(usual)


def draw(base: Run, class_name: str, found: Sequence[GridCell], across: int) -> None:
    """Draw the cells under one slider, which counts the share of each run."""
    which, size = st.session_state.get(f"{PAGE}/show") or "all", SIZES[st.session_state.get(f"{PAGE}/size") or "S"]
    ipc = base.experiment.recover.ipc
    indices = list(range(ipc)) if which == "all" else sorted({0, ipc - 1})
    made, at = film(found, class_name, size, indices), f"{PAGE}/at"
    ticks = [frame.tick for frame in made.frames]
    address.restore("at", at, address.member(ticks))
    rest = st.session_state.get(at)
    gallery_grid(
        made.rows,
        made.sheets,
        key=GRID,
        look=Look(tile=tile(base, size), shown=size, slider=True, layout="matrix", columns=across),
        frames=made.frames,
        head=made.head,
        frame=ticks.index(rest) if rest in ticks else len(ticks) - 1,
        on_pick=lambda: st.session_state.update({PICKED: picked(found, str(st.session_state[GRID]["picked"]))}),
        on_frame=lambda: st.session_state.update({at: ticks[int(st.session_state[GRID]["frame"])]}),
    )
    address.publish("at", at, st.session_state.get(at) or "")


def film(found: Sequence[GridCell], class_name: str, shown: int, indices: Sequence[int]) -> Film:
    """Return the film of all cells, one row each; a run that is at work shows its newest images at the end."""
    numbers = [class_numbers(cell.shown).get(class_name) if cell.shown else None for cell in found]
    all_shots = [
        shots(cell.shown, [number]) if cell.shown and number is not None else None
        for cell, number in zip(found, numbers, strict=True)
    ]
    tracks = [one.track for one in all_shots if one]
    places = sorted({t.place(number, "share") for t in tracks for number in t.iterations} | {Fraction(0), Fraction(1)})
    made = Film(rounds=list(range(len(places))))
    made.frames = [Frame(alignment.label(place, "share"), alignment.tick(place, "share")) for place in places]
    rounds = list(dict.fromkeys(cell.rounds for cell in found))
    made.head = tuple(Head(1, plural(k, "round"), f"RI = MI / {k}" if k > 1 else "RI = MI") for k in rounds)
    for at, (cell, number, one) in enumerate(zip(found, numbers, all_shots, strict=True)):
        images = cells(made, one, number, [one.track.at(p, "share") for p in places], shown, indices) if one else []
        empty = cell.refusal or ("Starting" if cell.run else "Not run yet")
        row = Row(cell.title, tuple(images), _note(cell, number), empty=empty, link=f"cell/{at}" if cell.shown else "")
        made.rows.append(row if cell.experiment else Row(f"MI {cell.iterations:,}", (), empty=cell.refusal))
    return made


def _note(cell: GridCell, number: int | None) -> str:
    run = cell.shown
    if cell.experiment is None or run is None:
        return f"saves {cell.experiment.recover.schedule.saved_percent:.0f} %" if cell.experiment else ""
    said = [f"saves {cell.experiment.recover.schedule.saved_percent:.0f} %"]
    has_begun = number is not None and run.rounds_written(number)[-1:] > [0]
    value = cached.class_cosine(run, number) if number is not None and has_begun else None
    said += [f"cosine {value:z.3f}"] if value is not None else []
    if run.status != "finished":
        place = queue.place(run) if run.status == "queued" else None
        said.append(f"{ordinal(place)} in the queue" if place else f"{run.status}, {progress(run).text}")
    if cell.run is None:
        said.append(f"not run yet; this is one with all {len(run.classes):,} classes")
    return " · ".join(said)


def picked(found: Sequence[GridCell], what: str) -> str:
    """Return "MI-rounds" of the cell that a click on a title ("cell/2") or an image ("run/class/image") means."""
    first, *rest = what.split("/")
    cell = found[int(rest[0])] if first == "cell" else next(one for one in found if one.shown and one.shown.id == first)
    return f"{cell.iterations}-{cell.rounds}"


def chosen_cell(found: Sequence[GridCell]) -> GridCell | None:
    """Return the cell that was clicked or that the address names, None when none is or it has no run."""
    address.restore("cell", PICKED)
    name = st.session_state.get(PICKED) or ""
    cell = next((one for one in found if one.shown and f"{one.iterations}-{one.rounds}" == name), None)
    address.publish("cell", PICKED, name if cell else "")
    return cell
