"""Predict, then reveal: which half of a class is more alike, the early or the late one?"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from delt_engine.analysis.similarity import halves
from delt_engine.plots import lab
from delt_engine.plots.recovery import round_colour
from pages.shared.gallery.grid import Cell, Frame, Head, Look, Row, gallery_grid
from pages.shared.lab import cached
from pages.shared.lab.source import Scene
from pages.shared.runs import strips
from pages.shared.runs.strips import stamp
from pages.shared.wording import count, plain

GUESSES = {"early": "The early half", "late": "The late half", "same": "About the same"}
ABOUT = 0.02
"""Cosines that differ by less count as about the same."""


@dataclass(frozen=True)
class Likeness:
    """Mean cosine of the pairs in each half after the rounds ``iterations``, and what it was measured in."""

    iterations: tuple[int, ...]
    early: tuple[float, ...]
    late: tuple[float, ...]
    space: str

    @property
    def answer(self) -> str:
        """Which half is more alike at the end."""
        gap = self.early[-1] - self.late[-1]
        return "same" if abs(gap) < ABOUT else "early" if gap > 0 else "late"


def likeness(scene: Scene, class_name: str) -> Likeness:
    """Return what was measured of a class: recorded in teacher features, of a run in pixels."""
    step = scene.config.round_iterations
    if scene.source.lab:
        record = scene.source.lab.halves(class_name)
        iterations = tuple(at * step for at in range(len(record.early)))
        return Likeness(iterations, record.early, record.late, scene.source.lab.record.features)
    run = scene.source.run
    class_index = run.class_names.index(class_name)
    rounds = tuple(run.rounds_written(class_index))
    newest = stamp(run.snapshot_path(class_index, rounds[-1]))
    pairs = cached.run_halves(str(run.path), class_index, rounds, newest)
    early, late = zip(*pairs, strict=True)
    return Likeness(
        tuple(at * step for at in rounds), early, late, "the normalised pixels; this run stored no features"
    )


def predict(scene: Scene) -> None:
    """Show both halves, take the guess, and only then the measured answer."""
    ipc = scene.config.ipc
    if ipc < 4:
        st.info(f"This run has {ipc} images per class; comparing two halves needs at least 4.")
        return
    measured = likeness(scene, scene.class_name)
    _halves_grid(scene)
    key = f"lab/guess/{scene.source.id}/{scene.class_name}"
    guess = st.segmented_control(
        "Your prediction: which half is more alike at the end?", list(GUESSES), key=key, format_func=GUESSES.get
    )
    if guess is None:
        st.caption("The measured answer appears when you have picked one.")
        return
    _reveal(scene, measured, guess)


def _reveal(scene: Scene, measured: Likeness, guess: str) -> None:
    right = guess == measured.answer
    (st.success if right else st.warning)(
        f"{'Right' if right else 'Not this time'}: {_answer(measured)}",
        icon=":material/check:" if right else ":material/close:",
    )
    early, late = halves(scene.config.ipc)
    pairs = len(early) * (len(early) - 1) // 2
    with st.grid(2, min_column_width=220):
        for name, values, half in (("Early half", measured.early, early), ("Late half", measured.late, late)):
            st.metric(
                f"{name}, images {half.start + 1} to {half.stop}",
                f"{values[-1]:.3f}",
                delta=f"{values[-1] - values[0]:+.3f} since the real patches",
                delta_color="off",
            )
    st.plotly_chart(
        lab.likeness_curves(measured.iterations, measured.early, measured.late),
        key="lab/likeness",
        config={"displayModeBar": False},
    )
    others = {name: likeness(scene, name) for name in scene.source.classes} if scene.source.lab else {}
    if len(others) > 1:
        more = sum(other.early[-1] > other.late[-1] for other in others.values())
        st.markdown(f"**Is that so for every class?** The early half is more alike in {more} of {len(others)} classes.")
        st.plotly_chart(
            lab.likeness_pairs({name: (other.early[-1], other.late[-1]) for name, other in others.items()}),
            key="lab/all-classes",
            config={"displayModeBar": False},
        )
    st.caption(
        f"Mean cosine similarity of all {pairs} pairs in a half; 1 is identical. The real patches they started from "
        f"had {measured.early[0]:.3f} early and {measured.late[0]:.3f} late. Measured in {measured.space}. "
        f"{plain(scene.origin)}"
    )


def _answer(measured: Likeness) -> str:
    after = f"after {count(measured.iterations[-1])} iterations"
    end = f"{measured.early[-1]:.3f} early, {measured.late[-1]:.3f} late {after}"
    words = {
        "early": "the early half is more alike",
        "late": "the late half is more alike",
        "same": f"they differ by less than {ABOUT:g}",
    }
    return f"{words[measured.answer]} ({end})."


def _halves_grid(scene: Scene) -> None:
    schedule, class_index = scene.config.schedule, scene.class_index
    if scene.source.lab:
        made = scene.source.lab
        sheets = cached.row_strips(str(made.folder), made.halves(scene.class_name).sheet)
        last = scene.config.iterations
    else:
        run = scene.source.run
        rounds = run.rounds_written(class_index)
        paths = (run.snapshot_path(class_index, number) for number in (rounds[0], rounds[-1]))
        sheets, last = [strips.address(run, path) or "" for path in paths], rounds[-1] * scene.config.round_iterations
    early, late = halves(schedule.ipc)
    shown = {*early, *late}
    cells = tuple(
        Cell(
            id=str(index),
            x=index,
            sheets=(0, 1),
            colour=round_colour(start, schedule.num_rounds),
            alt=f"{scene.class_name}, image {index + 1}, joins in round {start}",
        )
        for index, start in enumerate(schedule.start_rounds)
        if index in shown
    )
    head = tuple(
        Head(len(half), name, note)
        for half, name, note in (
            (early, "Early half", _iterations(scene, early)),
            (late, "Late half", _iterations(scene, late)),
        )
    )
    frames = (Frame("The real patches", "0"), Frame(f"After {count(last)} iterations", count(last)))
    look = Look(tile=scene.tile, shown=88, slider=True, columns=max(16, len(shown)) if len(shown) <= 20 else 10)
    gallery_grid([Row("", cells)], list(sheets), key="lab/halves", look=look, frames=frames, head=head, frame=1)


def _iterations(scene: Scene, half: range) -> str:
    """Say how many iterations the images of a half get."""
    each = scene.config.schedule.image_iterations_each[half.start : half.stop]
    return (
        f"{count(each[0])} iterations" if each[0] == each[-1] else f"{count(each[0])} to {count(each[-1])} iterations"
    )
