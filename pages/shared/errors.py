"""The one place that shows an error of the engine: a sentence, never a stack trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st

from delt_engine.errors import DeltError
from pages.shared.wording import plain, said


def show(error: DeltError | str | None) -> None:
    """Show the error's sentence, where there is one."""
    if error:
        st.error(said(str(error)), icon=":material/error:")


def attempt(place: str, deed: Callable[..., Any], *arguments: Any) -> None:
    """Do what a button's callback does; a DeltError is kept until :func:`show_failed` of the same place."""
    try:
        deed(*arguments)
    except DeltError as error:
        st.session_state[f"errors/{place}"] = str(error)


def show_failed(place: str) -> None:
    """Show, once, what went wrong in a callback of this place."""
    show(st.session_state.pop(f"errors/{place}", None))


@contextmanager
def shown() -> Iterator[None]:
    """Show a DeltError raised inside and end the page there; every other error is a mistake of ours and passes."""
    try:
        yield
    except DeltError as error:
        show(error)
        st.stop()


@contextmanager
def contained(what: str) -> Iterator[None]:
    """Show that something foreign on the disk cannot be drawn, and go on: one odd run hides no other, nor its buttons.

    Files that others wrote can be wrong in any way, so here every error counts; Streamlit's own signals pass.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 (see above)
        reason = str(error) if isinstance(error, DeltError) else f"{type(error).__name__}: {error}"
        st.caption(f":red[{plain(what)} holds what cannot be read: {plain(reason)}]")
