"""Predict, then reveal: whose images of a class are more alike, DELT's or CDA's? And what is so inside one DELT run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from delt_engine.analysis.similarity import halves
from delt_engine.config.methods import METHOD_TITLES
from delt_engine.lab import claim as claims
from delt_engine.lab.claim import Claim
from delt_engine.pipeline.claim import claim_runs
from delt_engine.plots import claim as figures
from delt_engine.runs.store import Run
from pages.shared import cached, controls, figure, nav
from pages.shared.diversity.data import half_iterations
from pages.shared.gallery.grid import Cell, Film, Frame, Head, Look, Row, gallery_grid
from pages.shared.lab import stored
from pages.shared.lab.source import Source, SourceScene
from pages.shared.runs import class_rows, strips
from pages.shared.runs.class_rows import start_colour
from pages.shared.wording import count, plain, sentence


def compared_runs(source: Source) -> list[Run]:
    """Return the DELT run that a lab or a run is about, and after it CDA's and SRe2L's under the same settings."""
    runs = cached.recoveries(examples_first=True, finished=True)
    if source.lab:
        return claim_runs(runs, source.lab.record.dataset_fingerprint)
    record = source.run.record().dataset
    return claim_runs(runs, record.fingerprint, source.run) if record and source.run.status == "finished" else []


def predict(scene: SourceScene) -> None:
    """Show one class made by each method, take the guess, and only then the measured answer."""
    runs = compared_runs(scene.source)
    found = stored.claim(tuple(runs)) if runs else None
    if found is None or scene.class_name not in found.delt.alike:
        _only_halves(scene)
        return
    methods_grid(runs, scene.class_name, "lab/methods")
    names = {one.method: f"{one.title}'s" for one in (found.delt, found.baseline)}
    key = f"lab/guess/{scene.source.id}/{scene.class_name}"
    question = "Your prediction: whose images of this class are more alike?"
    guess = st.segmented_control(question, list(names), key=key, format_func=names.get)
    if guess is None:
        st.caption("The measured answer appears when you have picked one.")
    else:
        _reveal(found, scene.class_name, guess)


def _reveal(found: Claim, class_name: str, guess: str) -> None:
    is_right = guess == found.more_alike(class_name)
    said = f"{'Right' if is_right else 'Not this time'}: {plain(claims.answer_text(found, class_name))}."
    (st.success if is_right else st.warning)(said, icon=f":material/{'check' if is_right else 'close'}:")
    st.markdown(f"**Is that so for every class?** {claims.overall_text(found)}")
    figure.plain(figures.claim_dots(found, class_name), "lab/claim")
    if found.pairs:
        st.markdown(f"**And inside one DELT run?** {claims.inside_text(found.pairs)} {claims.WHY}")
        figure.plain(figures.pair_dots(found.pairs, class_name), "lab/pairs")
    if found.elsewhere:
        st.markdown("**The same compared in other ways**")
        spaces = {found.space: {one.method: one.mean for one in found.sets}, **found.elsewhere}
        controls.table(
            [
                {"Mean cosine over all classes, in": sentence(plain(space))}
                | {one.title: f"{means[one.method]:.3f}" for one in found.sets}
                for space, means in spaces.items()
            ]
        )
    st.caption(plain(claims.origin_text(found)))


def methods_grid(runs: Sequence[Run], class_name: str, key: str) -> None:
    """Draw the class as each run made it, after every number of iterations at which all have pictures."""
    films = [class_rows.film(run, [run.class_names.index(class_name)]) for run in runs]
    places = [_by_iterations(run, film) for run, film in zip(runs, films, strict=True)]
    shared = [at for at in places[0] if all(at in place for place in places)]
    made = Film(frames=[replace(films[0].frames[places[0][at]], note="") for at in shared])
    for run, film, place in zip(runs, films, places, strict=True):
        shift, row = len(made.sheets), film.rows[0]
        made.sheets += film.sheets
        cells = tuple(_moved(cell, [place[at] for at in shared], shift, run.id) for cell in row.cells)
        made.rows.append(replace(row, title=METHOD_TITLES[run.experiment.recover.method], note="", cells=cells))
    look = Look(tile=class_rows.tile_side(runs[0]), shown=76, slider=True)
    gallery_grid(made.rows, made.sheets, key=key, look=look, frames=made.frames, frame=len(made.frames) - 1)


def _by_iterations(run: Run, film: Film) -> dict[int, int]:
    """Return the frames of a film by how many iterations were completed."""
    return {number * run.experiment.recover.round_iterations: at for at, number in enumerate(film.rounds)}


def _moved(cell: Cell, frames: Sequence[int], shift: int, run_id: str) -> Cell:
    sheets = tuple(None if cell.sheets[at] is None else cell.sheets[at] + shift for at in frames)
    joins = sum(at < cell.joins for at in frames)
    return replace(cell, id=f"{run_id}/{cell.id}", sheets=sheets, joins=joins)


def _only_halves(scene: SourceScene) -> None:
    """Say that there is nothing to hold DELT against, and show the halves of the class for what they are."""
    source, ipc = scene.source, scene.config.ipc
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(
            "EarlyLate's claim is about a class as a whole: DELT beside CDA or SRe²L with the same data, teacher, IPC, "
            "MI and seed. There are no such finished runs beside this one yet."
        )
        nav.link("distill/recover", "Make one", **({"run": source.run.id} if source.run else {}))
    if ipc < 4:
        st.caption(f"This run has {ipc} images per class; two halves need at least 4.")
        return
    _halves_grid(scene)
    early, late, space = _halves_now(scene)
    with st.grid(2, min_column_width=220):
        st.metric("Two early images", f"{early:.3f}")
        st.metric("Two late images", f"{late:.3f}")
    st.caption(
        f"Mean cosine similarity of the pairs inside each half at the end; 1 is identical. Measured in {space}. That "
        f"does not say how alike the whole class is. {plain(scene.origin)}"
    )


def _halves_now(scene: SourceScene) -> tuple[float, float, str]:
    """Return how alike two early and two late images of the class are, and what that was measured in."""
    if scene.source.lab:
        record = scene.source.lab.halves(scene.class_name)
        return record.early[-1], record.late[-1], plain(scene.source.lab.record.features)
    rounds = tuple(scene.source.run.rounds_written(scene.class_index))
    early, late = cached.run_halves(scene.source.run, scene.class_index, rounds)[-1]
    return early, late, "the normalised pixels"


def _halves_grid(scene: SourceScene) -> None:
    schedule, lab, run = scene.config.schedule, scene.source.lab, scene.source.run
    if lab:
        sheets, last = stored.rows(str(lab.folder), lab.halves(scene.class_name).sheet), scene.config.iterations
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
        frames=(Frame("At the start", "0"), Frame(f"After {count(last)} iterations", count(last))),
        head=[
            Head(len(half), name, f"{half_iterations(schedule, half)} iterations")
            for half, name in ((early, "Early half"), (late, "Late half"))
        ],
        frame=1,
    )
