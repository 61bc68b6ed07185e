"""A run in the forms that other tools read: what each is for, its download, and the lines that train on it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from delt_engine.exports.formats import FORMATS
from delt_engine.exports.training_lines import training_lines
from delt_engine.jobs import space
from delt_engine.jobs.export_zip import export_name, export_zip
from delt_engine.runs.store import Run
from pages.shared import controls
from pages.shared.controls import download
from pages.shared.runs.download import MOST_BYTES
from pages.shared.wording import size

_TITLES = {name: form.title for name, form in FORMATS.items()}


def can_export(run: Run) -> bool:
    """Return whether a run has finished images."""
    return not run.unreadable and run.record().kind == "recover" and run.status == "finished" and bool(run.classes)


@st.fragment
def popover(run: Run, page: str) -> None:
    """Draw what opens the choice of a form; nothing where there are no finished images."""
    if not can_export(run):
        return
    with st.popover("Export", icon=":material/ios_share:", key=f"{page}/export/{run.id}"):
        form = controls.choice("Format", _TITLES, f"{page}/export_format", segmented=False)
        st.caption(FORMATS[form].purpose)
        soft_labels = False
        if FORMATS[form].has_soft_labels:
            about = "The teacher's logits of each image, where it is on this machine."
            soft_labels = st.toggle("Soft labels", value=True, key=f"{page}/export_soft", help=about)
        _download(run, page, form, soft_labels)
        st.markdown("**Train on it**")
        st.code(_lines(run, form), language="python", wrap_lines=True)
        words = ["delt", "export", run.id, "--format", form]
        controls.command([*words, "--no-soft-labels"] if FORMATS[form].has_soft_labels and not soft_labels else words)


def _download(run: Run, page: str, form: str, soft_labels: bool) -> None:
    used = space.use(run).total
    look = {"help": "Made when you press, which takes some seconds.", "type": "primary"}
    if used > MOST_BYTES:
        look = {"help": f"{size(used)} are too much for one file; the command below writes a folder.", "disabled": True}
    make = partial(export_zip, run, form, soft_labels=soft_labels)
    name = f"{export_name(run, form)}.zip"
    download(f"Download {_TITLES[form]}", "download", f"{page}/export_zip", make, name, "application/zip", **look)


def _lines(run: Run, form: str) -> str:
    data = run.record().dataset
    assert data is not None  # a finished run knows its data
    facts = {"num_classes": len(run.classes), "ipc": run.experiment.recover.ipc}
    return training_lines(form, export_name(run, form), mean=data.mean, std=data.std, **facts)
