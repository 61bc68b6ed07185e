"""What the diversity page compares: dataset, IPC, runs and space, each kept in the address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from delt_engine.runs.store import Run
from pages.shared import address
from pages.shared.diversity import data as diversity_data
from pages.shared.diversity.data import SPACE_NAMES
from pages.shared.wording import plain, run_title


def choose(runs: Sequence[Run]) -> tuple[list[Run], str]:
    """Draw the choices and return the runs and the space."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        data = {_data(run): f"{run.record().dataset.title}, {run.record().dataset.image_size} px" for run in runs}
        several = {title for title, number in Counter(data.values()).items() if number > 1}
        data = {key: f"{title} ({key[-6:]})" if title in several else title for key, title in data.items()}
        wanted = _one("dataset", "Dataset", list(data), data)
        found = [run for run in runs if _data(run) == wanted]
        ipcs = sorted(
            {run.experiment.recover.ipc for run in found}, key=lambda ipc: (ipc < 2, -_count(found, ipc), ipc)
        )
        ipc = int(_one("ipc", "Images per class", [str(ipc) for ipc in ipcs], {}, is_segmented=len(ipcs) <= 5))
        found = [run for run in found if run.experiment.recover.ipc == ipc]
        space = _one("space", "Compared in", list(SPACE_NAMES), SPACE_NAMES, is_segmented=True)
    return _runs(found), space


def _data(run: Run) -> str:
    record = run.record().dataset
    return f"{record.name}-{record.image_size}-{record.fingerprint[:6]}"


def _count(runs: Sequence[Run], ipc: int) -> int:
    return sum(run.experiment.recover.ipc == ipc for run in runs)


def _one(name: str, label: str, options: list[str], titles: dict[str, str], *, is_segmented: bool = False) -> str:
    key = f"diversity/{name}"
    address.restore(name, key, lambda text: next((one for one in options if one.startswith(text)), options[0]))
    if st.session_state.get(key) not in options:
        st.session_state[key] = options[0]
    if is_segmented:
        chosen = st.segmented_control(
            label, options, key=key, format_func=lambda one: titles.get(one, one), required=True
        )
    else:
        chosen = st.selectbox(label, options, key=key, format_func=lambda one: titles.get(one, one), width=210)
    address.publish(name, key, "" if chosen == options[0] else chosen)
    return chosen


def _runs(runs: Sequence[Run]) -> list[Run]:
    """Draw the choice of runs: the examples at first, without any the newest of each method."""
    ids = [run.id for run in runs]
    newest = {run.experiment.recover.method: run.id for run in reversed(runs)}
    usual = [run.id for run in runs if run.id in newest.values()]
    key = "diversity/runs"
    address.restore("runs", key, lambda text: [part for part in text.split(",") if part in ids])
    kept = [run for run in st.session_state.get(key) or [] if run in ids]
    st.session_state[key] = kept or usual
    names = {run.id: f"{run_title(run.experiment)}  ({run.id})" for run in runs}
    titles = diversity_data.labels(runs)
    chosen = st.multiselect(
        "Runs",
        ids,
        key=key,
        format_func=lambda run: plain(titles[run]),
        placeholder="Runs",
        help="; ".join(plain(names[run]) for run in ids[:8]),
    )
    address.publish("runs", key, "" if set(chosen) in (set(), set(usual)) else ",".join(chosen))
    return [run for run in runs if run.id in (chosen or usual)]
