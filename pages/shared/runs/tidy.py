"""Deleting with undo, and freeing the disk: what is lost and how much it frees is said before."""

from __future__ import annotations

import streamlit as st

from delt_engine.jobs import space
from delt_engine.runs.store import Run
from pages.shared import address, errors
from pages.shared.controls import button
from pages.shared.wording import plain, plural, size

_DELETED = "runs/deleted"
_FREEING = "runs/freeing"
_PLACE = "runs/tidy"


def delete(ids: list[str]) -> None:
    """Move runs to the trash; those that are at work stay, and it is said."""
    gone = []
    for run_id in ids:
        errors.attempt(_PLACE, lambda run_id=run_id: gone.append(space.delete(_run(run_id))))
    st.session_state[_DELETED] = gone
    left = [run_id for run_id in st.query_params.get("run", "").split(",") if run_id not in gone]
    address.say("run", ",".join(left))


def undo(ids: list[str]) -> None:
    """Bring deleted runs back."""
    for run_id in ids:
        errors.attempt(_PLACE, space.restore, run_id)
    st.session_state.pop(_DELETED, None)


def ask_to_free(ids: list[str]) -> None:
    """Ask, on the next draw, whether the disk shall be freed of parts of these runs."""
    st.session_state[_FREEING] = ids


def draw() -> None:
    """Draw what there is to undo, to answer or to say."""
    errors.show_failed(_PLACE)
    gone = [run_id for run_id in st.session_state.get(_DELETED, ()) if (space.trash_dir() / run_id).is_dir()]
    if gone:
        with st.container(horizontal=True, vertical_alignment="center", border=True):
            st.markdown(f"Deleted {plain(gone[0]) if len(gone) == 1 else plural(len(gone), 'run')}.", width="content")
            button("Undo", "undo", "runs/undo", undo, gone, changes=True)
    if st.session_state.get(_FREEING):
        _question([run for run in map(_run, st.session_state[_FREEING]) if run.path.is_dir()])


def _question(runs: list[Run]) -> None:
    uses = [space.use(run) for run in runs]
    rounds, checkpoints = sum(use.rounds for use in uses), sum(use.checkpoint for use in uses)
    with st.container(border=True):
        st.markdown(f"**Free disk: {plural(len(runs), 'run')}**")
        keep_rounds = not st.checkbox(
            f"Rounds between start and end, {size(rounds)}: the gallery then shows the start and the last round only.",
            value=rounds > 0,
            disabled=not rounds,
            key="runs/free_rounds",
        )
        keep_checkpoints = not st.checkbox(
            f"Checkpoints, {size(checkpoints)}: a resumed run then begins its current batch, teacher or student again.",
            disabled=not checkpoints,
            key="runs/free_checkpoints",
        )
        with st.container(horizontal=True):
            parts, nothing = (runs, not keep_rounds, not keep_checkpoints), keep_rounds and keep_checkpoints
            button(
                "Delete these files", "", "runs/free_now", _free, *parts, changes=True, disabled=nothing, type="primary"
            )
            button("Keep them", "", "runs/free_not", ask_to_free, [])
        st.caption("This cannot be undone.")


def _free(runs: list[Run], rounds: bool, checkpoints: bool) -> None:
    freed: list[int] = []
    for run in runs:
        errors.attempt(_PLACE, lambda run=run: freed.append(space.free(run, rounds=rounds, checkpoint=checkpoints)))
    ask_to_free([])
    st.toast(f"{size(sum(freed))} freed.", icon=":material/mop:")


def trash_line() -> None:
    """Draw what is in the trash, with a way back and a way to empty it."""
    gone = space.trashed()
    if not gone:
        return
    total = sum(space.use(run).total for run in gone)
    with st.expander(f"Trash: {plural(len(gone), 'run')}, {size(total)}", icon=":material/delete:", key="runs/trash"):
        for run in gone:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(plain(run.id), width="content")
                button("Bring back", "", f"runs/restore/{run.id}", undo, [run.id], changes=True, type="tertiary")
        label = f"Delete for good, {size(total)}"
        empty = (errors.attempt, _PLACE, lambda: st.toast(f"{size(space.empty_trash())} freed."))
        button(label, "delete_forever", "runs/empty_trash", *empty)


def _run(run_id: str) -> Run:
    return Run(space.runs_dir() / run_id)
