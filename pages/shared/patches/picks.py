"""Pins and drops: patches taken or left out by hand, kept in the draft so that a run started from it uses them.

Pins and drops are rows of one ranking. They hold for that ranking only; for another one they are named and left out.
"""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from delt_engine.config import SelectConfig
from delt_engine.patches.ranking import Ranking
from pages.shared.controls import button
from pages.shared.session import session
from pages.shared.wording import count

FULL = "patches/full"
"""Set when there was no room for all that was to be pinned."""


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
