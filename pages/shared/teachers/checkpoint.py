"""Take in a checkpoint from elsewhere: read without running its code, checked on the dataset, then kept."""

from __future__ import annotations

import streamlit as st

from delt_engine.config import SqueezeConfig
from delt_engine.errors import DeltError
from delt_engine.jobs import tasks
from delt_engine.jobs.tasks import Task
from delt_engine.models.networks import NETWORKS
from delt_engine.paths import teachers_dir
from pages.shared import controls, errors
from pages.shared.session import place_of, prime, session
from pages.shared.wording import plain

PAGE = "data/checkpoint"
TYPES = ["safetensors", "pt", "pth", "tar", "bin"]
_REFUSED = f"{PAGE}/refused"


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
        now = prime(f"{PAGE}/network", default.network)
        st.selectbox(
            "Network",
            NETWORKS,
            place_of(now, NETWORKS),
            key=f"{PAGE}/network",
            accept_new_options=True,
            help="Of a file that does not say so itself; any name of torchvision or timm.",
        )
        controls.settings(default, ["width", "stem"], PAGE, compact=True)
        st.text_input("Name", key=f"{PAGE}/name", placeholder="as the file")
    st.button(
        "Check and add", icon=":material/verified_user:", key=f"{PAGE}/add", on_click=add, disabled=adding().is_running
    )
    _outcome()


def add() -> None:
    """Begin to check and add the file that was typed or uploaded."""
    try:
        path = _file()
        tasks.start(adding(), ["teachers", "add", path, *_words()])
    except DeltError as error:
        st.session_state[_REFUSED] = str(error)


def _file() -> str:
    typed, upload = (st.session_state.get(f"{PAGE}/path") or "").strip(), st.session_state.get(f"{PAGE}/upload")
    if upload is not None:
        return str(tasks.store_upload(upload.name, upload.getvalue()))
    if not typed:
        raise DeltError("file: none given; type the path of a checkpoint or upload one.")
    return typed


def _words() -> list[str]:
    draft, state = session().draft, st.session_state
    words = ["--dataset", draft.dataset, "--device", draft.device, "--network", state[f"{PAGE}/network"]]
    words += ["--width", str(state[f"{PAGE}/width"]), "--stem", state[f"{PAGE}/stem"]]
    words += ["--image-size", str(draft.image_size)] if draft.image_size else []
    name = (state.get(f"{PAGE}/name") or "").strip()
    return words + (["--name", name] if name else [])


def _outcome() -> None:
    refused, work = st.session_state.pop(_REFUSED, ""), adding()
    if refused or work.error:
        errors.show(refused or work.error)
        return
    result = work.result() if work.state == "done" else None
    if result:
        measured = f"{result['accuracy']:.1f} % of {result['sample']} test images"
        st.success(f"{plain(result['teacher'])} was added: {measured}.", icon=":material/check_circle:")
