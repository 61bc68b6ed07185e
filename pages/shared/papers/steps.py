"""What comes before the missing cells of a table: data and networks; and what is done for one cell in turn."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from delt_engine.data.available import place_of
from delt_engine.data.catalogue import find_entry
from delt_engine.pipeline.table_needs import Needs, needs_of
from delt_engine.pipeline.table_records import CellView
from pages.shared import nav
from pages.shared.wording import duration, plain, plural

_STAGES = {
    "recover": "recover images",
    "evaluate": "train students",
    "continual": "learn step by step",
}


def draw(needs: Needs, ready: Sequence[CellView]) -> None:
    """Say what has to be put in place before cells can run, and what is trained or fetched first."""
    if needs.blocked:
        lines = "\n".join(f"- **{plain(_title(name))}**: {plain(found.note)}" for name, found in needs.blocked.items())
        title = f"{plural(needs.waiting, 'cell')} need data that is not on this machine"
        with st.expander(title, icon=":material/dataset:"):
            st.markdown(lines)
            nav.link("distill/data_and_teachers", "Data and teachers")
    if before := _before(ready):
        st.caption(plain(f"First: {'; '.join(before)}."))
    for words in needs.lacking:
        st.caption(plain(words))


def _before(ready: Sequence[CellView]) -> list[str]:
    """Return what is done before the first cell: data and weights that are fetched, and networks that are trained."""
    needs = needs_of(ready)
    datasets = dict.fromkeys(one.cell.experiment.dataset for one in ready if one.cell)
    before = [f"{_title(name)} is fetched" for name in datasets if place_of(name).state == "download"]
    if needs.saved:
        saved = time_words(sum(price.seconds for price in needs.saved.values()))
        before.append(
            f"weights of {', '.join(needs.saved)} are fetched; where they cannot be, training takes {saved} of it"
        )
    before += [f"the outside network {ref} is fetched" for ref in needs.judges]
    trained = {key for one in ready for key in one.parts if key.startswith("squeeze ") and key not in one.published}
    if trained:
        before.append(f"{plural(len(trained), 'network')} to train, for there is no file of such a one")
    return before


def _title(dataset: str) -> str:
    entry = find_entry(dataset)
    return entry.title if entry else dataset


def in_turn(one: CellView, needs: Needs) -> list[str]:
    """Return what is done for a cell in turn, and how long each takes."""
    fetched = [key for key in one.parts if key in one.published]
    trained = [key for key in one.parts if key.startswith("squeeze ") and key not in one.published]
    steps = []
    if fetched:
        them = "it" if len(fetched) == 1 else "them"
        instead = f"where that fails, training {them} takes {_time_of(one, fetched)}"
        steps.append(f"fetch {', '.join(needs.saved)} ({instead})")
    steps += [f"fetch the outside network {ref}" for ref in needs.judges]
    if trained:
        what = "a network" if len(trained) == 1 else f"{len(trained)} networks"
        steps.append(f"train {what}, {_time_of(one, trained)}")
    for stage, what in _STAGES.items():
        if keys := [key for key in one.parts if key.startswith(f"{stage} ")]:
            steps.append(f"{what}, {_time_of(one, keys)}")
    return steps


def _time_of(one: CellView, keys: Sequence[str]) -> str:
    return time_words(sum(one.parts[key].seconds for key in keys))


def time_words(seconds: float) -> str:
    """Return a length of time, of a long one its largest unit only.

    >>> time_words(90), time_words(3 * 86400), time_words(9e7)
    ('1 min 30 s', '3 days', '2.9 years')
    """
    days = seconds / 86400
    if days < 2:
        return duration(seconds)
    return f"{days:,.0f} days" if days < 730 else f"{days / 365.25:,.1f} years"
