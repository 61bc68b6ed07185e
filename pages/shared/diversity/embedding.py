"""The map of real and synthetic images: PCA or t-SNE of their features, an image under each point."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import streamlit as st

from delt_engine.analysis.embedding import Embedding
from delt_engine.jobs import tasks
from delt_engine.pipeline.embed import stored_embedding
from delt_engine.pipeline.image_sets import of_run
from delt_engine.plots.style import method_colour
from delt_engine.runs.store import Run
from pages.shared import controls, errors, nav, real_pictures
from pages.shared.component import component, versioned
from pages.shared.diversity import views
from pages.shared.diversity.data import Sets, labels
from pages.shared.runs import strips
from pages.shared.wording import plain

LAYOUTS = {"tsne": "t-SNE", "pca": "PCA"}
EVERY = "All classes"
_KEY, _OPENED = "diversity/map", "diversity/opened"
_map = component("diversity_map")


def draw(sets: Sets) -> None:
    """Draw the map, or the button that makes it."""
    st.subheader("Map of the images")
    work = tasks.task("diversity-map", sets.space, *sorted(run.id for run in sets.runs))
    found = stored_embedding([of_run(run) for run in sets.runs], sets.space)
    if found is None or work.is_running:
        words = [*views.words(sets, "none"), "--space", sets.space, "--map"]
        lacking = "The map of these images among the real ones is not drawn yet."
        views.draw_task(work, words, lacking, "Draw the map", "map")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layout = controls.choice("Layout", LAYOUTS, "diversity/layout", default="tsne", segmented=True)
        name = st.selectbox("Class", [EVERY, *found.class_names], key="diversity/map_class", width=220)
    with errors.shown():
        points = map_points(found, sets, layout, name)
    alt = f"{LAYOUTS[layout]} map of {found.count_words} in {sets.axis}"
    _map(key=_KEY, data=versioned(points | {"alt": alt, "filename": "diversity-map"}), on_opened_change=_take_opened)
    opened = st.session_state.pop(_OPENED, None)
    if opened:
        nav.go("explore/gallery", run=opened["run"], imgs=opened["imgs"])
    shares = " and ".join(f"{100 * share:.0f} %" for share in found.explained)
    axes = f"The axes hold {shares} of the variance."
    if layout == "tsne":
        axes = "Neighbours are alike; distances of far groups of a t-SNE map, and their sizes, mean nothing."
    st.caption(
        f"{plain(found.count_words)} are shown, in {plain(sets.axis)}. {axes} Point at one, or use the arrow keys, to "
        "see its image."
    )


def _take_opened() -> None:
    st.session_state[_OPENED] = st.session_state[_KEY]["opened"]


def map_points(found: Embedding, sets: Sets, layout: str, class_name: str = EVERY) -> dict[str, Any]:
    """Return what the map draws, the first point below the others.

    Returns:
        By point x and y from 0 to 1, ``g`` its group, ``s`` the sheet of its image (-1 for none), ``t`` the tile there,
        ``c`` and ``i`` its class and its index there, and ``names``; ``groups`` in the order of the legend, real ones
        as open circles without a ``run``; ``sheets`` with their address and how many tiles stand side by side there.
    """
    runs, names = {run.id: run for run in sets.runs}, labels(sets.runs)
    groups = [
        {
            "title": names.get(source, title),
            "colour": method_colour(method),
            "open": method == "real",
            "run": source if source in runs else "",
        }
        for source, title, method in zip(found.sources, found.titles, found.methods, strict=True)
    ]
    real = [int(at) for at in range(len(found)) if found.methods[found.set_number[at]] == "real"]
    tile_of = {index: tile for tile, index in enumerate(dict.fromkeys(int(found.index[at]) for at in real))}
    url = real_pictures.real_sheet(sets.runs[0], tuple(tile_of)) if sets.runs else ""
    sheets = [{"url": url, "columns": real_pictures.COLUMNS}] if url else []
    real_sheet, strip_of, points = len(sheets) - 1, {}, []
    for at, (x, y) in enumerate(getattr(found, layout).tolist()):
        number, label, index = int(found.set_number[at]), int(found.class_index[at]), int(found.index[at])
        if class_name not in (EVERY, found.class_names[label]):
            continue
        run = runs.get(found.sources[number])
        if run is None:
            sheet, tile = real_sheet, tile_of.get(index, 0)
        else:
            if (run.id, label) not in strip_of:
                last = _last_round(run, label)
                url = "" if last is None else strips.address(run, run.snapshot_path(label, last)) or ""
                strip_of[run.id, label] = len(sheets) if url else -1
                sheets += [{"url": url, "columns": run.experiment.recover.ipc}] if url else []
            sheet, tile = strip_of[run.id, label], index
        name = f"{found.class_names[label]}, image {index + 1}"
        points.append((round(x, 4), round(y, 4), number, sheet, tile, label, index, name))
    columns = zip(*points, strict=True) if points else [()] * 8
    return dict(zip(("x", "y", "g", "s", "t", "c", "i", "names"), map(list, columns), strict=True)) | {
        "groups": groups,
        "sheets": sheets,
    }


@lru_cache(maxsize=4096)
def _last_round(run: Run, class_index: int) -> int | None:
    return max(run.rounds_written(class_index), default=None)  # runs on the map are finished, so it does not change
