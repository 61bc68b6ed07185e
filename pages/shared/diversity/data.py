"""Which sets of images the diversity page compares, what is measured of them already, and what each is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from delt_engine.analysis.diversity_store import RANDOM, REAL, SPACE_TITLES, DiversityResult
from delt_engine.analysis.similarity import halves
from delt_engine.config.methods import METHOD_TITLES
from delt_engine.errors import CheckpointError
from delt_engine.pipeline.image_sets import Subject, of_run, reference
from delt_engine.pipeline.measure import space_network, stored_result, why_none
from delt_engine.plots.diversity import Shown
from delt_engine.runs.store import Run
from pages.shared import cached
from pages.shared.wording import count, id_end

SPACES = {
    "teacher": "the features that the teacher's last layer is given. The images were optimised against this network, "
    "so it may see more or less variety than there is.",
    "second": "the features of another network that took no part in making the images, so it is a fairer witness.",
    "pixels": "the pixels themselves, normalised by the data's statistics. It sees colour and place, not content.",
}
SPACE_NAMES = {"teacher": "Teacher", "second": "Second network", "pixels": "Pixels"}


@dataclass(frozen=True, eq=False)
class Sets:
    """Sets of images side by side.

    Args:
        runs: whose images.
        space: in which features.
        shown: what is measured, with names; references last.
        missing: titles of what is not measured yet.
        refusal: why this space cannot be measured, "" when it can.
    """

    runs: tuple[Run, ...]
    space: str
    shown: list[Shown] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    refusal: str = ""

    @property
    def names(self) -> dict[str, str]:
        """What each run is called, by its id."""
        return labels(self.runs)

    @property
    def axis(self) -> str:
        """In which features, for axes and tables."""
        network = next((one.result.network_title for one in self.shown if one.result.network_title), "")
        return f"{SPACE_TITLES[self.space].lower()}" + (f" ({network})" if network else "")


def measurable_runs() -> list[Run]:
    """Return the finished recoveries: the examples first, then the user's runs, newest first."""
    runs = [run for run in [*cached.examples(), *cached.runs()] if not run.unreadable and run.status == "finished"]
    return [run for run in runs if run.record().kind == "recover" and run.record().dataset and run.record().teacher]


def labels(runs: Sequence[Run]) -> dict[str, str]:
    """Return what to call each run, by its id: the method, and MI, RI and the end of the id where it needs more."""
    several = Counter(run.experiment.recover.method for run in runs)
    found = {}
    for run in runs:
        recover = run.experiment.recover
        title = METHOD_TITLES[recover.method]
        if several[recover.method] > 1 and recover.is_optimised:
            title += f", MI {count(recover.iterations)} / RI {count(recover.round_iterations)}"
        found[run.id] = title
    doubled = {title for title, number in Counter(found.values()).items() if number > 1}
    return {name: f"{title} ({id_end(name)})" if title in doubled else title for name, title in found.items()}


def gather(runs: Sequence[Run], space: str) -> Sets:
    """Return what is measured of runs in a space, with real images at the same number a class."""
    sets, names = Sets(tuple(runs), space), labels(runs)
    subjects = [of_run(run) for run in runs]
    for subject, run in zip(subjects, runs, strict=True):
        _add(sets, subject, names[run.id], run)
    if subjects:
        kinds = [REAL] if any(one.method == RANDOM for one in subjects) else [REAL, RANDOM]
        for kind in kinds:
            held = reference(subjects[0], kind)
            _add(sets, held, held.title)
        refusal = why_none(subjects[0], space)
        return Sets(sets.runs, space, sets.shown, sets.missing, refusal)
    return sets


def _add(sets: Sets, subject: Subject, label: str, run: Run | None = None) -> None:
    found = stored_result(subject, sets.space)
    if found is None:
        sets.missing.append(label)
    else:
        sets.shown.append(Shown(label, found, *(_half_words(run) if run and found.rounds else ("", ""))))


def _half_words(run: Run) -> tuple[str, str]:
    """Return how many iterations the images of each half get."""
    schedule = run.experiment.recover.schedule
    words = []
    for half in halves(schedule.ipc):
        each = schedule.image_iterations_each[half.start : half.stop] or (0,)
        most, least = max(each), min(each)
        words.append(f"{count(most)}" if most == least else f"{count(least)} to {count(most)}")
    return f"{words[0]} iterations", f"{words[1]} iterations"


def network_of(runs: Sequence[Run], space: str) -> str:
    """Return which network a space has for runs, "" for pixels or when there is none."""
    if not runs or space == "pixels":
        return ""
    try:
        return space_network(of_run(runs[0]), space).title
    except CheckpointError:
        return ""


def cosine(run: Run, space: str = "teacher") -> float | None:
    """Return a run's mean cosine similarity, None where it is not measured yet."""
    if run.unreadable or run.status != "finished" or run.record().kind != "recover":
        return None
    found: DiversityResult | None = stored_result(of_run(run), space)
    return found.mean if found else None
