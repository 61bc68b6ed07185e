"""All patches of a class, a page at a time: a click pins, drops, or tells about one; and the same as files."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from delt_engine.patches.ranking_csv import ranking_csv
from delt_engine.runs.export import scores_csv, selection_zip
from pages.shared import controls, real_pictures
from pages.shared.controls import button, download, headline
from pages.shared.gallery.grid import Cell, Look, image_row
from pages.shared.patches import band
from pages.shared.patches.rows import View, cell_of
from pages.shared.runs.strips import tile_side
from pages.shared.wording import count, plain, short_name

PER_PAGE = 100
CLICK, SHOWN = "patches/click", "patches/shown"
CLICKS = {"looks": "shows it", "pins": "pins it", "drops": "drops it"}
MOST_IN_ZIP = 5000
"""Images up to which a zip holds all classes; above, the one on screen."""

TWINS_NAMED = 3

MOST_PICTURES = 600
"""Rows up to which the table has a picture each."""


def draw(view: View) -> None:
    """Draw the patches that are selected in the figure, else those in the band."""
    selected, inside, total = band.selected_ranks(len(view.rows)), band.ranks_in_band(view), len(view.rows)
    ranks = selected or inside
    what = f"All {count(total)} patches" if len(ranks) == total else f"{count(len(ranks))} patches in the band"
    with headline(f"{count(len(ranks))} selected" if selected else what, vertical_alignment="bottom"):
        releases = "A click on a pinned or dropped patch releases it."
        controls.choice("A click", CLICKS, CLICK, default="looks", segmented=True, help=releases)
        sort = controls.choice("Sort", ["hardest first", "easiest first"], "patches/sort", segmented=True)
    if not ranks:
        st.info("No patch of this class is in the band; widen it.")
        return
    ranks = ranks if sort == "hardest first" else ranks[::-1]
    at = st.pagination(-(-len(ranks) // PER_PAGE), key="patches/page")
    shown = st.session_state.get(SHOWN)
    if shown is not None and shown < total:
        _about(view, shown)
    ranks = ranks[PER_PAGE * (at - 1) : PER_PAGE * at]
    cells = [cell_of(view, rank, x, "all", with_fate=True) for x, rank in enumerate(ranks)]
    look = Look(tile=tile_side(view.data.spec.image_size), shown=64, layout="grid")
    selected = "" if shown is None else f"all/{shown}"
    pictures = [view.pictures(ranks)]
    image_row(cells, pictures, "patches/all", look, on_pick=lambda: _clicked(view), selected=selected)
    st.caption(
        f"{count(len(view.joins))} patches of this class are chosen; they carry the colour of their round. "
        "Alike: a near-duplicate of another one."
    )


def _clicked(view: View) -> None:
    rank = int(st.session_state["patches/all"]["picked"].split("/")[1])
    row, deed = int(view.rows[rank]), st.session_state.get(CLICK, "looks")
    if deed == "looks":
        st.session_state[SHOWN] = None if st.session_state.get(SHOWN) == rank else rank
    elif view.mark(row):
        band.release(view.ranking, [row])
    elif deed == "pins":
        band.pin(view.ranking, [row], view.class_index, view.room)
    else:
        band.drop(view.ranking, [row])


def _about(view: View, rank: int) -> None:
    row, image = int(view.rows[rank]), view.joins.get(rank)
    name = view.data.train.names[int(view.ranking.image_index[row])]
    top, left, height, width = view.ranking.crop_box[row].tolist()
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="patches/about"):
        with st.container(width=140):
            look = Look(tile=tile_side(view.data.spec.image_size), shown=128, layout="grid")
            image_row([Cell("about", name, (0,))], [view.pictures([rank])], "patches/about_image", look)
        fate = "Not chosen under these settings."
        if image:
            rounds = f"{image.start_round} of {view.experiment.recover.schedule.num_rounds}"
            fate = f"Joins as image {image.index + 1} in round {rounds} and gets {count(image.iterations)} iterations."
        twins = view.twins.get(rank, ())
        if twins:
            others = ", ".join(f"rank {twin + 1}" for twin in twins[:TWINS_NAMED])
            more = f" and {len(twins) - TWINS_NAMED} more" if len(twins) > TWINS_NAMED else ""
            fate += f"  \nNear-duplicate of {others}{more}."
        probability = float(view.ranking.true_class_prob[row])
        st.markdown(
            f"**{plain(name)}**  \nprobability {probability:.4f}, rank {rank + 1} of "
            f"{count(len(view.rows))} (1 is the hardest)  \ncrop: {height} x {width} px from ({top}, {left})  \n{fate}",
            width="stretch",
        )
        one = (view.ranking, [row])
        if view.mark(row):
            button("Release", "undo", "patches/release_one", band.release, *one)
        else:
            button("Pin", "push_pin", "patches/pin_one", band.pin, *one, view.class_index, view.room)
            button("Drop", "block", "patches/drop_one", band.drop, *one)


def draw_files(view: View) -> None:
    """Draw the downloads, scores as CSV and chosen patches as zip, and a table that sorts when it is asked for."""
    name, class_name = short_name(view.experiment.dataset), view.data.spec.class_names[view.class_index]
    with st.container(horizontal=True, vertical_alignment="center"):
        wanted = st.toggle("Scores as a table", key="patches/table")
        st.space("stretch")
        scores = partial(scores_csv, view.ranking, view.data.train.names, view.class_index, view.chosen)
        file = f"{name}-{class_name}-scores.csv"
        download(f"Scores of {class_name}, CSV", "table", "patches/csv", scores, file, "text/csv")
        table = partial(ranking_csv, view.ranking, view.data.train.names)
        what = "All classes with the published code's columns; it can be imported here and by `delt rank`."
        look = {"help": what, "disabled": bool(view.ranking.config.crops)}
        download("Ranking, CSV", "sort", "patches/ranking_csv", table, f"{name}-ranking.csv", "text/csv", **look)
        total, classes = view.experiment.recover.ipc * view.data.spec.num_classes, range(view.data.spec.num_classes)
        label = f"Chosen of all classes, {count(total)} images"
        if total > MOST_IN_ZIP:
            label, classes = f"Chosen of {class_name}", [view.class_index]
        what = "An image folder per class, in the order of joining, and selection.csv."
        file = f"{name}-chosen.zip"

        def images() -> bytes:
            return selection_zip(view.data, view.select(classes))

        download(f"{label}, zip", "folder_zip", "patches/zip", images, file, "application/zip", help=what)
    if wanted:
        _table(view)


def _table(view: View) -> None:
    import pandas as pd  # here, for the page opens without it

    ranking, rows = view.ranking, view.rows
    images = [view.joins.get(rank) for rank in range(len(rows))]
    columns: dict[str, object] = {
        "Rank": np.arange(1, len(rows) + 1),
        "Probability": view.probabilities,
        "Joins in round": pd.array([image and image.start_round for image in images], dtype="Int64"),
        "Iterations": pd.array([image and image.iterations for image in images], dtype="Int64"),
        "By hand": [view.mark(int(row)) for row in rows],
        "Training image": [view.data.train.names[int(index)] for index in ranking.image_index[rows]],
        "Crop": [", ".join(map(str, box)) for box in ranking.crop_box[rows].tolist()],
        "Row": rows,
    }
    if len(rows) <= MOST_PICTURES:
        columns = {"Patch": view.pictures(range(len(rows)), real_pictures.patch_pictures), **columns}
    config = {
        "Patch": st.column_config.ImageColumn(width="small"),
        "Probability": st.column_config.ProgressColumn(min_value=0, max_value=1, format="%.4f"),
        "Crop": st.column_config.TextColumn(help="Top, left, height, width in pixels of the original."),
        "Row": st.column_config.NumberColumn(help="Place in the ranking, as --pinned and --dropped count."),
    }
    look = {"hide_index": True, "height": 420, "column_config": config}
    st.dataframe(pd.DataFrame(columns), key="patches/scores", **look)
