"""The control of MI and RI: a slider and a number each, which follow each other so that RI always divides MI.

The browser sends both numbers, which one was moved, and a word of its own; the answer carries that word back. So a
move is taken once, by a callback before the page is drawn, and the browser passes over answers to older words. What it
may still say of a pair that was replaced here, by a preset for instance, is a word that was taken long before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from delt_engine.config import RecoverConfig
from delt_engine.config.doubts import rounds_doubt
from delt_engine.config.schedule import EarlyLateSchedule
from pages.shared.component import component
from pages.shared.controls import button, help_text, spec_of
from pages.shared.recover import pairs
from pages.shared.recover.pairs import Name, Pair
from pages.shared.wording import count, plural

_component = component("rounds")
_ABOUT: dict[Name, str] = {"iterations": "what the first images get", "round_iterations": "between two rounds"}
_TAKEN = "{}/taken"


def draw(schedule: EarlyLateSchedule, place: str, take: Callable[[int, int], None]) -> bool:
    """Draw MI and RI of a schedule, and return whether both numbers that stand there were taken.

    ``take`` is called with a new pair, before the page is drawn. ``place`` tells one control from another.
    """
    key = f"rounds/{place}"
    pair = st.session_state.get(_TAKEN.format(key))
    if pair is None or (pair.iterations, pair.round_iterations) != (schedule.iterations, schedule.round_iterations):
        pair = Pair(schedule.iterations, schedule.round_iterations)  # it was changed from elsewhere
    lines = {name: _line(name, pair) for name in pairs.SHORT}
    data = {"answers": _said(key).get("word", ""), "said": pair.note, "lines": lines}
    _component(key=key, data=data, on_moved_change=lambda: _moved(key, schedule, take))
    _warn(schedule, f"{key}/fewer", take)
    return pair.refused is None


def _said(key: str) -> dict[str, Any]:
    return (st.session_state.get(key) or {}).get("moved") or {}


def _line(name: Name, pair: Pair) -> dict[str, object]:
    spec, value = spec_of(RecoverConfig, name), getattr(pair, name)
    is_mi, rounds = name == "iterations", pair.iterations // pair.round_iterations
    return {
        "title": spec.title,
        "help": help_text(spec),
        "value": value,
        "options": tuple(pairs.scale(value) if is_mi else sorted({value, *pairs.divisors(pair.iterations)})),
        "step": pair.round_iterations if is_mi else 10 ** (len(str(value)) - 1),
        "note": _ABOUT[name] if is_mi else f"{_ABOUT[name]}: {plural(rounds, 'round')}",
        "refused": pair.refused[1] if pair.refused and pair.refused[0] == name else "",
    }


def _moved(key: str, now: EarlyLateSchedule, take: Callable[[int, int], None]) -> None:
    """Take a move over: the other number counts as the browser has it, unless that is one that was refused."""
    said, known = _said(key), {name: getattr(now, name) for name in pairs.SHORT}
    sent = {name: int(said[name]) for name in known if name != said["name"] and pairs.is_allowed(said[name])}
    pair = pairs.moved(Pair(**known | sent), said["name"], said[said["name"]])
    if pair.refused is None:
        take(pair.iterations, pair.round_iterations)
    else:
        pair = Pair(**known, refused=pair.refused)
    st.session_state[_TAKEN.format(key)] = pair


def _warn(schedule: EarlyLateSchedule, key: str, take: Callable[[int, int], None]) -> None:
    """Warn of more rounds than images, with the RI that mends it as one click."""
    length = pairs.fewer_rounds(schedule)
    with st.container(key=key, gap="xsmall"):  # there in either case, so that what follows stays what it is
        if length is not None:
            st.warning(rounds_doubt(schedule), icon=":material/low_priority:")
            mended = EarlyLateSchedule(schedule.ipc, schedule.iterations, length)
            label = f"Set RI {count(length)}: {plural(mended.num_rounds, 'round')}, saves {mended.saved_percent:.1f} %"
            button(label, "auto_fix_high", f"{key}/set", take, schedule.iterations, length)
