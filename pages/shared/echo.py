"""Values a page puts into its widgets, told apart from what the browser says of them before it has received them.

The browser sends the values of all widgets with every change of one. What it sends between a value's being put here
and its arrival there still holds the value from before, which Streamlit takes for a move of the reader's. Such an echo
is a value that was just replaced, coming back before the browser can have drawn the new one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import streamlit as st

_KEY = "delt/put"
ARRIVAL_SECONDS = 1.0
"""Time a value may need from the page's being drawn to the browser's next word; nobody reads it and answers sooner."""


@dataclass
class _Put:
    value: Any
    replaced: tuple[Any, ...]
    drawn: float | None = None

    def is_under_way(self) -> bool:
        return self.drawn is None or time.monotonic() - self.drawn < ARRIVAL_SECONDS


def put(key: str, value: Any) -> None:
    """Set the widget ``key``; the value it replaces is an echo when it comes back before the new one has arrived."""
    before = st.session_state.get(key)
    if before == value:
        return
    puts = _puts()
    replaced = puts[key].replaced if key in puts and puts[key].is_under_way() else ()
    puts[key] = _Put(value, (*(old for old in replaced if old != value), before))
    st.session_state[key] = value


def settle(key: str) -> Any:
    """Return the value of the widget ``key``; where the browser's is an echo, set it to what was put before."""
    if key in st.session_state and is_echo(key):
        st.session_state[key] = _puts()[key].value
    return st.session_state.get(key)


def is_echo(key: str) -> bool:
    """Whether the value of the widget ``key`` is one that was replaced here and not a move of the reader's."""
    made = _puts().get(key)
    return made is not None and made.is_under_way() and st.session_state.get(key) in made.replaced


def drawn(*keys: str) -> None:
    """Say that these widgets were sent to the browser with the values they have now."""
    for key in keys:
        made = _puts().get(key)
        if made is not None and made.drawn is None:
            made.drawn = time.monotonic()


def _puts() -> dict[str, _Put]:
    if _KEY not in st.session_state:
        st.session_state[_KEY] = {}
    return st.session_state[_KEY]
