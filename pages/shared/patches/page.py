"""All patches of a class, a page at a time: a click pins, drops, or tells about one."""

from __future__ import annotations

import streamlit as st

from pages.shared import cached
from pages.shared.gallery.grid import Cell, Look, Row, gallery_grid
from pages.shared.patches import band, picks
from pages.shared.patches.rows import View, page_grid
from pages.shared.runs.strips import tile_side
from pages.shared.session import prime
from pages.shared.wording import count, plain

PER_PAGE = 100
CLICK, SHOWN = "patches/click", "patches/shown"
CLICKS = {"looks": "look at it", "pins": "pin", "drops": "drop"}


def draw(view: View) -> None:
    """Draw the patches that are in the band, or picked, or all."""
    ranks = band.picked_ranks(view.ranking.true_class_prob[view.rows])
    ranks = list(range(len(view.rows))) if ranks is None else ranks.tolist()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        what = (
            f"{count(len(ranks))} of {count(len(view.rows))}"
            if len(ranks) < len(view.rows)
            else "All " + count(len(ranks))
        )
        st.subheader(f"{what} patches", width="content")
        st.space("stretch")
        now = prime(CLICK, "looks")
        st.segmented_control(
            "A click",
            list(CLICKS),
            default=now,
            key=CLICK,
            required=True,
            format_func=CLICKS.get,
            help="A click on a pinned or dropped patch releases it.",
        )
        now = prime("patches/sort", "hardest first")
        sort = st.segmented_control(
            "Sort", ["hardest first", "easiest first"], default=now, key="patches/sort", required=True
        )
    if not ranks:
        st.info("No patch of this class is in the band; widen it.")
        return
    ranks = ranks if sort == "hardest first" else ranks[::-1]
    at = st.pagination(-(-len(ranks) // PER_PAGE), key="patches/page")
    shown = st.session_state.get(SHOWN)
    if shown is not None and shown < len(view.rows):
        _about(view, shown)
    page_grid(view, ranks[PER_PAGE * (at - 1) : PER_PAGE * at], lambda: _clicked(view), shown)
    st.caption(f"{count(len(view.joins))} patches of this class are chosen; they carry the colour of their round.")


def _clicked(view: View) -> None:
    """Do with the clicked patch what a click stands for."""
    rank = int(st.session_state["patches/all"]["picked"].split("/")[1])
    row, deed = int(view.rows[rank]), st.session_state.get(CLICK, "looks")
    if deed == "looks":
        st.session_state[SHOWN] = None if st.session_state.get(SHOWN) == rank else rank
    elif row in view.config.pinned or row in view.config.dropped:
        picks.release(view.ranking, [row])
    elif deed == "pins":
        picks.pin(view.ranking, [row], view.class_index, view.room)
    else:
        picks.drop(view.ranking, [row])


def _about(view: View, rank: int) -> None:
    """Tell about one patch: where it is from, its score, and what becomes of it."""
    row = int(view.rows[rank])
    index, box = int(view.ranking.image_index[row]), tuple(view.ranking.crop_box[row].tolist())
    image = view.joins.get(rank)
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="patches/about"):
        sheet = cached.patch_sheet(view.experiment.dataset, view.experiment.image_size, (index,), (box,))
        cell = Cell("about", view.data.train.names[index], (0,))
        with st.container(width=140):
            gallery_grid(
                [Row("", (cell,))],
                [sheet],
                key="patches/about_image",
                look=Look(tile=tile_side(view.data.spec.image_size), shown=128, layout="grid"),
            )
        top, left, height, width = box
        fate = (
            f"Joins as image {image.index + 1} in round {image.start_round} of "
            f"{view.experiment.recover.schedule.num_rounds} and gets {count(image.iterations)} iterations."
            if image
            else "Not chosen under these settings."
        )
        probability = float(view.ranking.true_class_prob[row])
        st.markdown(
            f"**{plain(view.data.train.names[index])}**  \nprobability {probability:.4f}, rank {rank + 1} of "
            f"{count(len(view.rows))} (1 is the hardest)  \ncrop: {height} x {width} px from ({top}, {left})  \n{fate}",
            width="stretch",
        )
        if row in view.config.pinned or row in view.config.dropped:
            st.button(
                "Release",
                icon=":material/undo:",
                key="patches/release_one",
                on_click=picks.release,
                args=(view.ranking, [row]),
            )
        else:
            st.button(
                "Pin",
                icon=":material/push_pin:",
                key="patches/pin_one",
                on_click=picks.pin,
                args=(view.ranking, [row], view.class_index, view.room),
            )
            st.button(
                "Drop", icon=":material/block:", key="patches/drop_one", on_click=picks.drop, args=(view.ranking, [row])
            )
