"""Follow what is at work: a fragment that looks at the run folders again, and stops looking when all is over."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable

import streamlit as st

from pages.shared.streamlit_internals import session_id

POLL_S = 1.0
"""Seconds between two looks at a run folder while few watch."""

WATCHERS_PER_CORE = 0.75
"""How many sessions a core is to serve at that pace; with more of them, each looks less often.

A run's threads wait for each other, so what looking takes of one core the run loses on all: ten sessions on two cores
at this pace cost it 2 to 4 %.
"""

MOST_STRETCHED = 10
_PRESENT_S = 3 * MOST_STRETCHED * POLL_S
_seen: dict[str, float] = {}


def follow(is_active: Callable[[], bool], draw: Callable[[], None], poll_s: float = POLL_S) -> None:
    """Draw, again every ``poll_s`` seconds while something is active, and the whole page once when that begins or ends.

    Looks of many sessions would take the run's own cores, so the more there are, the longer the time between two.
    """
    was_active, slowness = is_active(), _slowness(watchers())

    @st.fragment(run_every=poll_s * slowness if was_active else None)
    def view() -> None:
        if is_active() == was_active:  # else the whole page is next, and would draw a button anew under a hand
            draw()
        if is_active() != was_active or (was_active and _slowness(watchers()) != slowness):
            st.rerun()

    view()


def watchers() -> int:
    """Return how many sessions follow something now, this one among them."""
    here, now = session_id(), time.monotonic()
    if here is not None:
        _seen[here] = now
    for session in [name for name, last in list(_seen.items()) if now - last > _PRESENT_S]:
        _seen.pop(session, None)
    return max(1, len(_seen))


def _slowness(sessions: int, cores: int | None = None) -> int:
    """Return by how much the time between two looks is stretched.

    >>> _slowness(1, 2), _slowness(3, 2), _slowness(10, 2), _slowness(10, 16)
    (1, 2, 7, 1)
    """
    return min(MOST_STRETCHED, math.ceil(sessions / (WATCHERS_PER_CORE * (cores or os.cpu_count() or 1))))
