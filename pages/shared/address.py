"""State in the page's address: which run, class, image and round are shown, so that a link opens the same view.

A parameter that changed since it was last written here (a link, the browser's back button, a reload) wins over the
widget; otherwise the widget wins and the address follows it. The browser sends its address with every word it says,
and until a newly written one has arrived there it still sends the one before: that is no link. Once it has sent the
newest, whatever else it sends is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import streamlit as st

from pages.shared.streamlit_internals import is_back_button
from pages.shared.wording import plain

_PAGE, _REPLACED = "address/page", "address/replaced"


def arrive(page: str) -> None:
    """Say which page is drawn; all that stands in the address when the reader comes to it is news."""
    if st.session_state.get(_PAGE) != page:
        st.session_state[_PAGE] = page
        forget_replaced()


def forget_replaced() -> None:
    """Take whatever the browser says next for a link."""
    st.session_state[_REPLACED] = {}


def restore(name: str, key: str, read: Callable[[str], Any] = str) -> None:
    """Before the widget is drawn: take over what the address says of the parameter ``name``, when that is news.

    ``read`` turns the text into the widget's value; its ValueError lets the widget start anew.
    """
    given, written = st.query_params.get(name), st.session_state.get(_written(key))
    if (given or "") == (written or ""):
        _replaced().pop(key, None)  # the browser has what was written last
        return
    if given is None or (given in _replaced().get(key, ()) and not is_back_button()):
        return
    st.session_state[_written(key)] = given
    _replaced().pop(key, None)
    try:
        st.session_state[key] = read(given)
    except ValueError:
        st.session_state.pop(key, None)


def tell_stranger(name: str, key: str, options: Iterable[Any], what: str) -> None:
    """Before :func:`restore`: say so where the address asks for something that is not there, when that is news."""
    given = st.query_params.get(name)
    if given and given != st.session_state.get(_written(key)) and given not in _replaced().get(key, ()):
        try:
            member(options)(given)
        except ValueError:
            text = f"The link asks for the {what} {given!r}, which is not here; another one is shown."
            st.warning(plain(text), icon=":material/link_off:")


def publish(name: str, key: str, value: Any) -> None:
    """After the widget is drawn: let the address say ``value``; "" takes the parameter away."""
    text, before = str(value), st.session_state.get(_written(key))
    if before and before != text:
        _replaced()[key] = (*_replaced().get(key, ()), before)
    st.session_state[_written(key)] = text
    say(name, text)


def say(name: str, text: str) -> None:
    """Let the address say ``text``; "" takes the parameter away."""
    if not text:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != text:
        st.query_params[name] = text


def member(options: Iterable[Any]) -> Callable[[str], Any]:
    """Return a reader that takes the text of one of ``options`` only."""
    known = {str(option): option for option in options}

    def read(text: str) -> Any:
        if text not in known:
            raise ValueError(text)
        return known[text]

    return read


def _written(key: str) -> str:
    return f"address/{key}"


def _replaced() -> dict[str, tuple[str, ...]]:
    """Return, by widget, the values that were written over here and may still come from the browser."""
    return st.session_state.setdefault(_REPLACED, {})
