"""What each switch of DELT+ is worth on a dataset, as `delt ablate` measured it; nothing where nobody has measured."""

from __future__ import annotations

from typing import Any

import streamlit as st

from delt_engine.runs.ablations import COLUMNS, ablations, described
from pages.shared import controls, tables
from pages.shared.wording import plain


def draw(dataset: str) -> None:
    """Draw the ablations of a dataset, of which the reader chooses one."""
    found = dict(enumerate(ablations(dataset)))
    if not found:
        return
    with st.expander("DELT+: what each switch is worth", icon=":material/tune:"):
        st.write(
            "DELT with one switch on at a time, and DELT+, which is the best of them together; all with the same "
            "patches, teacher, labels and students' training."
        )
        chosen = 0
        if len(found) > 1:
            titles = {place: _title(record) for place, record in found.items()}
            chosen = controls.choice("Measured", titles, "accuracy/ablation", segmented=False)
        record = found[chosen]
        tables.draw(record["rows"], COLUMNS, "accuracy/switches", f"delt-plus-{record['dataset']}", described(record))
        controls.command(record["command"])


def _title(record: dict[str, Any]) -> str:
    return plain(f"IPC {record['ipc']}, MI {record['iterations']:,}, {record['training']}")
