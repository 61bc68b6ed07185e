"""The tour of six steps through early and late, links that open a step with what they lock, and what to take home."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

import streamlit as st

from delt_engine.lab.filmstrip import FORMATS, FilmLane, animation, film_strip
from pages.shared import address, controls
from pages.shared.controls import button
from pages.shared.lab.source import Scene
from pages.shared.wording import count, rounds_text

STEP, UPTO = "lab/step", "lab/upto"
CHOICES = {"twins": "All start rounds", "single": "One patch"}
LOCKABLE = {"step": "Step", "src": "Material", "cls": "Class", "patch": "Patch", "upto": "End of the timeline"}
"""What a link can lock, by the name of its parameter."""


@dataclass(frozen=True)
class Step:
    """One step of the tour: what is shown and what to ask a class."""

    title: str
    text: str
    ask: str
    of_run: str = ""
    """What is said in place of ``text`` where a run is shown, which has no twins."""


STEPS = (
    Step(
        "One patch",
        "A real patch, and the same patch after each iteration of optimisation. The trained teacher never changes; "
        "only these pixels do.",
        "When is it no longer a photograph for you? And what does the teacher think of it then?",
    ),
    Step(
        "Early and late twins",
        "The same patch joins the same run in different rounds. Companions, crops, learning rate and seed are "
        "the same; only its start differs.",
        "Which one still shows its photograph at the end, and why?",
        "The first image to join in each round of a run. Learning rate and crops are the same; patches and starts "
        "differ. The recorded lab has the same patch in every round.",
    ),
    Step(
        "What a late image gets",
        "Learning rate and smallest crop fall over the whole run. A late image meets them where they stand by then: "
        "small steps, small crops.",
        "If the last image got the first iterations of the run instead of the last ones, would it look the same?",
    ),
    Step(
        "Predict, then reveal",
        "Look at a class at the end of the run: the half that joined first, and the half that joined last.",
        "Which half is more alike, image to image?",
    ),
    Step(
        "Inside one iteration",
        "Every iteration does the same six things. Step through one at the beginning, in the middle and near the end.",
        "Which stage makes late iterations gentle?",
    ),
    Step(
        "Take it home",
        "A film strip for a slide, an animation for a web page, and links for a lesson.",
        "What would you show to explain early and late in ten seconds?",
    ),
)


def locked() -> frozenset[str]:
    """Return what the page's link has locked: all with ``lock=1``, or those it names."""
    given = st.query_params.get("lock", "")
    names = LOCKABLE if given == "1" else given.split(",")
    return frozenset(name for name in names if name in LOCKABLE)


def choose_step() -> int:
    """Draw the steps and return the number of the chosen one, from 1."""
    titles = {number: f"{number} {step.title}" for number, step in enumerate(STEPS, start=1)}
    look = {"disabled": "step" in locked(), "label_visibility": "collapsed", "width": "stretch"}
    return controls.linked_choice("step", "Step", titles, STEP, segmented=True, always=True, **look)


def introduce(number: int, *, is_run: bool) -> None:
    """Say what the step shows of a recorded lab or of a run, and what to ask."""
    step = STEPS[number - 1]
    st.subheader(step.title)
    st.markdown(step.of_run if is_run and step.of_run else step.text)
    st.markdown(f":material/help: **Ask:** {step.ask}")


def walk(number: int) -> None:
    """Draw the way to the steps before and after."""
    if "step" in locked():
        return
    go = st.session_state.update
    with st.container(horizontal=True):
        if number > 1:
            button("Back", "arrow_back", "lab/back", go, {STEP: number - 1})
        if number < len(STEPS):
            button(f"Next: {STEPS[number].title}", "", "lab/next", go, {STEP: number + 1}, type="primary")


def choose_end(iterations: int, round_iterations: int) -> int:
    """Return the iteration at which the timeline ends: as a link says, MI else; a teacher can hide the rest."""
    ends = list(range(round_iterations, iterations + 1, round_iterations))
    address.restore("upto", UPTO, address.member(ends))
    if st.session_state.get(UPTO) not in ends:
        st.session_state[UPTO] = iterations
    return st.session_state[UPTO]


def lesson_links(iterations: int, round_iterations: int) -> None:
    """Draw what makes a link for a lesson: where the timeline ends, and what is locked."""
    fixed = locked()
    if fixed:
        what = ", ".join(title.lower() for name, title in LOCKABLE.items() if name in fixed)
        st.badge("Locked by the link", icon=":material/lock:", color="gray", help=f"Fixed here: {what}.")
        return
    with st.popover("Lesson link", icon=":material/link:"):
        ends = list(range(round_iterations, iterations + 1, round_iterations))
        if len(ends) > 1:
            st.select_slider("The timeline ends at iteration", ends, key=UPTO)
        names = st.multiselect("Lock", list(LOCKABLE), default=list(LOCKABLE), key="lab/lock", format_func=LOCKABLE.get)
        query = {name: value for name, value in st.query_params.to_dict().items() if name not in ("lock", "upto")}
        if len(ends) > 1 and st.session_state[UPTO] != iterations:
            query["upto"] = str(st.session_state[UPTO])
        if names:
            query["lock"] = "1" if len(names) == len(LOCKABLE) else ",".join(names)
        base = (st.context.url or "early_late").split("?")[0]
        st.code(f"{base}?{urlencode(query)}", language=None, wrap_lines=True)
        st.caption("Whoever opens it sees this view; locked controls cannot be moved there.")


def take_home(scene: Scene) -> None:
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
        controls.download("Film strip (PNG)", "view_column", "lab/png", strip, f"{name}.png", "image/png")
        for kind, mime in FORMATS.items():
            label = f"Animation ({kind.upper() if kind == 'gif' else 'WebP'})"
            controls.download(label, "animation", f"lab/{kind}", partial(moving, kind), f"{name}.{kind}", mime)
    st.image(strip(), caption="The film strip", output_format="PNG")
    if scene.source.lab:
        with st.expander("How this was recorded"):
            st.code(scene.source.lab.record.command, language="bash", wrap_lines=True)
            st.caption("Record a lab of your own data with the same command and another --dataset; it appears here.")
