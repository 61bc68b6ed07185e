"""Take in a checkpoint from elsewhere: read without running its code, checked on the dataset, then copied."""

from __future__ import annotations

import streamlit as st

from delt_engine.config import SqueezeConfig
from delt_engine.errors import DeltError
from delt_engine.jobs import tasks
from delt_engine.jobs.tasks import Task
from delt_engine.models.networks import NETWORKS
from delt_engine.paths import teachers_dir
from pages.shared import controls, errors
from pages.shared.session import session
from pages.shared.wording import plain

PAGE = "data/checkpoint"
TYPES = ["safetensors", "pt", "pth", "tar", "bin"]


def adding() -> Task:
    """Return the task that adds a checkpoint for the chosen dataset, whether it was started or not."""
    return tasks.task("add", session().draft.dataset, session().draft.image_size)


def draw() -> None:
    """Draw where the file is, what network it is, and the button that checks and adds it."""
    st.caption(
        f"The file is read without running any code in it, measured on test images, and copied to "
        f"{plain(str(teachers_dir()))} when it knows the dataset."
    )
    left, right = st.columns(2)
    with left:
        st.text_input("File on this machine", key=f"{PAGE}/path", placeholder="/path/to/checkpoint.pth")
    with right:
        st.file_uploader("or upload one", type=TYPES, key=f"{PAGE}/upload")
    default = SqueezeConfig()
    with st.grid(4, min_column_width=130, vertical_alignment="bottom"):
        what = "Of a file that does not say so itself; any name of torchvision or timm."
        controls.open_choice("Network", NETWORKS, f"{PAGE}/network", default.network, help=what)
        controls.settings(default, ["width", "stem"], PAGE, compact=True)
        st.text_input("Name", key=f"{PAGE}/name", placeholder="as the file")
    key, work = f"{PAGE}/add", adding()
    controls.button("Check and add", "verified_user", key, errors.attempt, PAGE, add, disabled=work.is_running)
    errors.show_kept(PAGE)
    if work.error:
        errors.show(work.error)
    result = work.result() if work.state == "done" else None
    if result:
        measured = f"{result['accuracy']:.1f} % of {result['sample']} test images"
        st.success(f"{plain(result['teacher'])} was added: {measured}.", icon=":material/check_circle:")


def add() -> None:
    """Begin to check and add the file that was typed or uploaded.

    Raises:
        DeltError: there is none.
    """
    draft, state = session().draft, st.session_state
    path, upload = (state.get(f"{PAGE}/path") or "").strip(), state.get(f"{PAGE}/upload")
    if upload is not None:
        path = str(tasks.store_upload(upload.name, upload.getvalue()))
    if not path:
        raise DeltError("file: none given; type the path of a checkpoint or upload one.")
    words = ["--dataset", draft.dataset, "--device", draft.device, "--network", state[f"{PAGE}/network"]]
    words += ["--width", str(state[f"{PAGE}/width"]), "--stem", state[f"{PAGE}/stem"]]
    words += ["--image-size", str(draft.image_size)] if draft.image_size else []
    name = (state.get(f"{PAGE}/name") or "").strip()
    tasks.start(adding(), ["teachers", "add", path, *words, *(["--name", name] if name else [])])
