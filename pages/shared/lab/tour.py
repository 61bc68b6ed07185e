"""The tour of the lessons through early and late, links that open one with what they lock, and what to take home."""

from __future__ import annotations

import shlex
from contextlib import suppress
from functools import partial
from urllib.parse import urlencode

import streamlit as st

from delt_engine.lab.filmstrip import FORMATS, FilmLane, animation, film_strip
from delt_engine.lab.lessons import IN_THE_FILE, LESSONS
from delt_engine.pipeline.lab_page import lab_page
from pages.shared import address, cached, controls
from pages.shared.controls import button
from pages.shared.lab.source import Source, SourceScene
from pages.shared.wording import count, rounds_text

STEP, UPTO = "lab/step", "lab/upto"
CHOICES = {"twins": "All start rounds", "single": "One patch"}
LOCKABLE = {"step": "Step", "src": "Images from", "cls": "Class", "patch": "Patch", "upto": "End of the timeline"}
"""What a link can lock, by the name of its parameter."""


def locked() -> frozenset[str]:
    """Return what the page's link has locked: all with ``lock=1``, or those it names."""
    given = st.query_params.get("lock", "")
    names = LOCKABLE if given == "1" else given.split(",")
    return frozenset(name for name in names if name in LOCKABLE)


def choose_step() -> int:
    """Draw the steps and return the number of the chosen one, 0 for the pipeline."""
    titles = {0: "Pipeline"} | {number: f"{number} {lesson.short}" for number, lesson in enumerate(LESSONS, start=1)}
    look = {"disabled": "step" in locked(), "label_visibility": "collapsed", "width": "stretch"}
    return controls.linked_choice("step", "Step", titles, STEP, segmented=True, always=True, **look)


def introduce(number: int, *, is_run: bool) -> None:
    """Say what the step shows of a recorded lab or of a run, and what to ask."""
    lesson = LESSONS[number - 1]
    st.subheader(lesson.title)
    st.markdown(lesson.of_run if is_run and lesson.of_run else lesson.text)
    st.markdown(f":material/help: **Ask:** {lesson.ask}")


def walk(number: int) -> None:
    """Draw the way to the steps before and after."""
    if "step" in locked():
        return
    go = st.session_state.update
    with st.container(horizontal=True):
        if number:
            button("Back", "arrow_back", "lab/back", go, {STEP: number - 1})
        if number < len(LESSONS):
            button(f"Next: {LESSONS[number].title}", "", "lab/next", go, {STEP: number + 1}, type="primary")


def choose_end(iterations: int, round_iterations: int) -> int:
    """Return the iteration at which the timeline ends: as a link says, MI else; a teacher can hide the rest."""
    ends = list(range(round_iterations, iterations + 1, round_iterations))
    address.restore("upto", UPTO, address.member(ends))
    if st.session_state.get(UPTO) not in ends:
        st.session_state[UPTO] = iterations
    return st.session_state[UPTO]


def for_a_class(source: Source) -> None:
    """Draw what a teacher gives to a class: a link, with where the timeline ends and what is locked, and the file."""
    iterations, round_iterations = source.config.iterations, source.config.round_iterations
    fixed = locked()
    if fixed:
        what = ", ".join(title.lower() for name, title in LOCKABLE.items() if name in fixed)
        st.badge("Locked by the link", icon=":material/lock:", color="gray", help=f"Fixed here: {what}.")
        return
    with st.popover("Lesson link", icon=":material/link:"):
        ends = list(range(round_iterations, iterations + 1, round_iterations))
        if len(ends) > 1:
            st.select_slider("The timeline ends at iteration", ends, st.session_state[UPTO], key=UPTO)
        names = st.multiselect("Lock", list(LOCKABLE), default=list(LOCKABLE), key="lab/lock", format_func=LOCKABLE.get)
        query = {name: value for name, value in st.query_params.to_dict().items() if name not in ("lock", "upto")}
        if len(ends) > 1 and st.session_state[UPTO] != iterations:
            query["upto"] = str(st.session_state[UPTO])
        if names:
            query["lock"] = "1" if len(names) == len(LOCKABLE) else ",".join(names)
        base = (st.context.url or "early_late").split("?")[0]
        st.code(f"{base}?{urlencode(query)}", language=None, wrap_lines=True)
        st.caption("Whoever opens it sees this view; locked controls cannot be moved there.")
        if source.lab:
            one_file(source, "lab/file")
            st.caption("A page with the images inside, for a class without an installation: opens without a network.")


def one_file(source: Source, key: str) -> None:
    """Draw the button that saves a lab's first lessons as one page; it is made when pressed."""

    def page() -> bytes:
        return lab_page(source.lab, cached.recoveries(examples_first=True, finished=True)).text.encode()

    name, label = f"early-late-{source.lab.name}.html", f"{len(IN_THE_FILE)} lessons as one file (HTML)"
    controls.download(label, "html", key, page, name, "text/html")


def take_home(scene: SourceScene) -> None:
    """Draw what to download, made when its button is pressed, and how it was recorded."""
    what = controls.choice("Show", CHOICES, "lab/export", default="twins", segmented=True)
    lanes = scene.lanes if what == "twins" else (scene.single,)
    name, moments = f"early-late-{scene.class_name}-{scene.number}-{what}", scene.moments
    heading = f"{scene.class_name}: {rounds_text(scene.config, ', ')}, IPC {scene.config.ipc}"

    def film() -> list[FilmLane]:
        made = []
        for lane in lanes:
            words = (f"{count(m - lane.first)} iterations" if m >= lane.first else "waits" for m in moments)
            made.append(FilmLane(lane.title, scene.frames(lane), tuple(words)))
        return made

    def strip() -> bytes:
        return film_strip(film(), moments, heading=heading)

    def moving(kind: str) -> bytes:
        return animation(film(), moments, kind, heading=heading, frame_ms=80 if len(moments) > 20 else 400)

    with st.container(horizontal=True):
        if scene.source.lab:
            one_file(scene.source, "lab/html")
        controls.download("Film strip (PNG)", "view_column", "lab/png", strip, f"{name}.png", "image/png")
        for kind, mime in FORMATS.items():
            label = f"Animation ({kind.upper() if kind == 'gif' else 'WebP'})"
            controls.download(label, "animation", f"lab/{kind}", partial(moving, kind), f"{name}.{kind}", mime)
    st.image(strip(), caption="The film strip", output_format="PNG")
    if scene.source.lab:
        with st.expander("How this was recorded"):
            with suppress(ValueError):  # a lab that others made may say anything
                controls.command(shlex.split(scene.source.lab.record.command))
            st.caption("Record a lab of your own data with the same command and another --dataset; it appears here.")
