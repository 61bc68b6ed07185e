"""State in the page's address: which run, class, image and round are shown, so that a link opens the same view.

A parameter that changed since it was last written here (a link, the browser's back button, a reload) wins over the
widget; otherwise the widget wins and the address follows it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st


def restore(name: str, key: str, read: Callable[[str], Any] = str) -> None:
    """Before the widget is drawn: take over what the address says, when that is news.

    Args:
        name: the parameter, for instance "run".
        key: the widget's key.
        read: turns the text into the widget's value; ValueError leaves the widget as it is.
    """
    given = st.query_params.get(name)
    if given is None or given == st.session_state.get(_written(key)):
        return
    st.session_state[_written(key)] = given
    try:
        st.session_state[key] = read(given)
    except ValueError:
        st.session_state.pop(key, None)


def publish(name: str, key: str, value: Any) -> None:
    """After the widget is drawn: let the address say ``value``; "" takes the parameter away."""
    text = str(value)
    st.session_state[_written(key)] = text
    if text:
        if st.query_params.get(name) != text:
            st.query_params[name] = text
    elif name in st.query_params:
        del st.query_params[name]


def member(options: list[str]) -> Callable[[str], str]:
    """Return a reader that takes one of ``options`` only."""

    def read(text: str) -> str:
        if text not in options:
            raise ValueError(text)
        return text

    return read


def _written(key: str) -> str:
    return f"address/{key}"
