"""Browser components: each is a script and a style sheet that follow those which all of them share."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import streamlit as st

_FOLDER = Path(__file__).resolve().parent / "components"


def component(name: str, *scripts: str, style: str = "", html: str | None = None) -> Any:
    """Register the component of a script; ``scripts`` come before it, ``style`` names another's style sheet."""

    def text(ending: str, *names: str) -> str:
        return "\n".join((_FOLDER / f"{one}.{ending}").read_text(encoding="utf-8") for one in ("shared", *names))

    return st.components.v2.component(
        f"delt.{name}", html=html, css=text("css", style or name), js=text("js", *scripts, name)
    )


def versioned(data: dict[str, Any]) -> dict[str, Any]:
    """Return what a component draws with a name for its present state, so that it builds only what has changed.

    Lists become tuples: Streamlit looks into every list for a table, and loads pandas to do so.
    """
    version = hashlib.sha1(repr(data).encode(), usedforsecurity=False).hexdigest()
    return {name: tuple(one) if isinstance(one, list) else one for name, one in data.items()} | {"version": version}
