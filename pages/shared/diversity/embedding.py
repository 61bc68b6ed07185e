"""The map of real and synthetic images: PCA or t-SNE of their features, an image under each point."""

from __future__ import annotations

from functools import lru_cache

import streamlit as st

from delt_engine.analysis.embedding import Embedding
from delt_engine.jobs import tasks
from delt_engine.pipeline.embed import stored_embedding
from delt_engine.pipeline.image_sets import of_run
from delt_engine.plots.accuracy import method_colour
from delt_engine.runs.store import Run
from pages.shared import errors, live
from pages.shared.diversity import cached, measure
from pages.shared.diversity import map as diversity_map
from pages.shared.diversity.data import Sets
from pages.shared.diversity.map import Group, Point, Sheet
from pages.shared.runs import strips
from pages.shared.wording import plain

LAYOUTS = {"tsne": "t-SNE", "pca": "PCA"}
EVERY = "All classes"


def draw(sets: Sets) -> None:
    """Draw the map, or the button that makes it."""
    st.subheader("Map of the images")
    work = tasks.task("diversity-map", sets.space, *sorted(run.id for run in sets.runs))
    found = stored_embedding([of_run(run) for run in sets.runs], sets.space)
    if found is None or work.is_running:
        words = [*measure.words(sets, "none"), "--space", sets.space, "--map"]
        lacking = "The map of these images among the real ones is not drawn yet."
        with st.container(border=True):
            live.follow(
                lambda: work.is_running,
                lambda: measure.state(work, words, lacking, "Draw the map", "map"),
            )
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layout = st.segmented_control(
            "Layout", list(LAYOUTS), default="tsne", key="diversity/layout", required=True, format_func=LAYOUTS.get
        )
        name = st.selectbox("Class", [EVERY, *found.class_names], key="diversity/map_class", width=220)
    with errors.shown():
        points, groups, sheets = _parts(found, sets, layout)
    if name != EVERY:
        wanted = found.class_names.index(name)
        points = [point for point, number in zip(points, found.class_index, strict=True) if number == wanted]
    diversity_map.draw(
        points, groups, sheets, key="diversity/map", alt=f"{LAYOUTS[layout]} map of {found.count_words} in {sets.axis}"
    )
    shares = " and ".join(f"{100 * share:.0f} %" for share in found.explained)
    axes = f"The axes hold {shares} of the variance."
    if layout == "tsne":
        axes = "Neighbours are alike; distances of far groups of a t-SNE map, and their sizes, mean nothing."
    st.caption(
        f"{plain(found.count_words)} are shown, in {plain(sets.axis)}. {axes} Point at one, or use the arrow keys, to "
        "see its image."
    )


def _parts(found: Embedding, sets: Sets, layout: str) -> tuple[list[Point], list[Group], list[Sheet]]:
    places = getattr(found, layout)
    runs = {run.id: run for run in sets.runs}
    groups = [
        Group(title, method_colour(method), method == "real")
        for title, method in zip(_titles(found, sets), found.methods, strict=True)
    ]
    sheets: list[Sheet] = []
    real = [int(at) for at in range(len(found)) if found.methods[found.set_number[at]] == "real"]
    tiles = dict.fromkeys(int(found.index[at]) for at in real)
    real_sheet = cached.real_sheet(sets.runs[0], tuple(tiles)) if sets.runs else ""
    if real_sheet:
        sheets.append(Sheet(real_sheet, cached.COLUMNS))
    tile_of = {index: tile for tile, index in enumerate(tiles)}
    strip_of: dict[tuple[str, int], int] = {}
    points = []
    for at, (x, y) in enumerate(places.tolist()):
        number, label, index = int(found.set_number[at]), int(found.class_index[at]), int(found.index[at])
        run = runs.get(found.sources[number])
        if run is None:
            sheet, tile = (0 if real_sheet else -1), tile_of.get(index, 0)
        else:
            key = (run.id, label)
            if key not in strip_of:
                url = _strip(run, label)
                strip_of[key] = len(sheets) if url else -1
                sheets += [Sheet(url, run.experiment.recover.ipc)] if url else []
            sheet, tile = strip_of[key], index
        points.append(Point(x, y, number, f"{found.class_names[label]}, image {index + 1}", sheet, tile))
    return points, groups, sheets


def _titles(found: Embedding, sets: Sets) -> list[str]:
    names = sets.names
    return [names.get(source, title) for source, title in zip(found.sources, found.titles, strict=True)]


@lru_cache(maxsize=4096)
def _last_round(run: Run, class_index: int) -> int | None:
    return max(run.rounds_written(class_index), default=None)


def _strip(run: Run, class_index: int) -> str:
    """Return where the finished images of a class are; runs on the map are finished, so that does not change."""
    last = _last_round(run, class_index)
    return "" if last is None else strips.address(run, run.snapshot_path(class_index, last)) or ""
