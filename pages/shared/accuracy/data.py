"""Which evaluations may stand side by side, what each is called there, and how long another one will take.

Accuracies compare only within one set-up: the same test images, recipe with the same changes, and student. As the
papers' own tables do, each method may stand there under the recipe of its own paper instead.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from delt_engine.config import EvaluateConfig, Experiment, field_specs, is_optimised
from delt_engine.config.methods import CORESETS, IMPORTED, METHOD_SETTINGS
from delt_engine.data.catalogue import find_entry
from delt_engine.errors import RunError
from delt_engine.jobs.evaluations import Evaluation, evaluations
from delt_engine.papers.fits import TRAIN_THE_SAME, own_recipe
from delt_engine.plots.accuracy import Score
from delt_engine.runs.sources import REAL
from delt_engine.runs.store import Run
from delt_engine.runs.titles import is_example
from pages.shared import cached
from pages.shared.diversity import data as diversity_data
from pages.shared.wording import count, distinct, id_end, plain, plural, rounds_text

KINDS = {"last": "Last epoch", "best": "Best epoch", "ema": "EMA"}
"""Which accuracy; the best epoch was chosen on the test images, EMA is of averaged weights."""

OWN_RECIPES, OWN_TITLE = "own", "Each method's own"
"""What the address, and what people, call students that each learn by the recipe of their method's paper."""

METHOD_ORDER = (
    "random",
    "sre2l",
    "sre2l-init",
    "cda",
    "cda-init",
    "cda-early-late",
    "rded",
    *CORESETS,
    "delt",
    IMPORTED,
    "folder",
    "real",
)


@dataclass(frozen=True)
class Setup:
    """What must be equal for accuracies to stand side by side, with the short names the address has for it.

    ``data`` is a fingerprint of the test images and their classes, ``recipe`` the recipe with what was changed as a
    short word, for instance "delt-60ep", and ``student`` the network with its width and stem.
    """

    data: str
    dataset: str
    recipe: str
    recipe_title: str
    student: str


def setup_of(evaluation: Evaluation) -> Setup:
    """Return the set-up of an evaluation."""
    result = evaluation.result
    tested = result.get("test_fingerprint") or result["dataset_fingerprint"]  # not kept in evaluations of old
    data = _short([tested, result["class_names"], result["image_size"]])
    changes = _changes(evaluation)
    words, title = result["recipe"], result["recipe_title"]
    if changes.pop("epochs", None) is not None:
        words += f"-{result['epochs']}ep"
        title += f" · {plural(result['epochs'], 'epoch')}"
    if changes:
        words += f"-{_short(changes)[:4]}"
        title += f" · {', '.join(f'{_title_of(name)} {pair[1]}' for name, pair in list(changes.items())[:2])}"
        title += f" and {len(changes) - 2} more" if len(changes) > 2 else ""
    width = "" if result["student_width"] in (None, 1.0) else f", width {result['student_width']:g}"
    stem = f", {result['student_stem']} stem" if result["student_stem"] not in (None, "auto") else ""
    return Setup(data, result["dataset"], words, title, f"{result['student']}{width}{stem}")


def _changes(evaluation: Evaluation) -> dict[str, Any]:
    """Return what was changed of the recipe and changes what students learn."""
    return {name: pair for name, pair in evaluation.result["changes"].items() if name not in TRAIN_THE_SAME}


@lru_cache(maxsize=64)
def _title_of(setting: str) -> str:
    title = next((spec.title for spec in field_specs(EvaluateConfig) if spec.name == setting), setting)
    return title if title[:2].isupper() else title[0].lower() + title[1:]  # EMA decay stays


def under_own_recipes(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """Return those whose students were trained by the unchanged recipe of their method's paper for the dataset."""
    return [
        one
        for one in evaluations
        if not _changes(one) and one.result["recipe"] == own_recipe(one.result["method"], one.result["dataset"])
    ]


def shared_setup(evaluations: Sequence[Evaluation]) -> Setup:
    """Return the set-up of evaluations that stand side by side; of several recipes each method has its own."""
    found = setup_of(evaluations[0])
    if len({setup_of(one).recipe for one in evaluations}) == 1:
        return found
    return replace(found, recipe=OWN_RECIPES, recipe_title=OWN_TITLE.lower())


def _short(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def ipc_of(evaluation: Evaluation) -> int:
    """Return the images per class, of an uneven folder their mean."""
    result = evaluation.result
    return result["ipc"] or max(1, round(result["images"] / max(1, len(result["class_names"]))))


def order(evaluation: Evaluation) -> tuple[int, int]:
    """Return where an evaluation stands on the page: by IPC, and DELT after what it is held against."""
    method = evaluation.result["method"]
    return ipc_of(evaluation), METHOD_ORDER.index(method) if method in METHOD_ORDER else len(METHOD_ORDER)


def newest_of_each(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """Return the newest evaluation of each method and IPC, in the order given."""
    by_age = sorted(evaluations, key=lambda one: one.run.record().finished or "")
    newest = {id(one) for one in {_cell(one): one for one in by_age}.values()}
    return [one for one in evaluations if id(one) in newest]


def first_shown(evaluations: Sequence[Evaluation], subject: Run | None = None) -> list[Evaluation]:
    """Return what is shown at first: the newest of each method and IPC, those of ``subject``, and the examples.

    An example gives way to an evaluation of the user's whose images were made with the same MI and RI.
    """
    own = [one for one in evaluations if not is_example(one.run)]
    variants = {(_cell(one), _variant(one)) for one in own}
    shown = newest_of_each(own) + newest_of_each([one for one in evaluations if subject and one.source == subject.id])
    shown += [one for one in evaluations if is_example(one.run) and (_cell(one), _variant(one)) not in variants]
    ids = {one.run.id for one in shown}
    return [one for one in evaluations if one.run.id in ids]


def distance(evaluation: Evaluation, subject: Run | None) -> int:
    """Return how far an evaluation is from the run that the page is about: 0 of its images, 1 on its data, else 2."""
    if subject is None or evaluation.source == subject.id:
        return 0
    about = subject.record().dataset
    result = evaluation.result
    is_near = about and (about.fingerprint, about.image_size) == (result["dataset_fingerprint"], result["image_size"])
    return 1 if is_near else 2


def _cell(evaluation: Evaluation) -> tuple[str, int]:
    # Sets of others are each a set of images of their own.
    method = evaluation.result["method"]
    return (evaluation.result["source"] if method in ("folder", IMPORTED) else method, ipc_of(evaluation))


def labels(evaluations: Sequence[Evaluation]) -> dict[str, str]:
    """Return what to call each evaluation, by the id of its run: the method, and more where that is not enough."""
    several, found = Counter(map(_cell, evaluations)), {}
    for one in evaluations:
        title = one.result["source_title"] if one.result["method"] == "folder" else one.result["method_title"]
        found[one.run.id] = f"{title}, {_variant(one)}" if several[_cell(one)] > 1 else title
    ipcs = {one.run.id: ipc_of(one) for one in evaluations}
    return distinct(found, id_end, ipcs.get)


def _variant(evaluation: Evaluation) -> str:
    run = source_run(evaluation)
    if run is None or not run.experiment.recover.iterations:
        return evaluation.result["source"].rsplit("/", 1)[-1]
    return rounds_text(run.experiment.recover)


def source_run(evaluation: Evaluation) -> Run | None:
    """Return the run whose images were evaluated, None for a folder, the real set, or a run that is gone."""
    if evaluation.result["method"] in ("real", "folder"):
        return None
    try:
        run = Run.open(evaluation.result["source"])
    except RunError:
        return None
    return None if run.unreadable else run


def score(evaluation: Evaluation, label: str, kind: str = "last") -> Score | None:
    """Return one of the accuracies of :data:`KINDS`, None where it was not measured."""
    result = evaluation.result
    value = result[f"top1_{kind}"]
    if value is None:
        return None
    spread = result[f"top1_{kind}_std"] or 0.0
    return Score(label, result["method"], ipc_of(evaluation), value, spread, len(result["seeds"]))


def free_win(scores: Sequence[Score]) -> str:
    """Return that real images which nothing was optimised for are ahead, as a sentence an IPC; "" where they are not.

    They are held against the best method here that optimises its images, at the same IPC; sets of others and the whole
    real set are left out.
    """
    said = []
    for ipc in sorted({one.ipc for one in scores}):
        alike = [one for one in scores if one.ipc == ipc and one.method in METHOD_SETTINGS]
        free = max((one for one in alike if not is_optimised(one.method)), key=_value, default=None)
        best = max((one for one in alike if is_optimised(one.method)), key=_value, default=None)
        if free is None or best is None or free.value <= best.value:
            continue
        gap, spread = free.value - best.value, free.spread + best.spread
        words = ", by less than their students' spread" if gap < spread else ""
        by = f"{free.value:.1f} % against {best.value:.1f} % of {plain(best.label)}"
        said.append(
            f"At IPC {ipc:,} **{plain(free.label)}**, real images that nothing was optimised for, beats every "
            f"optimised set here{words}: {by}."
        )
    return " ".join(said)


def _value(score: Score) -> float:
    return score.value


def shortened(evaluation: Evaluation) -> str:
    """Return that a recipe was shortened and by how much, "" when it was not."""
    result = evaluation.result
    if not result["is_shortened"]:
        return ""
    full = (result["changes"].get("epochs") or ["?"])[0]
    return f"shortened: {count(result['epochs'])} of {full if full == '?' else count(full)} epochs"


def cosine(evaluation: Evaluation) -> float | None:
    """Return how alike the images of a class are in the teacher's features, None where it is not measured."""
    run = source_run(evaluation)
    return diversity_data.cosine(run) if run else None


def expected(source: str, experiment: Experiment) -> tuple[float, str] | None:
    """Return the seconds that an evaluation may take and where that is from, None where nothing like it was measured.

    The rate is that of the newest finished evaluation of the same student and image size.
    """
    if source == REAL:
        entry = find_entry(experiment.dataset)
        images = getattr(entry, "train_size", 0) or 0
    else:
        images = experiment.recover.ipc * len(Run.open(source).classes)
    known = evaluations([*cached.runs(), *cached.examples()])
    found = next((one for one in known if images and _is_like(one, source, experiment)), None)
    if found is None:
        return None
    result, config = found.result, experiment.evaluate
    rate = result["seconds"] / max(1, result["images"] * result["epochs"] * len(result["seeds"]))
    seconds = rate * images * config.epochs * config.seeds
    return seconds, f"Estimated from evaluation {found.run.id}, {found.run.record().device_name}."


def _is_like(evaluation: Evaluation, source: str, experiment: Experiment) -> bool:
    result, wanted = evaluation.result, experiment.evaluate.student
    if result["dataset"] != experiment.dataset or (source == REAL) != (result["method"] == "real"):
        return False  # a real set has far more images to a test, so its rate is another
    return experiment.image_size in (None, result["image_size"]) and wanted in ("auto", result["student"])
