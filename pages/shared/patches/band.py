"""The figure of probabilities: a band that the patches are chosen from at once, and single patches to pin or drop.

The band is a setting of the draft and holds for every class. Pins and drops are rows of one ranking, kept in the draft
so that a run started from it uses them; for another ranking they are named and left out.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import streamlit as st

from delt_engine.config import SelectConfig
from delt_engine.config.methods import CORESETS, METHOD_TITLES
from delt_engine.patches.ranking import Ranking
from delt_engine.patches.selection import SelectedImage
from delt_engine.plots.data import patch_figure
from pages.shared.controls import button
from pages.shared.figure import described
from pages.shared.patches.rows import View
from pages.shared.session import prime, session
from pages.shared.wording import count

FIGURE, WINDOW, LASSO = "patches/figure", "patches/window", "patches/lasso"
WHOLE = (0.0, 1.0)
RULES = {
    "medium": "the {} around its median are chosen",
    "top": "the {} most probable of it are chosen",
    "min": "the {} least probable of it are chosen",
    "random": "{} drawn from it are chosen",
    **{name: f"the {{}} first of it by {METHOD_TITLES[name]} are chosen" for name in CORESETS},
}
"""How each criterion chooses in the band."""

FULL = "patches/full"
"""Set when there was no room for all that was to be pinned."""


def take_band() -> None:
    """Before anything is chosen: let the draft have the band that the reader made."""
    now = session().draft.select
    low, high = prime(WINDOW, (now.min_probability, now.max_probability))
    session().change("select", min_probability=low, max_probability=high)


def figure(view: View) -> None:
    """Draw the probabilities of the class: drag a band, click or lasso single patches, pin or drop them."""
    rank_of = {int(row): rank for rank, row in enumerate(view.rows)}
    picked = (view.config.pinned, view.config.dropped)
    pins, drops = ([rank_of[row] for row in rows if row in rank_of] for rows in picked)
    drawn = patch_figure(
        view.probabilities,
        {rank: image.start_round for rank, image in view.joins.items()},
        view.experiment.recover.schedule,
        window=st.session_state[WINDOW],
        pinned=pins,
        dropped=drops,
        iterations={rank: image.iterations for rank, image in view.joins.items()},
    )
    look = {"selection_mode": ("box", "lasso", "points"), "config": {"displaylogo": False}, "alt": described(drawn)}
    st.plotly_chart(drawn, key=FIGURE, on_select=take_drag, **look)
    ends = "Drag across the figure, or move the ends. Patches are chosen from the band in every class."
    st.slider("Band of probabilities", 0.0, 1.0, st.session_state[WINDOW], step=0.01, key=WINDOW, help=ends)
    _rule(view)
    _selected(view)
    _by_hand(view)
    _repeats(view)


def take_drag() -> None:
    """Read what was dragged or clicked in the figure: a box is a band, a lasso or a click selects single patches."""
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


def forget_selected() -> None:
    """Select no single patches any more."""
    st.session_state[LASSO] = ()


def widen() -> None:
    """Choose from all probabilities again."""
    st.session_state[WINDOW] = WHOLE


def selected_ranks(total: int) -> list[int]:
    """Return the ranks that a lasso or a click selected, of a class of so many patches."""
    return [rank for rank in st.session_state.get(LASSO, ()) if rank < total]


def ranks_in_band(view: View) -> list[int]:
    """Return the ranks of the class that are in the band, ascending."""
    low, high = np.float32(view.config.min_probability), np.float32(view.config.max_probability)
    return np.flatnonzero((view.probabilities >= low) & (view.probabilities <= high)).tolist()


def _rule(view: View) -> None:
    """Say how many are in the band and which of them are chosen."""
    inside, room = len(ranks_in_band(view)), view.room
    which = RULES[view.config.criterion].format(count(min(room, inside)))
    text = f"**{count(inside)} in the band**, {which}" if inside else "**None in the band**"
    if inside < room:
        text += f", then the {count(room - inside)} nearest to it"
    left, right = st.columns([4, 1.4], vertical_alignment="center")
    left.markdown(f"{text}. The same in every class.")
    if view.config.has_band:
        with right:
            button("Whole range", "", "patches/show_all", widen, type="tertiary")


def _selected(view: View) -> None:
    """Draw what can be done with single patches."""
    chosen = [int(view.rows[rank]) for rank in selected_ranks(len(view.rows))]
    if not chosen:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{count(len(chosen))} selected**", width="content")
        button("Pin", "push_pin", "patches/pin", pin, view.ranking, chosen, view.class_index, view.room)
        button("Drop", "block", "patches/drop", drop, view.ranking, chosen)
        button("Select none", "", "patches/select_none", forget_selected, type="tertiary")


def _by_hand(view: View) -> None:
    """Say what is pinned and dropped, and where the pinned ones join."""
    now = own(view.ranking)
    if st.session_state.pop(FULL, False):
        room = f"There is room for {count(view.room)} patches of this class"
        st.caption(f"{room}; raise the images per class or release some.")
    if not (now.pinned or now.dropped):
        return
    label = view.ranking.label
    pins, drops = (sum(label[row] == view.class_index for row in rows) for rows in (now.pinned, now.dropped))
    others = len(now.pinned) + len(now.dropped) - pins - drops
    parts = [f"{count(drops)} dropped"] * bool(drops) + [f"{count(others)} in other classes"] * bool(others)
    if pins:
        joined = [image for rank, image in view.joins.items() if view.mark(int(view.rows[rank])) == "pinned"]
        parts.insert(0, f"{count(pins)} pinned: {_joining(joined)}")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("; ".join(parts) + ".", width="stretch")
        button("Release all", "undo", "patches/release_all", clear, type="tertiary")


def _joining(images: list[SelectedImage]) -> str:
    """Say in which rounds images join and how many iterations they get."""
    each = sorted({(image.start_round, image.iterations) for image in images})
    said = [f"round {start} ({count(iterations)} iterations)" for start, iterations in each]
    return "joins in " + ", ".join(said) if len(images) == 1 else "join in " + ", ".join(said)


def _repeats(view: View) -> None:
    """Say how many patches are near-duplicates, and offer to keep one of each among the chosen ones."""
    if not view.twins:
        return
    ranks, _ = view.compared
    chosen = len(view.repeated)
    where = "of this class" if len(ranks) == len(view.rows) else "of the chosen ones"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        beside = f"{count(chosen)} chosen beside another" if chosen else "none is chosen beside another"
        st.caption(f"{count(len(view.twins))} {where} are near-duplicates, {beside}.", width="stretch")
        if chosen:
            what = "Drops the others from the choice; the next in line take their places."
            button("Keep one of each", "filter_1", "patches/keep_one", keep_one, view, help=what)


def keep_one(view: View) -> None:
    """Drop what repeats another chosen patch."""
    drop(view.ranking, view.left_out_repeats())


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
