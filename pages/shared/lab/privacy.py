"""The lesson on privacy: how near each synthetic image is to a real one, and whether that is its own photograph."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st
from PIL import Image

from delt_engine.analysis.privacy import PrivacyResult
from delt_engine.data.catalogue import find_entry
from delt_engine.data.dataset import ImageSet
from delt_engine.errors import DataError
from delt_engine.jobs import tasks
from delt_engine.pipeline.image_sets import of_run
from delt_engine.pipeline.measure import not_neutral
from delt_engine.pipeline.privacy import MOST_IMAGES, SPACES, misses_a_space, seconds_needed, stored_tests
from delt_engine.plots.privacy import distance_figure
from delt_engine.runs.store import Run
from delt_engine.runs.strips import read_png
from pages.shared import cached, controls, nav
from pages.shared.diversity import views
from pages.shared.diversity.data import SPACE_NAMES
from pages.shared.figure import described
from pages.shared.lab.predict import compared_runs
from pages.shared.lab.source import SourceScene
from pages.shared.session import session
from pages.shared.wording import count, duration, plain

_FIGURE, _PICKED = "lab/privacy", "lab/privacy_picked"
_SIDE = 132
MEANS_NOT = (
    "It is no proof of privacy where it fails: a better attack may still find the photograph, and it says nothing of "
    "what a student that learned from the images gives away."
)


def draw(scene: SourceScene) -> None:
    """Draw the test of a run, or of the DELT run on a lab's dataset, or the button that makes it."""
    run = scene.source.run or next(iter(compared_runs(scene.source)), None)
    if run is None or run.status != "finished":
        st.info("There is no finished run on this dataset yet, so there are no images to look up.")
        nav.link("distill/recover", "Start a run")
        return
    found, work = stored_tests(run), tasks.task("privacy", run.id)
    if work.is_running or misses_a_space(run, found):
        device = session().draft.device
        words = ["privacy", run.id, *(["--device", device] if device != "auto" else [])]
        views.draw_task(work, words, _price(run), "Find the nearest", "privacy")
    if not found:
        return
    space = next(iter(found))
    if len(found) > 1:
        titles = {name: SPACE_NAMES[name] for name in SPACES if name in found}
        space = controls.linked_choice("space", "Nearest in", titles, "lab/privacy_space", segmented=True, always=True)
    _show(run, found[space], scene.class_name)


def _price(run: Run) -> str:
    """Return what the test would look at, and about how long it takes."""
    total = len(run.classes) * run.experiment.recover.ipc
    looked = f"{count(min(total, MOST_IMAGES))} of {count(total)}" if total > MOST_IMAGES else f"all {count(total)}"
    entry = find_entry(run.experiment.dataset)
    real = entry.train_size if entry else 0
    if not real:
        try:
            real = len(_real_images(run))
        except DataError as error:
            return f"Not looked up yet: {error}"
    seconds = duration(seconds_needed(run, real))
    return f"Not looked up yet: {looked} images among {count(real)} real ones, about {seconds} on two processor cores."


def _real_images(run: Run) -> ImageSet:
    """Return the training images of a run.

    Raises:
        DataError: they are not here.
    """
    name, record = run.experiment.dataset, run.record().dataset
    found = cached.dataset_of(run.experiment) if cached.is_at_hand(name) else None
    if found is None or record is None or found.fingerprint != record.fingerprint:
        raise DataError(f"dataset: the images of {name} that this run belongs to are not on this machine.")
    return found.train


def _show(run: Run, result: PrivacyResult, class_name: str) -> None:
    _numbers(result)
    picked = _picked(run, result, class_name)
    schedule = run.experiment.recover.schedule
    with st.container(horizontal=True, vertical_alignment="top"):
        with st.container(width="stretch"):
            drawn = distance_figure(result, schedule.num_rounds, picked)
            look = {"selection_mode": "points", "config": {"displayModeBar": False}, "alt": described(drawn)}
            st.plotly_chart(drawn, key=_FIGURE, on_select=partial(_take_click, run.id), **look)
        with st.container(width=2 * _SIDE + 24):
            _pair(run, result, picked)
    st.markdown(f"**What it means.** {meaning(result)}\n\n**What it does not mean.** {MEANS_NOT}")
    biased = not_neutral(of_run(run), result.space)
    if biased:
        st.warning(plain(biased), icon=":material/balance:")
    apart = "" if biased else ", which took no part"
    features = f"features of {result.network_title}{apart}" if result.network_title else "the pixels"
    is_part = len(result) < result.total
    looked = f"{count(len(result))} of {count(result.total)}" if is_part else f"All {count(result.total)}"
    st.caption(
        plain(
            f"Measured here: run {run.id}, {result.title}. {looked} images, {count(result.real_images)} training "
            f"images of {result.dataset}, Euclidean distance of {features}. The dashed line is the median distance of "
            f"{count(len(result.test_distance))} test images. DELT's Appendix A names the risk and prints no numbers."
        )
    )


def meaning(result: PrivacyResult) -> str:
    """Return what the test tells of these images, in a sentence."""
    known = int(result.has_source.sum())
    if not known:
        return "These images started from noise, so distance alone cannot lead to a photograph that they were made of."
    said = (
        f"Whoever has the training images finds the photograph behind {count(result.recognised(1))} of {count(known)}"
    )
    rounds = result.by_round()
    first, last = rounds[0], rounds[-1]
    if len(rounds) == 1:
        return f"{said} images by nothing but distance."
    words = (f"{row['top1']} of {row['images']} with {count(row['iterations'])} iterations" for row in (last, first))
    return f"{said} images by nothing but distance: {', '.join(words)}."


def _numbers(result: PrivacyResult) -> None:
    known = int(result.has_source.sum())
    if not known:
        st.markdown("These images started from noise, so none has a photograph of its own; only distances are shown.")
        return
    numbers = [(f"Recognised, top {k}", result.recognised(k), f"by chance {result.chance(k):.2g}") for k in (1, 5)]
    if (result.start_rank > 0).any():
        numbers.append(("Start patches, top 1", result.recognised(1, at_start=True), "before any iteration"))
    with st.grid(3, min_column_width=180):
        for title, value, note in numbers:
            with st.container(gap=None):
                st.metric(title, f"{count(value)} of {count(known)}")
                st.caption(note)
    st.caption("Recognised in the top k: a photograph that the image started from is among its k nearest real images.")


def _take_click(run_id: str) -> None:
    points = ((st.session_state.get(_FIGURE) or {}).get("selection") or {}).get("points") or []
    numbers = [point.get("customdata") for point in points]
    found = next((one[0] if isinstance(one, (list, tuple)) else one for one in numbers if one is not None), None)
    if found is not None:
        st.session_state[f"{_PICKED}/{run_id}"] = int(found)


def _picked(run: Run, result: PrivacyResult, class_name: str) -> int:
    """Return the image that was clicked, else the one of the class that is nearest to a real image."""
    clicked = st.session_state.get(f"{_PICKED}/{run.id}")
    if clicked is not None and clicked < len(result):
        return clicked
    of_class = [result.class_names[number] == class_name for number in result.class_index]
    distance = np.where(of_class, result.distance[:, 0], np.inf) if any(of_class) else result.distance[:, 0]
    return int(np.argmin(distance))


def _pair(run: Run, result: PrivacyResult, picked: int) -> None:
    """Draw the image and the real one that is nearest, or why there is no picture of that."""
    class_index, index = int(result.class_index[picked]), int(result.index[picked])
    nearest, rank = int(result.nearest[picked, 0]), int(result.source_rank[picked])
    try:
        real, own = _real_images(run).pixels([nearest, max(0, int(result.source_image[picked]))])
    except DataError as error:
        st.info(plain(str(error)))
        return
    with st.container(horizontal=True):
        _picture(read_png(run.image_path(class_index, index)), "synthetic")
        _picture(real, "nearest real")
        if rank > 1:
            _picture(own, "its own photograph")
    about = (
        f"{result.class_names[class_index]}, image {index + 1}, {count(int(result.iterations[picked]))} iterations. "
    )
    if rank == 1:
        about += "The nearest real image is its own photograph."
    elif rank:
        about += f"Its own photograph is number {count(rank)} of {count(result.real_images)}."
    st.caption(f"{plain(about)} Click a point to see its pair.")


def _picture(image_u8: np.ndarray, words: str) -> None:
    picture = Image.fromarray(image_u8).resize((_SIDE, _SIDE), Image.Resampling.NEAREST)
    st.image(picture, caption=words, width=_SIDE, output_format="PNG")
