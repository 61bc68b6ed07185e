"""Picking in the figure of probabilities: drag a band, click or lasso single patches, and pin or drop them.

Pins and drops are rows of one ranking, kept in the draft so that a run started from it uses them. They hold for that
ranking only; for another one they are named and left out.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import streamlit as st

from delt_engine.config import SelectConfig
from delt_engine.patches.orders import median_order
from delt_engine.patches.ranking import Ranking
from delt_engine.plots.data import patch_figure
from pages.shared.controls import button
from pages.shared.patches.rows import View
from pages.shared.session import prime, session
from pages.shared.wording import count

FIGURE, WINDOW, LASSO = "patches/figure", "patches/window", "patches/lasso"
WHOLE = (0.0, 1.0)
FULL = "patches/full"
"""Set when there was no room for all that was to be pinned."""


def figure(view: View) -> None:
    """Draw the probabilities of the class: drag a band, click or lasso single patches, pin or drop them."""
    rank_of = {int(row): rank for rank, row in enumerate(view.rows)}
    picked = (view.config.pinned, view.config.dropped)
    pins, drops = ([rank_of[row] for row in rows if row in rank_of] for rows in picked)
    drawn = patch_figure(
        view.probabilities,
        {rank: image.start_round for rank, image in view.joins.items()},
        view.experiment.recover.schedule.num_rounds,
        window=st.session_state.get(WINDOW, WHOLE),
        pinned=pins,
        dropped=drops,
        iterations={rank: image.iterations for rank, image in view.joins.items()},
    )
    look = {"selection_mode": ("box", "lasso", "points"), "config": {"displaylogo": False}}
    st.plotly_chart(drawn, key=FIGURE, on_select=take_drag, **look)
    now = prime(WINDOW, WHOLE)  # the ends of the band for the keyboard
    st.slider("Band of probabilities", 0.0, 1.0, now, step=0.01, key=WINDOW, help="Or drag across the figure.")
    _bar(view, picked_ranks(view.probabilities))


def take_drag() -> None:
    """Read what was dragged or clicked in the figure: a box is a band, a lasso or a click single patches."""
    event = (st.session_state.get(FIGURE) or {}).get("selection") or {}
    boxes = event.get("box") or []
    if boxes:
        ends = [float(x) for x in boxes[-1]["x"]]
        st.session_state[WINDOW] = tuple(round(min(1.0, max(0.0, end)), 2) for end in (min(ends), max(ends)))
        st.session_state[LASSO] = ()
        return
    found = [point.get("customdata") for point in event.get("points") or []]
    ranks = (one[0] if isinstance(one, (list, tuple)) else one for one in found if one is not None)
    st.session_state[LASSO] = tuple(sorted({int(rank) for rank in ranks}))


def forget_drag() -> None:
    """Look at the whole class again."""
    st.session_state[WINDOW], st.session_state[LASSO] = WHOLE, ()


def picked_ranks(probabilities: np.ndarray) -> np.ndarray | None:
    """Return the ranks that are picked, ascending: those of a lasso or click, else those in the band; None for all."""
    lasso = [rank for rank in st.session_state.get(LASSO, ()) if rank < len(probabilities)]
    if lasso:
        return np.array(lasso)
    low, high = st.session_state.get(WINDOW, WHOLE)
    return None if (low, high) == WHOLE else np.flatnonzero((probabilities >= low) & (probabilities <= high))


def _bar(view: View, ranks: np.ndarray | None) -> None:
    ranking, room = view.ranking, view.room
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if ranks is not None:
            chosen = [int(view.rows[rank]) for rank in ranks]
            st.markdown(f"**{count(len(chosen))} picked**", width="content")
            some = f"Pin {count(len(chosen))}" if len(chosen) <= room else f"Pin the middle {count(room)}"
            middle = [chosen[at] for at in median_order(len(chosen))][:room]
            nothing = {"disabled": not chosen}
            button(some, "push_pin", "patches/pin", pin, ranking, middle, view.class_index, room, **nothing)
            button("Drop", "block", "patches/drop", drop, ranking, chosen, **nothing)
            button("Show all", "", "patches/show_all", forget_drag, type="tertiary")
        now = own(ranking)
        if now.pinned or now.dropped:
            pins, drops = (sum(ranking.label[row] == view.class_index for row in r) for r in (now.pinned, now.dropped))
            more = len(now.pinned) + len(now.dropped) - pins - drops
            others = f", {count(more)} in others" if more else ""
            st.caption(f"{pins} pinned and {drops} dropped in this class{others}", width="content")
            button("Release all", "undo", "patches/release_all", clear, type="tertiary")
    if st.session_state.pop(FULL, False):
        st.caption(
            f"There is room for {count(room)} patches of this class; raise the images per class or release some."
        )


def settings(ranking: Ranking) -> SelectConfig:
    """Return the draft's settings as they hold for this ranking, and say so when its picks belong to another one."""
    chosen = session().draft.select
    if not (chosen.pinned or chosen.dropped) or chosen.picked_from == ranking.key:
        return chosen
    with st.container(horizontal=True, vertical_alignment="center"):
        st.warning(
            f"{count(len(chosen.pinned) + len(chosen.dropped))} patches were pinned or dropped in another ranking "
            "(other crops, seed, teacher or data), where the same rows are other patches; a run would refuse them.",
            icon=":material/push_pin:",
        )
        button("Leave them out", "", "patches/stale", clear)
    return chosen.replace(pinned=(), dropped=(), picked_from="")


def clear() -> None:
    """Take back every pin and drop."""
    session().change("select", pinned=(), dropped=(), picked_from="")


def pin(ranking: Ranking, rows: Iterable[int], class_index: int, room: int) -> None:
    """Pin patches of a class as far as there is room for them."""
    now, wanted = own(ranking), list(dict.fromkeys(int(row) for row in rows))
    taken = sum(ranking.label[row] == class_index for row in now.pinned)
    asked = [row for row in wanted if row not in now.pinned]
    new = asked[: max(0, room - taken)]
    st.session_state[FULL] = len(asked) > len(new)
    _store(ranking, (*now.pinned, *new), tuple(row for row in now.dropped if row not in new))


def drop(ranking: Ranking, rows: Iterable[int]) -> None:
    """Drop patches; the next in line take their places."""
    now, new = own(ranking), [int(row) for row in rows]
    pinned = tuple(row for row in now.pinned if row not in new)
    _store(ranking, pinned, tuple(dict.fromkeys((*now.dropped, *new))))


def release(ranking: Ranking, rows: Iterable[int]) -> None:
    """Let the criterion decide again about patches."""
    now, gone = own(ranking), {int(row) for row in rows}
    _store(ranking, *(tuple(row for row in picked if row not in gone) for picked in (now.pinned, now.dropped)))


def own(ranking: Ranking) -> SelectConfig:
    """Return the draft's settings, without picks that belong to another ranking."""
    now = session().draft.select
    return now if now.picked_from == ranking.key else now.replace(pinned=(), dropped=())


def _store(ranking: Ranking, pinned: tuple[int, ...], dropped: tuple[int, ...]) -> None:
    key = ranking.key if pinned or dropped else ""
    session().change("select", pinned=pinned, dropped=dropped, picked_from=key)
