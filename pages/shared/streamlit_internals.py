"""The parts of Streamlit 1.67 that are not documented and that the app needs, each with its reason.

Nothing else in the app imports from ``streamlit.runtime`` or ``streamlit.web``, so that an upgrade of Streamlit is
checked here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import streamlit as st
from streamlit import runtime
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.web.server.starlette import starlette_websocket
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME


def is_script_run() -> bool:
    """Whether app.py is run for a visitor; else `streamlit run` reads it to find the app's own routes."""
    return runtime.exists()


def claim_pages_folder() -> None:
    """Keep Streamlit from reading the folder ``pages/`` as its own list of pages.

    It does so until a first script run has called ``st.navigation``; a link to a page that is opened on a fresh server
    would be answered with "Page not found". There is no public setting for it.
    """
    PagesManager.uses_pages_directory = False


def session_id() -> str | None:
    """Return what tells this visitor from others, None outside a script run; ``st.context`` does not say it."""
    context = get_script_run_ctx(suppress_warning=True)
    return context.session_id if context else None


def is_back_button() -> bool:
    """Whether the browser's back or forward button led here; a link and a late answer look the same without it."""
    context = get_script_run_ctx(suppress_warning=True)
    return context is not None and context.is_history_navigation


def secrets() -> Mapping[str, Any] | None:
    """Return what ``.streamlit/secrets.toml`` holds, nothing where there is none, None where it cannot be read.

    ``st.secrets`` raises where there is none, and its probe takes a damaged file for a missing one.
    """
    try:
        if st.secrets.load_if_toml_exists():
            return st.secrets
    except (OSError, ValueError):  # no permission, or not UTF-8
        return None
    return None if any(map(os.path.exists, st.get_option("secrets.files") or ())) else {}


def signed_in_user(cookies: Mapping[str, str]) -> dict[str, Any]:
    """Return the claims of who signed in, from the signed cookie of a request; ``st.user`` is for scripts only."""
    said = starlette_websocket._get_signed_cookie_with_chunks(dict(cookies), USER_COOKIE_NAME)
    try:
        user = json.loads(said) if said else {}
    except ValueError:
        return {}
    return user if isinstance(user, dict) else {}


def uploads_in_memory() -> int:
    """Return how many bytes of uploaded files the sessions of this server hold; nothing here limits their number."""
    if not runtime.exists():
        return 0
    found = runtime.get_instance().uploaded_file_mgr.get_stats()
    return sum(stat.byte_length for stats in found.values() for stat in stats)
