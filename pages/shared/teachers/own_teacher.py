"""A teacher from elsewhere: a checkpoint, or weights that torchvision or timm publish.

Either is read without running its code, checked on the dataset where it can be, then copied.
"""

from __future__ import annotations

import streamlit as st

from delt_engine.config import SqueezeConfig
from delt_engine.data.catalogue import CATALOGUE
from delt_engine.errors import DeltError
from delt_engine.jobs import tasks
from delt_engine.jobs.tasks import Task
from delt_engine.models.networks import NETWORKS
from delt_engine.models.published_weights import PUBLISHED
from delt_engine.paths import teachers_dir
from pages.shared import controls, errors
from pages.shared.controls import button
from pages.shared.session import session
from pages.shared.wording import plain

CHECKPOINT = "data/checkpoint"
MOST_MB = 1000
IMAGENET = CATALOGUE["imagenet-1k"]
WAYS = {"file": "A file", "published": "torchvision or timm"}


def adding() -> Task:
    """Return the task that adds a teacher for the chosen dataset, whether it was started or not."""
    return tasks.task("add", session().draft.dataset, session().draft.image_size)


def draw() -> None:
    """Draw where the weights are, and the button that checks and adds them."""
    look = {"segmented": True, "label_visibility": "collapsed"}
    is_file = controls.choice("From", WAYS, f"{CHECKPOINT}/way", **look) == "file"
    if is_file:
        _file()
    else:
        _published()
    work, deed = adding(), _add if is_file else _fetch
    label = "Check and add" if is_file else "Fetch and add"
    key = f"{CHECKPOINT}/add"
    button(label, "verified_user", key, errors.attempt, CHECKPOINT, deed, disabled=work.is_running)
    errors.show_failed(CHECKPOINT)
    errors.show(work.error)
    result = work.result() if work.state == "done" else None
    if result:
        where = f"of {result['sample']} test images" if result["sample"] else f"on {IMAGENET.title}, as published"
        accuracy = result["accuracy"]
        known = "no accuracy is published with it" if accuracy is None else f"{accuracy:.1f} % {where}"
        st.success(f"{plain(result['teacher'])} was added: {known}.", icon=":material/check_circle:")


def _file() -> None:
    st.caption(
        f"The file is read without running any code in it, measured on test images, and copied to "
        f"{plain(str(teachers_dir()))} when it knows the dataset."
    )
    left, right = st.columns(2)
    with left:
        st.text_input("File on this machine", key=f"{CHECKPOINT}/path", placeholder="/path/to/checkpoint.pth")
    with right:
        look = {"type": ["safetensors", "pt", "pth", "tar", "bin"], "max_upload_size": MOST_MB}
        controls.upload("or upload one", f"{CHECKPOINT}/upload", **look)
    default = SqueezeConfig()
    with st.grid(4, min_column_width=130, vertical_alignment="bottom"):
        what = "Of a file that does not say so itself; any name of torchvision or timm."
        controls.open_choice("Network", NETWORKS, f"{CHECKPOINT}/network", default.network, help=what)
        controls.settings(default, ["width", "stem"], CHECKPOINT, compact=True)
        st.text_input("Name", key=f"{CHECKPOINT}/name", placeholder="as the file")


def _published() -> None:
    st.caption(
        f"Weights trained on {IMAGENET.title}, downloaded once. Such a teacher recovers {IMAGENET.title}, and ranks "
        "the patches of a subset such as ImageNet-100."
    )
    what = "Any classifier of theirs: torchvision:NAME[:WEIGHTS] or timm:NAME[.TAG]."
    controls.open_choice("Weights", PUBLISHED, f"{CHECKPOINT}/weights", PUBLISHED[0], help=what)
    st.text_input("Name", key=f"{CHECKPOINT}/name", placeholder="as the weights")


def _add() -> None:
    draft, state = session().draft, st.session_state
    path, upload = (state.get(f"{CHECKPOINT}/path") or "").strip(), state.get(f"{CHECKPOINT}/upload")
    if upload is not None:
        path = str(tasks.store_upload(upload.name, upload.getvalue()))
    if not path:
        raise DeltError("file: none given; type the path of a checkpoint or upload one.")
    network = ["--network", state[f"{CHECKPOINT}/network"]]
    network += ["--width", str(state[f"{CHECKPOINT}/width"]), "--stem", state[f"{CHECKPOINT}/stem"]]
    _start(path, ["--dataset", draft.dataset, *network])


def _fetch() -> None:
    weights = (st.session_state.get(f"{CHECKPOINT}/weights") or "").strip()
    is_theirs = session().draft.dataset == IMAGENET.name  # it can be measured on no other
    _start(weights, ["--dataset", IMAGENET.name] if is_theirs else [])


def _start(weights: str, words: list[str]) -> None:
    draft, name = session().draft, (st.session_state.get(f"{CHECKPOINT}/name") or "").strip()
    words += ["--image-size", str(draft.image_size)] if draft.image_size and "--dataset" in words else []
    words += ["--device", draft.device, *(["--name", name] if name else [])]
    tasks.start(adding(), ["teachers", "add", tasks.argument(weights), *words])
