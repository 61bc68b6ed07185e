"""Signing in, where the server asks for it: who the visitor is, and whether to look is all that the visitor may do.

It is off until ``.streamlit/secrets.toml`` has an ``[auth]`` section, which is Streamlit's own OpenID Connect. A
section ``[roles]`` beside it says who may what: ``run`` and ``look`` list values of the claim ``claim`` (``email`` when
not given), an ending such as ``@example.org``, or ``*`` for everybody. Without it everybody who signs in may look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import streamlit as st

from delt_engine import access
from delt_engine.errors import AccessError
from pages.shared import streamlit_internals
from pages.shared.wording import plain

Role = Literal["run", "look", ""]
"""What a visitor may do: everything; see everything and change nothing; nothing at all."""


_was_asked_for = False


def is_asked_for() -> bool:
    """Return whether visitors have to sign in.

    Once it was asked for, it is until the server ends, and it is where the secrets cannot be read: a slip in that file
    lets nobody in.
    """
    global _was_asked_for
    found = streamlit_internals.secrets()
    _was_asked_for = _was_asked_for or "auth" in (found or {})
    return _was_asked_for or found is None


def role_of(user: Mapping[str, Any]) -> Role:
    """Return the role of who signed in, by the claims of the provider.

    An address of e-mail that the provider calls unverified is nobody's.
    """
    found = streamlit_internals.secrets() or {}
    if "auth" not in found or not user.get("is_logged_in"):
        return ""
    rules = found.get("roles", {"look": ["*"]})
    claim = str(rules.get("claim", "email"))
    value = user.get(claim)
    if value is None or (claim == "email" and str(user.get("email_verified")).lower() == "false"):
        values = []
    else:
        values = [str(one).casefold() for one in (value if isinstance(value, (list, tuple)) else [value])]
    return next((role for role in ("run", "look") if _is_among(values, rules.get(role, ()))), "")


def _is_among(values: Iterable[str], rules: str | Iterable[str]) -> bool:
    listed = [str(rule).casefold() for rule in ([rules] if isinstance(rules, str) else rules)]
    return "*" in listed or any(
        value == rule or (rule.startswith("@") and value.endswith(rule)) for value in values for rule in listed
    )


def check_change(deed: str) -> None:
    """Refuse to let a visitor who may only look change something; see :func:`delt_engine.access.check_change`.

    Raises:
        AccessError: the visitor has another role.
    """
    if is_asked_for() and role_of(st.user) != "run":
        raise AccessError(f"role: yours is to look, and to {deed} takes the role 'run'; ask who runs this server.")


def refusal() -> str:
    """Return why the visitor may change nothing, for what would, "" where that is allowed."""
    if is_asked_for() and role_of(st.user) != "run":
        return "Your role is to look, and this takes the role 'run'; ask who runs this server."
    return ""


def enter() -> None:
    """Before a run is drawn: ask who it is where that is asked for, and end the page there for a stranger."""
    access.set_guard(check_change)
    if not is_asked_for():
        return
    access.share()
    if "auth" not in (streamlit_internals.secrets() or {}):
        st.error("The server's secrets.toml cannot be read, so nobody is let in; ask who runs it.")
        st.stop()
    role = role_of(st.user)
    if not st.user.is_logged_in:
        st.title("DELT Studio")
        st.write("Sign in to see the runs of this server.")
        st.button("Sign in", icon=":material/login:", key="sign_in/in", on_click=st.login, type="primary")
        st.stop()
    if not role:
        st.error(f"{plain(_name())} has no role on this server; ask who runs it.", icon=":material/lock:")
    with st.sidebar, st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{plain(_name())}{', may look' if role == 'look' else ''}", width="stretch")
        st.button("Sign out", key="sign_in/out", on_click=st.logout, type="tertiary")
    if not role:
        st.stop()


def _name() -> str:
    return str(st.user.get("name") or st.user.get("email") or "Somebody")
