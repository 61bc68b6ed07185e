"""Runs that show EarlyLate's claim: a DELT run, and CDA's and SRe2L's made under the same settings; and its numbers.

Similarities are those that were measured and stored before; where some are missing, pixels are compared here and now.
Torch-free.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from delt_engine.analysis.diversity_store import DiversityResult
from delt_engine.analysis.similarity import centroid_cosine, halves_cosine, pair_cosine, pixel_vectors
from delt_engine.config.methods import METHOD_TITLES
from delt_engine.lab.claim import Claim, ClassSet, Pairs
from delt_engine.pipeline.image_sets import of_run
from delt_engine.pipeline.measure import stored_result
from delt_engine.runs.store import Run

BASELINES = ("cda", "sre2l")
SPACE_WORDS = {
    "teacher": "the features of the teacher",
    "second": "the features of a second network that took no part",
    "pixels": "the normalised pixels",
}
MOST_CLASSES = 100
"""Classes compared in pixels where no similarity is stored."""


@dataclass(frozen=True)
class _Measured:
    """By class: mean cosine to the centroid, of all pairs, and of the pairs in each half (none without rounds)."""

    alike: Mapping[str, float]
    pairwise: Mapping[str, float]
    halves: Mapping[str, tuple[float, float]]
    network: str = ""


def claim_runs(runs: Iterable[Run], dataset_fingerprint: str, about: Run | None = None) -> list[Run]:
    """Return a finished DELT run in rounds on a dataset, and after it CDA's and SRe2L's under the same settings.

    The first of ``runs`` with others beside it, or the one that ``about`` is or belongs to; empty when there is none.
    """
    known = [about, *runs] if about else list(runs)
    fit = [run for run in known if _is_finished(run, dataset_fingerprint)]
    delts = [
        run for run in fit if run.experiment.recover.method == "delt" and run.experiment.recover.schedule.has_rounds
    ]
    if about:
        delts = [run for run in delts if run == about] or [run for run in delts if about in fit and _same(run, about)]
    for delt in delts:
        alike = [run for run in fit if _same(run, delt)]
        beside = (next((run for run in alike if run.experiment.recover.method == name), None) for name in BASELINES)
        found = [delt, *(run for run in beside if run)]
        if len(found) > 1:
            return found
    return []


def _is_finished(run: Run, dataset_fingerprint: str) -> bool:
    if run.unreadable or run.status != "finished":
        return False
    record = run.record()
    is_whole = record.kind == "recover" and record.teacher is not None and record.dataset is not None
    return is_whole and record.dataset.fingerprint == dataset_fingerprint  # type: ignore[union-attr]


def _same(one: Run, other: Run) -> bool:
    """Whether two runs have the same images, teacher, classes, seed, IPC and MI."""

    def settings(run: Run) -> tuple[object, ...]:
        record, recover = run.record(), run.experiment.recover
        teacher = record.teacher.fingerprint if record.teacher else ""
        return teacher, run.image_size, tuple(record.classes), record.seed, recover.ipc, recover.iterations

    return settings(one) == settings(other)


def claim(runs: Sequence[Run]) -> Claim | None:
    """Return the claim of runs as :func:`claim_runs` gives them, in the first space in which all are measured.

    None where no class has images of all of them.
    """
    spaces = {space: [_stored(run, space) for run in runs] for space in SPACE_WORDS}
    whole = {space: [one for one in found if one] for space, found in spaces.items() if all(found)}
    if not whole:
        whole = {"pixels": [_in_pixels(run) for run in runs]}
    space, measured = next(iter(whole.items()))
    names = [name for name in measured[0].alike if all(name in one.alike for one in measured)]
    if not names:
        return None
    sets = tuple(_class_set(run, one, names) for run, one in zip(runs, measured, strict=True))
    elsewhere: dict[str, dict[str, float]] = {}
    for other, found in whole.items():
        if other != space:
            each = (_class_set(run, one, names) for run, one in zip(runs, found, strict=True))
            elsewhere[SPACE_WORDS[other]] = {one.method: one.mean for one in each}
    network = f" ({measured[0].network})" if measured[0].network else ""
    record, recover = runs[0].record(), runs[0].experiment.recover
    assert record.teacher is not None
    settings = (
        f"MI {recover.iterations:,}, {recover.ipc} images per class, teacher {record.teacher.name}, seed {record.seed}"
    )
    pairs = _pairs(measured[0], recover.ipc)
    return Claim(sets[0], sets[1:], pairs, SPACE_WORDS[space] + network, settings, elsewhere)


def _class_set(run: Run, measured: _Measured, names: Sequence[str]) -> ClassSet:
    method = run.experiment.recover.method
    return ClassSet(method, METHOD_TITLES[method], run.id, {name: measured.alike[name] for name in names})


def _pairs(delt: _Measured, ipc: int) -> Pairs | None:
    """Return the pairs inside a DELT run; those of one early and one late image are what is left of all pairs.

    With an odd number of images the middle one is in neither half, so its pairs cannot be told apart.
    """
    if not delt.halves or ipc % 2:
        return None
    half = ipc // 2
    everything, inside = ipc * (ipc - 1) / 2, half * (half - 1) / 2
    early, late = ({name: both[at] for name, both in delt.halves.items()} for at in (0, 1))
    mixed = {
        name: (everything * delt.pairwise[name] - inside * (early[name] + late[name])) / half**2 for name in delt.halves
    }
    return Pairs(early, late, mixed)


def _stored(run: Run, space: str) -> _Measured | None:
    found = stored_result(of_run(run), space)
    return _of_result(found) if found is not None else None


def _of_result(found: DiversityResult) -> _Measured:
    names = found.class_names
    alike, pairwise = found.per_class.tolist(), found.pairwise.mean(axis=1, dtype=np.float64).tolist()
    both = [(float(early), float(late)) for early, late in found.halves[:, :, 1]] if len(found.halves) else []
    halved = dict(zip(names, both, strict=True)) if both else {}
    return _Measured(
        dict(zip(names, alike, strict=True)), dict(zip(names, pairwise, strict=True)), halved, found.network_title
    )


def _in_pixels(run: Run) -> _Measured:
    record, schedule = run.record(), run.experiment.recover.schedule
    assert record.dataset is not None
    alike, pairwise, halved = {}, {}, {}
    for class_index in record.classes[:MOST_CLASSES]:
        if not (written := run.rounds_written(class_index)):  # of a run that keeps pictures of some classes only
            continue
        image_u8 = run.snapshot_images(class_index, written[-1])
        vectors, name = pixel_vectors(image_u8, record.dataset.mean, record.dataset.std), run.class_names[class_index]
        alike[name], pairwise[name] = float(centroid_cosine(vectors).mean()), pair_cosine(vectors)
        if schedule.has_rounds and len(vectors) >= 4:
            halved[name] = halves_cosine(vectors)
    return _Measured(alike, pairwise, halved)
