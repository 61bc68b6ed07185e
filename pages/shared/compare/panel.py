"""Compare: up to four runs, the same image of each above one another under one slider, and their numbers beside it.

The one comparer of the app: of a rerun with the run it repeats, in the gallery, and of runs that were ticked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from delt_engine.runs.store import Run
from pages.shared import address, controls, errors
from pages.shared.compare import alignment, numbers
from pages.shared.compare.film import class_numbers, common_classes, film, same_starts, swiped, tile
from pages.shared.gallery.grid import Look, Row, gallery_grid
from pages.shared.wording import count, long_title, run_title

MOST_RUNS = 4
ALL = ""
CLASSES_SHOWN = 10
VIEWS = {"above": "Above one another", "swipe": "Swipe"}
SIZES = {"M": 96, "L": 160, "XL": 256}


def draw(runs: Sequence[Run], page: str, names: Sequence[str] = ()) -> None:
    """Draw everything for a page that is about nothing else: choices, images, numbers.

    Args:
        runs: two to four; one that cannot be read, or has no images, is said and left out of the images.
        page: begins the keys of the widgets.
        names: what each run is here, such as "this run".
    """
    readable = usable(runs)
    if len(readable) < 2:
        return
    class_names = images(readable, page, names=names)
    with errors.contained("The comparison"):
        numbers.draw(readable, class_names)


def choose_others(main: Run, runs: Sequence[Run], key: str, usual: Sequence[str] = ()) -> list[Run]:
    """Draw the choice of the runs to compare one with, of those that share a class with it, and return them."""
    names = set(class_numbers(main))
    fitting = [run for run in runs if run != main and (not names or names & set(class_numbers(run)))]
    titles = {run.id: long_title(run) for run in fitting}
    most = MOST_RUNS - 1
    empty = "Another run" if titles else "No other run has these classes"
    look = {"max_selections": most, "placeholder": empty, "disabled": not titles, "usual": usual}
    chosen = controls.linked_choices("vs", "Compare with", titles, key, most=most, **look)
    return [run for name in chosen for run in fitting if run.id == name]


def usable(runs: Sequence[Run]) -> list[Run]:
    """Return the runs that can be read, and say which cannot."""
    for run in runs:
        errors.show(run.unreadable)
    return [run for run in runs if not run.unreadable]


def images(runs: Sequence[Run], page: str, names: Sequence[str] = (), line: Any = None) -> list[str]:
    """Draw the images of the runs with the choices of class and view, in a ``line`` of others where there is one.

    Returns:
        The classes shown.
    """
    with_images = [run for run in runs if run.record().kind == "recover"]
    common = common_classes(with_images)
    if len(with_images) < 2 or not common:
        numbers.draw_summary(runs, [], names)
        one = "have no class in common" if len(with_images) > 1 else "are not all runs that make images"
        st.caption(f"These {one}, so there is nothing to see side by side.")
        return []
    with line or st.container(horizontal=True, vertical_alignment="bottom"):
        class_names = _choose_classes(common, page)
        with st.popover("View", icon=":material/tune:", key=f"{page}/look"):
            mode, view = choose_look(with_images, page)
            shown = SIZES[controls.linked_choice("size", "Image size", list(SIZES), f"{page}/size", segmented=True)]
    with errors.contained("The comparison"):
        numbers.draw_summary(runs, class_names, names)
    grid(with_images, class_names, page, mode=mode, view=view, shown=shown)
    return class_names


def _choose_classes(common: Sequence[str], page: str) -> list[str]:
    """Draw the choice of a class or all, and of a page where there are many; return those to show."""
    options = {ALL: f"All {len(common):,}", **{name: name for name in common}}
    chosen = controls.linked_choice("cls", "Class", options, f"{page}/class", width=220)
    return [chosen] if chosen else page_of(common, page)


def page_of(class_names: Sequence[str], page: str) -> list[str]:
    """Draw the choice of a page of classes where there are many, and return those on it."""
    pages = max(1, -(-len(class_names) // CLASSES_SHOWN))
    at = min(st.pagination(pages, key=f"{page}/classes"), pages) if pages > 1 else 1
    return list(class_names[CLASSES_SHOWN * (at - 1) : CLASSES_SHOWN * at])


def choose_look(runs: Sequence[Run], page: str) -> tuple[str, str]:
    """Draw the choice of what the slider counts from, and of the view of two runs; return both."""
    words = "End: iterations before the end of each run. Iteration: since its start. Share: the same part of each."
    look = {"segmented": True, "help": words}
    mode = controls.linked_choice("align", "Aligned by", alignment.MODES, f"{page}/align", **look)
    if len(runs) != 2:
        return mode, "above"
    return mode, controls.linked_choice("show", "Show", VIEWS, f"{page}/compare", segmented=True)


def grid(
    runs: Sequence[Run],
    class_names: Sequence[str],
    page: str,
    *,
    mode: str = "end",
    view: str = "above",
    shown: int = 96,
    indices: Sequence[int] | None = None,
    selected: str = "",
    on_pick: Callable[[], None] | None = None,
) -> None:
    """Draw the images under their slider, at its end; where it rests stands in the address."""
    made, places = film(runs, class_names, mode, shown=shown, indices=indices)
    key, at = f"{page}/compared", f"{page}/at"
    ticks = [alignment.tick(place, mode) for place in places]
    address.restore("at", at, address.member(ticks))
    rest = st.session_state.get(at)
    letters = [f"{letter}: {run_title(run.experiment)}" for letter, run in zip("ABCD", runs, strict=False)]
    is_swiped = view == "swipe" and len(runs) == 2
    rows = swiped(made, letters) if is_swiped else made.rows
    gallery_grid(
        rows if class_names else [Row("", (), empty="No class to show.")],
        made.sheets,
        key=key,
        look=Look(
            tile=tile(runs[0], shown),
            shown=shown,
            slider=True,
            layout="grid",
            follow=True,
            swipe=tuple(letters) if is_swiped else (),
        ),
        frames=made.frames,
        frame=ticks.index(rest) if rest in ticks else len(places) - 1,
        selected=selected,
        on_pick=on_pick,
        on_frame=lambda: _rest(at, ticks, st.session_state[key]["frame"]),
    )
    address.publish("at", at, st.session_state.get(at) or "")
    _captions(runs, class_names)


def _rest(key: str, ticks: Sequence[str], frame: float) -> None:
    """Keep where the slider rests; at its end it follows the run."""
    number = int(frame)
    st.session_state[key] = ticks[number] if number < len(ticks) - 1 else None


def _captions(runs: Sequence[Run], class_names: Sequence[str]) -> None:
    """Say what of the runs is left out, and whether images above one another have the same start."""
    ipcs = sorted({run.experiment.recover.ipc for run in runs})
    said = []
    if len(ipcs) > 1:
        said.append(f"The runs have {' and '.join(map(count, ipcs))} images a class: shown are the first {ipcs[0]}.")
    known = {run.id: set(run.class_names[number] for number in run.classes) for run in runs if run.classes}
    alone = len(set.union(*known.values()) - set.intersection(*known.values())) if known else 0
    if alone:
        said.append(f"Left out: {count(alone)} class{'' if alone == 1 else 'es'} that not all of them have.")
    start = same_starts(runs, class_names[0]) if class_names else None
    if start is not None:
        said.append(
            "Images above one another start from the same patch."
            if start
            else "Images above one another have the same number, but not all start from the same patch."
        )
    if said:
        st.caption(" ".join(said))
