"""MI and RI as a pair that cannot be broken: MI moves in steps of RI, and each follows when the other is typed.

The browser sends the values of all widgets with every change of one. What it sends between a value's being put here
and its arrival there still holds the value from before, which Streamlit takes for a move of the reader's. Such an echo
is a value that was just replaced, coming back before the browser can have drawn the new one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import streamlit as st

from delt_engine.config import RecoverConfig
from pages.shared.controls import help_text, spec_of
from pages.shared.session import prime
from pages.shared.wording import count, plural

MOST_ROUNDS = 50
"""Rounds offered at most; the command line takes any number."""

_PUTS = "delt/put"
ARRIVAL_SECONDS = 1.0
"""Time a value may need from the page's being drawn to the browser's next word; nobody reads it and answers sooner."""

_SLIDER = "delt/rounds"
"""Number of the newest slider of rounds, and what it is for."""


def divisors(iterations: int) -> list[int]:
    """Return the RI values offered for an MI: its divisors with 1 to 50 rounds, ascending.

    >>> divisors(40)
    [1, 2, 4, 5, 8, 10, 20, 40]
    """
    small = [d for d in range(1, int(iterations**0.5) + 1) if iterations % d == 0]
    both = sorted({*small, *(iterations // d for d in small)})
    return [d for d in both if iterations // d <= MOST_ROUNDS]


def nearest(options: list[int], iterations: int, wanted: int) -> int:
    """Return the RI to keep when MI changed: the same if it still divides, else the nearest number of rounds.

    >>> nearest(divisors(300), 300, 50), nearest(divisors(210), 210, 50)
    (50, 42)
    """
    return wanted if wanted in options else min(options, key=lambda d: abs(iterations / d - iterations / wanted))


def nearest_multiple(iterations: int, round_iterations: int, most: int) -> int:
    """Return the MI to take when RI was typed: the same if RI divides it, else the nearest multiple, at least RI.

    >>> nearest_multiple(4000, 1000, 10**6), nearest_multiple(4000, 600, 10**6), nearest_multiple(200, 300, 10**6)
    (4000, 4200, 300)
    """
    rounds = min(max(1, round(iterations / round_iterations)), most // round_iterations)
    return rounds * round_iterations


def rounds_control(recover: RecoverConfig, page: str) -> dict[str, int]:
    """Draw MI, RI and the number of rounds, and return a pair that fits; whichever is moved, the others follow.

    MI typed: RI stays if it divides, else the nearest number of rounds is kept. RI typed: MI becomes a multiple of it.
    Rounds moved: RI becomes MI / rounds.
    """
    mi_key, ri_key = f"{page}/iterations", f"{page}/round_iterations"
    mi_spec, ri_spec = (spec_of(RecoverConfig, name) for name in ("iterations", "round_iterations"))
    most = int(mi_spec.maximum or 0)
    for key, value in ((mi_key, recover.iterations), (ri_key, recover.round_iterations)):
        prime(key, value)
        if not settle(key):  # just emptied; a value set again would overwrite what is being typed
            st.session_state[key] = value
    if st.session_state[mi_key] % st.session_state[ri_key]:
        _fit_ri(mi_key, ri_key)
    state, look = st.session_state, {"min_value": 1, "max_value": most}
    left, right = st.columns(2, vertical_alignment="bottom")
    with left:
        moved = {"on_change": _mi_moved, "args": (mi_key, ri_key), "help": f"{help_text(mi_spec)} Steps by RI."}
        step = int(state[ri_key])
        iterations = int(st.number_input(mi_spec.title, value=state[mi_key], step=step, key=mi_key, **look, **moved))
    with right:
        moved = {"on_change": _ri_moved, "args": (mi_key, ri_key, most), "help": help_text(ri_spec)}
        step = 10 ** (len(str(int(state[ri_key]))) - 1)  # the power of ten that fits into it a few times
        length = int(st.number_input(ri_spec.title, value=state[ri_key], step=step, key=ri_key, **look, **moved))
    pair = {"iterations": iterations, "round_iterations": length}
    rounds = iterations // length
    options = sorted({rounds, *(iterations // d for d in divisors(iterations))})
    if len(options) == 1:
        drawn(mi_key, ri_key)
        st.caption(f"One round: MI {count(iterations)} has no divisor that gives 2 to {MOST_ROUNDS} rounds.")
        return pair
    rounds_key = _slider_key(page, (iterations, len(options)), rounds)
    st.select_slider(
        "Rounds (MI / RI)",
        options=options,
        value=rounds,
        key=rounds_key,
        on_change=_rounds_moved,
        args=(mi_key, ri_key, rounds_key, iterations),
        help="Moves RI among the numbers that divide MI.",
        format_func=lambda k: f"{plural(k, 'round')} of {count(iterations // k)}",
    )
    drawn(mi_key, ri_key)
    return pair


def _mi_moved(mi_key: str, ri_key: str) -> None:
    if not is_echo(mi_key) and st.session_state[mi_key] and settle(ri_key):
        _fit_ri(mi_key, ri_key)


def _fit_ri(mi_key: str, ri_key: str) -> None:
    iterations, wanted = int(st.session_state[mi_key]), int(st.session_state[ri_key])
    if iterations % wanted:
        put(ri_key, nearest(divisors(iterations), iterations, wanted))


def _ri_moved(mi_key: str, ri_key: str, most: int) -> None:
    if not is_echo(ri_key) and st.session_state[ri_key] and settle(mi_key):
        iterations = int(st.session_state[mi_key])
        put(mi_key, nearest_multiple(iterations, int(st.session_state[ri_key]), most))


def _slider_key(page: str, positions: tuple[int, int], rounds: int) -> str:
    """Return the key of a slider with these positions that stands at ``rounds``.

    Where the one on the page does not, it is a new slider: what the browser still says of the old one, whenever that
    comes, is then no move of the new one.
    """
    number, before = st.session_state.get(_SLIDER, (0, None))
    if before != (page, positions) or st.session_state.get(f"{page}/rounds/{number}") != rounds:
        number += 1
        st.session_state[f"{page}/rounds/{number}"] = rounds
    st.session_state[_SLIDER] = (number, (page, positions))
    return f"{page}/rounds/{number}"


def _rounds_moved(mi_key: str, ri_key: str, rounds_key: str, iterations: int) -> None:
    """Take over the number of rounds; a slider that is not on the page any more has nothing to say."""
    number, _ = st.session_state[_SLIDER]
    if rounds_key.endswith(f"/{number}") and settle(mi_key) == iterations:
        put(ri_key, iterations // int(st.session_state[rounds_key]))


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
    return st.session_state.setdefault(_PUTS, {})
