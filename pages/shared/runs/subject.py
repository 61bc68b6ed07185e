"""The run that a page is about: the one its address names, else the newest finished one of this user."""

from __future__ import annotations

import streamlit as st

from delt_engine.runs.store import Run
from pages.shared import cached
from pages.shared.wording import ago, plain, rounds_text

ONE_CLASS = "has one class, but students need at least two to tell apart."


def named_run() -> Run | None:
    """Return the run that the address names, None where it names none or one that is not there, which is said."""
    named = st.query_params.get("run", "")
    if not named:
        return None
    found = next((run for run in [*cached.runs(), *cached.examples()] if run.id == named and not run.unreadable), None)
    if found is None:
        st.warning(f"There is no run {plain(named)} here, so the page shows what there is.", icon=":material/link_off:")
    return found


def recovery_of(run: Run | None) -> Run | None:
    """Return the recovery that a run is, or whose images its students learn from; None where there is none."""
    if run is None or run.record().kind == "recover":
        return run
    runs = [*cached.runs(), *cached.examples()]
    return next((one for one in runs if one.id == run.record().source and not one.unreadable), None)


def newest_finished() -> Run | None:
    """Return the user's newest finished recovery, None where there is none."""
    return cached.newest("recover", lambda run: run.status == "finished" and bool(run.classes))


def has_one_class(run: Run) -> bool:
    """Return whether there is nothing that students could tell apart."""
    return len(run.classes) == 1


def words(run: Run) -> str:
    """Return what tells a recovery from others in a sentence."""
    recover = run.experiment.recover
    rounds = f", {rounds_text(recover)}" if recover.is_optimised else ""
    when = ago(run.record().finished)
    return f"{run.record().method_title}, IPC {recover.ipc:,}{rounds}" + (f" ({when})" if when else "")
