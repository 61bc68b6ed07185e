"""Predict, then reveal: which half of a class is more alike, the early or the late one?"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from delt_engine.analysis.similarity import halves
from delt_engine.plots import diversity
from pages.shared import cached, figure
from pages.shared.diversity.data import half_iterations
from pages.shared.gallery.grid import Cell, Frame, Head, Look, Row, gallery_grid
from pages.shared.lab.source import Scene
from pages.shared.runs import strips
from pages.shared.runs.class_rows import start_colour
from pages.shared.wording import count, plain

GUESSES = {"early": "The early half", "late": "The late half", "same": "About the same"}
ABOUT = 0.02
"""Cosines that differ by less count as about the same."""


@dataclass(frozen=True)
class Similarity:
    """Mean cosine of the pairs in each half after the rounds ``iterations``, and what it was measured in."""

    iterations: tuple[int, ...]
    early: tuple[float, ...]
    late: tuple[float, ...]
    space: str


def similarity(scene: Scene, class_name: str) -> Similarity:
    """Return what was measured of a class: recorded in teacher features, of a run in pixels."""
    step = scene.config.round_iterations
    if scene.source.lab:
        record = scene.source.lab.halves(class_name)
        iterations = tuple(at * step for at in range(len(record.early)))
        return Similarity(iterations, record.early, record.late, scene.source.lab.record.features)
    run = scene.source.run
    class_index = run.class_names.index(class_name)
    rounds = tuple(run.rounds_written(class_index))
    early, late = zip(*cached.run_halves(run, class_index, rounds), strict=True)
    space = "the normalised pixels; this run stored no features"
    return Similarity(tuple(at * step for at in rounds), early, late, space)


def predict(scene: Scene) -> None:
    """Show both halves, take the guess, and only then the measured answer."""
    ipc = scene.config.ipc
    if ipc < 4:
        st.info(f"This run has {ipc} images per class; comparing two halves needs at least 4.")
        return
    _halves_grid(scene)
    key = f"lab/guess/{scene.source.id}/{scene.class_name}"
    question = "Your prediction: which half is more alike at the end?"
    guess = st.segmented_control(question, list(GUESSES), key=key, format_func=GUESSES.get)
    if guess is None:
        st.caption("The measured answer appears when you have picked one.")
    else:
        _reveal(scene, similarity(scene, scene.class_name), guess)


def _reveal(scene: Scene, measured: Similarity, guess: str) -> None:
    gap = measured.early[-1] - measured.late[-1]
    right = "same" if abs(gap) < ABOUT else "early" if gap > 0 else "late"
    answer = f"they differ by less than {ABOUT:g}" if right == "same" else f"the {right} half is more alike"
    after = f"after {count(measured.iterations[-1])} iterations"
    end = f"{measured.early[-1]:.3f} early, {measured.late[-1]:.3f} late {after}"
    if guess == right:
        st.success(f"Right: {answer} ({end}).", icon=":material/check:")
    else:
        st.warning(f"Not this time: {answer} ({end}).", icon=":material/close:")
    early, late = halves(scene.config.ipc)
    with st.grid(2, min_column_width=220):
        for name, values, half in (("Early half", measured.early, early), ("Late half", measured.late, late)):
            since = f"{values[-1] - values[0]:+.3f} since the real patches"
            title = f"{name}, images {half.start + 1} to {half.stop}"
            st.metric(title, f"{values[-1]:.3f}", delta=since, delta_color="off")
    figure.plain(diversity.likeness_curves(measured.iterations, measured.early, measured.late), "lab/likeness")
    others = {name: similarity(scene, name) for name in scene.source.classes} if scene.source.lab else {}
    if len(others) > 1:
        ends = {name: (other.early[-1], other.late[-1]) for name, other in others.items()}
        more = sum(first > last for first, last in ends.values())
        st.markdown(f"**Is that so for every class?** The early half is more alike in {more} of {len(others)} classes.")
        figure.plain(diversity.likeness_pairs(ends), "lab/all-classes")
    st.caption(
        f"Mean cosine similarity of all {len(early) * (len(early) - 1) // 2} pairs in a half; 1 is identical. The real "
        f"patches they started from had {measured.early[0]:.3f} early and {measured.late[0]:.3f} late. Measured in "
        f"{measured.space}. {plain(scene.origin)}"
    )


def _halves_grid(scene: Scene) -> None:
    schedule, lab, run = scene.config.schedule, scene.source.lab, scene.source.run
    if lab:
        sheets, last = cached.lab_rows(str(lab.folder), lab.halves(scene.class_name).sheet), scene.config.iterations
    else:
        rounds = run.rounds_written(scene.class_index)
        paths = (run.snapshot_path(scene.class_index, number) for number in (rounds[0], rounds[-1]))
        sheets, last = [strips.address(run, path) or "" for path in paths], rounds[-1] * scene.config.round_iterations
    early, late = halves(schedule.ipc)
    cells = []
    for index in (*early, *late):
        start = schedule.start_rounds[index]
        alt = f"{scene.class_name}, image {index + 1}, joins in round {start}"
        cells.append(Cell(str(index), alt, (0, 1), index, colour=start_colour(schedule, start)))
    gallery_grid(
        [Row("", tuple(cells))],
        list(sheets),
        key="lab/halves",
        look=Look(tile=scene.tile, shown=88, slider=True, columns=max(16, len(cells)) if len(cells) <= 20 else 10),
        frames=(Frame("The real patches", "0"), Frame(f"After {count(last)} iterations", count(last))),
        head=[
            Head(len(half), name, f"{half_iterations(schedule, half)} iterations")
            for half, name in ((early, "Early half"), (late, "Late half"))
        ],
        frame=1,
    )
