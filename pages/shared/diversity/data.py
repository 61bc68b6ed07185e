"""Which sets of images the diversity page compares, what is measured of them already, and what each is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import streamlit as st

from delt_engine.analysis.diversity_store import RANDOM, REAL, SPACE_TITLES
from delt_engine.analysis.similarity import halves
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.data.decode import view_side
from delt_engine.errors import CheckpointError
from delt_engine.pipeline.image_sets import Subject, of_run, reference
from delt_engine.pipeline.measure import not_neutral, space_network, stored_result, why_none
from delt_engine.plots.diversity import Shown
from delt_engine.runs.store import Run
from pages.shared import controls
from pages.shared.wording import count, distinct, id_end, long_title, plain, rounds_text

SPACES = {
    "teacher": "the features that the teacher's last layer is given. The images were optimised against this network, "
    "so it may see more or less variety than there is.",
    "second": "the features of another network that took no part in making the images, so it is a fairer witness.",
    "pixels": "the pixels themselves, normalised by the data's statistics. It sees colour and place, not content.",
}
SPACE_NAMES = {"teacher": "Teacher", "second": "Second network", "pixels": "Pixels"}


@dataclass(frozen=True, eq=False)
class Sets:
    """Sets of images side by side: what is measured of ``runs`` in a space, references last, and what is ``missing``.

    ``refusal`` says why this space cannot be measured, "" when it can.
    """

    runs: tuple[Run, ...]
    space: str
    shown: list[Shown] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    refusal: str = ""

    @property
    def axis(self) -> str:
        """In which features, for axes and tables."""
        network = next((one.result.network_title for one in self.shown if one.result.network_title), "")
        return f"{SPACE_TITLES[self.space].lower()}" + (f" ({network})" if network else "")


def choose(runs: Sequence[Run], subject: Run | None = None) -> tuple[list[Run], str]:
    """Draw the choices of dataset, IPC, runs and space, each kept in the address; return the runs and the space.

    At first ``subject``, the run that the page is about, stands beside the examples of its data.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = {run.id: _dataset(run) for run in runs}
        titles = {names[run.id]: _title(run) for run in runs}
        prints = {names[run.id]: run.record().dataset.fingerprint[:6] for run in runs}
        wanted = _one(
            "dataset",
            "Dataset",
            distinct(titles, prints.__getitem__),
            default=names.get(subject.id) if subject else None,
            width=210,
        )
        found = [run for run in runs if names[run.id] == wanted]
        runs_of = Counter(run.experiment.recover.ipc for run in found)
        ipcs = sorted(runs_of, key=lambda ipc: (ipc < 2, -runs_of[ipc], ipc))
        look = {"segmented": True} if len(ipcs) <= 5 else {"width": 210}
        if subject in found:
            look["default"] = str(subject.experiment.recover.ipc)
        ipc = int(_one("ipc", "Images per class", {str(ipc): str(ipc) for ipc in ipcs}, **look))
        found = [run for run in found if run.experiment.recover.ipc == ipc]
        space = _one("space", "Compared in", SPACE_NAMES, segmented=True)
    newest = {run.experiment.recover.method: run.id for run in reversed(found)}
    first = {*newest.values(), subject.id if subject else ""}  # the examples, else the newest of each method
    usual = [run.id for run in found if run.id in first]
    what = "; ".join(plain(long_title(run)) for run in found[:8])
    offered = {name: plain(title) for name, title in labels(found).items()}
    look = {"usual": usual, "placeholder": "Runs", "help": what}
    chosen = controls.linked_choices("runs", "Runs", offered, "diversity/runs", **look)
    return [run for run in found if run.id in chosen], space


def _dataset(run: Run) -> str:
    """Return what tells the pictures of runs apart: two ways to make them square are one where both show all of it."""
    record = run.record().dataset
    resize = f"-{record.resize}" if view_side(record.image_size, record.resize) > record.image_size else ""
    return f"{record.name}-{record.image_size}-{record.fingerprint[:6]}{resize}"


def _title(run: Run) -> str:
    record = run.record().dataset
    is_cut = view_side(record.image_size, record.resize) > record.image_size
    return f"{record.title}, {record.image_size} px" + (", cut as published" if is_cut else "")


def _one(name: str, label: str, options: dict[str, str], **look: object) -> str:
    """Draw one choice; a link may name the beginning of an option."""

    def read(text: str) -> str:
        return next((one for one in options if one.startswith(text)), next(iter(options)))

    return controls.linked_choice(name, label, options, f"diversity/{name}", read=read, **look)


def labels(runs: Sequence[Run]) -> dict[str, str]:
    """Return what to call each run, by its id: the method, and MI, RI and the end of the id where it needs more."""
    titles = {run.id: run.record().method_title for run in runs}
    several, found = Counter(titles.values()), {}
    for run in runs:
        recover = run.experiment.recover
        more = f", {rounds_text(recover)}" if several[titles[run.id]] > 1 and recover.is_optimised else ""
        found[run.id] = titles[run.id] + more
    return distinct(found, id_end)


def gather(runs: Sequence[Run], space: str) -> Sets:
    """Return what is measured of runs in a space, with real images at the same number a class."""
    subjects, names = [of_run(run) for run in runs], labels(runs)
    sets = Sets(tuple(runs), space, refusal=why_none(subjects[0], space))
    for subject, run in zip(subjects, runs, strict=True):
        _add(sets, subject, names[run.id], run.experiment.recover.schedule)
    for kind in [REAL] if any(one.method == RANDOM for one in subjects) else [REAL, RANDOM]:
        real = reference(subjects[0], kind)
        _add(sets, real, real.title)
    return sets


def _add(sets: Sets, subject: Subject, label: str, schedule: EarlyLateSchedule | None = None) -> None:
    found = stored_result(subject, sets.space)
    if found is None:
        sets.missing.append(label)
        return
    halved = halves(schedule.ipc) if schedule and found.rounds else ()
    sets.shown.append(Shown(label, found, *(f"{half_iterations(schedule, half)} iterations" for half in halved)))


def half_iterations(schedule: EarlyLateSchedule, half: range) -> str:
    """Return how many iterations the images of a half get.

    >>> [half_iterations(EarlyLateSchedule(4, 40, 10), half) for half in halves(4)]
    ['40 to 30', '20 to 10']
    """
    each = schedule.image_iterations_each[half.start : half.stop] or (0,)
    return count(each[0]) if each[0] == each[-1] else f"{count(each[0])} to {count(each[-1])}"


def not_neutral_words(runs: Sequence[Run], space: str) -> list[str]:
    """Return a sentence for each run whose images were made by a network of the kind that they are compared in."""
    return [words for run in runs if (words := not_neutral(of_run(run), space))]


def network_of(run: Run, space: str) -> str:
    """Return which network a space has for a run, "" for pixels or when there is none."""
    if space == "pixels":
        return ""
    try:
        return space_network(of_run(run), space).title
    except CheckpointError:
        return ""


def cosine(run: Run, space: str = "teacher") -> float | None:
    """Return a run's mean cosine similarity, None where it is not measured yet."""
    if run.unreadable or run.status != "finished" or run.record().kind != "recover":
        return None
    found = stored_result(of_run(run), space)
    return found.mean if found else None
