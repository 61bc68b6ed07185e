"""Starting points for the form of Recover: small ones, and rows of the papers' tables, each with its source."""

from __future__ import annotations

import streamlit as st

from delt_engine.config.presets import PAPER_PRESETS, PRESETS
from delt_engine.runs.command import image_size_of
from pages.shared.session import forget, session
from pages.shared.wording import count

PAGE = "recover"
_SMALL, _PAPER = f"{PAGE}/preset", f"{PAGE}/paper"
_BY_TITLE = {preset.title: preset for preset in (*PRESETS, *PAPER_PRESETS)}


def draw() -> None:
    """Draw both choices, and where the numbers of the chosen one are from."""
    st.pills(
        "Preset",
        [preset.title for preset in PRESETS],
        key=_SMALL,
        on_change=_take,
        args=(_SMALL, _PAPER),
        help="\n".join(f"- {preset.title}: {preset.origin}" for preset in PRESETS),
        wrap=True,
    )
    st.selectbox(
        "From a paper's table",
        [preset.title for preset in PAPER_PRESETS],
        index=None,
        key=_PAPER,
        placeholder="DELT, CDA or SRe²L on a dataset",
        on_change=_take,
        args=(_PAPER, _SMALL),
        help="Sets dataset, method, MI, RI and the rest as the table has them.",
    )
    chosen = _BY_TITLE.get(st.session_state.get(_PAPER) or st.session_state.get(_SMALL) or "")
    if chosen is None:
        st.caption("A preset fills in the settings below; all can be changed.")
        return
    ipc = f"IPC {', '.join(map(str, chosen.ipcs))}, " if chosen.ipcs else ""
    rounds = f"MI {count(chosen.iterations)}, RI {count(chosen.round_iterations)}"
    st.caption(f"{ipc}{rounds}. Source: {chosen.origin}.")


def _take(key: str, other: str) -> None:
    """Take over the chosen settings; every widget of the form starts again from them."""
    title = st.session_state[key]
    preset = _BY_TITLE.get(title or "")
    if preset is None:
        return
    now = session()
    recover = preset.recover(now.draft.recover.method, now.draft.recover.ipc)
    if preset.dataset and preset.dataset != now.draft.dataset:
        now.change(dataset=preset.dataset, classes=None, teacher="auto", image_size=None)
        now.change("select", pinned=(), dropped=(), picked_from="")
    now.take_recover(recover, image_size_of(now.draft.dataset, now.draft.image_size))
    forget(f"{PAGE}/")
    st.session_state[key] = title
    st.session_state[other] = None
