"""The parts of Streamlit 1.67 that are not documented and that the app needs, each with its reason.

Nothing else in the app imports from ``streamlit.runtime``, so that an upgrade of Streamlit is checked here.
"""

from __future__ import annotations

from streamlit import runtime
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx


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
