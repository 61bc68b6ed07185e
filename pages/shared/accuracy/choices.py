"""What the accuracy page compares: dataset, recipe, student, IPC and evaluations, each kept in the address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from delt_engine.jobs.evaluations import Evaluation
from delt_engine.runs.store import Run
from pages.shared import address, controls
from pages.shared.accuracy import data
from pages.shared.accuracy.data import KINDS, Setup, setup_of
from pages.shared.wording import distinct, plain

ALL = "all"
_RECIPES = (
    "Students of one recipe compare the images alone. The papers' own tables put each method under the recipe of its "
    f"own paper: that is *{data.OWN_TITLE}*, where there are several."
)


@dataclass(frozen=True, eq=False)
class View:
    """What is compared: evaluations of one set-up, what each is called by its run's id, and which of KINDS."""

    setup: Setup
    evaluations: tuple[Evaluation, ...]
    labels: dict[str, str]
    kind: str

    @property
    def sets(self) -> list[Evaluation]:
        """The evaluations of sets of images, without the whole real set."""
        return [one for one in self.evaluations if one.result["method"] != "real"]

    def of_method(self, method: str) -> list[Evaluation]:
        """The evaluations of one method."""
        return [one for one in self.evaluations if one.result["method"] == method]

    def label(self, evaluation: Evaluation, *, with_ipc: bool = False) -> str:
        """What an evaluation is called."""
        name = self.labels[evaluation.run.id]
        return f"{name}, IPC {data.ipc_of(evaluation):,}" if with_ipc else name

    def pick(self, label: str, evaluations: Sequence[Evaluation], key: str, usual: str, width: int) -> Evaluation:
        """Draw the choice of one evaluation and return it; ``usual`` is the id of the run it starts with."""
        names = {one.run.id: self.label(one, with_ipc=True) for one in evaluations}
        chosen = controls.choice(label, names, key, default=usual, segmented=False, width=width)
        return next(one for one in evaluations if one.run.id == chosen)


def choose(evaluations: Sequence[Evaluation], subject: Run | None = None) -> View:
    """Draw the choices and return what they say; at first they show ``subject``, the run that the page is about."""

    def title(evaluation: Evaluation) -> str:
        result = evaluation.result
        return f"{result['dataset_title']}, {result['image_size']} px, {len(result['class_names']):,} classes"

    with st.container(horizontal=True, vertical_alignment="bottom"):
        found = _part(evaluations, "dataset", "Dataset", lambda setup: setup.data, title, subject)
        found = _part(
            found, "recipe", "Recipe", lambda setup: setup.recipe, lambda one: setup_of(one).recipe_title, subject
        )
        found = _part(
            found, "student", "Student", lambda setup: setup.student, lambda one: setup_of(one).student, subject
        )
        ipcs = sorted({data.ipc_of(one) for one in found if one.result["method"] != "real"})
        titles = {ALL: "All"} | {str(ipc): str(ipc) for ipc in ipcs}
        ipc = ALL
        if len(ipcs) > 1:
            ipc = controls.linked_choice("ipc", "Images per class", titles, "accuracy/ipc", segmented=True)
        kinds = {kind: KINDS[kind] for kind in KINDS if any(one.result[f"top1_{kind}"] is not None for one in found)}
        what = (
            "Best is the highest of the tested epochs, so it was chosen on the test images. EMA is of a running "
            "average of the weights."
        )
        kind = controls.linked_choice("accuracy", "Accuracy", kinds, "accuracy/accuracy", segmented=True, help=what)
    if ipc != ALL:
        found = [one for one in found if one.result["method"] == "real" or data.ipc_of(one) == int(ipc)]
    chosen = tuple(sorted(_runs(found, subject), key=data.order))
    return View(data.shared_setup(chosen), chosen, data.labels(chosen), kind)


def _part(
    evaluations: Sequence[Evaluation],
    name: str,
    label: str,
    part: Callable[[Setup], str],
    title: Callable[[Evaluation], str],
    subject: Run | None,
) -> list[Evaluation]:
    """Draw the choice of one part of the set-up and return the evaluations that have it.

    What is nearest to ``subject`` comes first, then the fullest.
    """
    groups: dict[str, list[Evaluation]] = {}
    for one in evaluations:
        groups.setdefault(part(setup_of(one)), []).append(one)
    titles = distinct({word: title(found[0]) for word, found in groups.items()}, lambda word: word[:6])
    own = data.under_own_recipes(evaluations) if name == "recipe" else []
    if len({one.result["recipe"] for one in own}) > 1:
        groups[data.OWN_RECIPES], titles[data.OWN_RECIPES] = own, data.OWN_TITLE

    def order(group: tuple[str, list[Evaluation]]) -> tuple[int, int]:
        return min(data.distance(one, subject) for one in group[1]), -len(group[1])

    groups = dict(sorted(groups.items(), key=order))
    titles = {word: titles[word] for word in groups}
    # a link may say a dataset by its name
    words = {found[0].result["dataset"]: word for word, found in reversed(groups.items())} if name == "dataset" else {}
    look = {"width": 240, "read": lambda text: address.member(groups)(words.get(text, text))}
    if name == "recipe":
        look = {"segmented": True, "wrap": True} if len(groups) <= 3 else look
        look["help"] = _RECIPES
    return groups[controls.linked_choice(name, label, titles, f"accuracy/{name}", **look)]


def _runs(evaluations: Sequence[Evaluation], subject: Run | None) -> list[Evaluation]:
    """Draw the choice of evaluations: the newest of each method and IPC, unless the reader says otherwise."""
    ids, key = [one.run.id for one in evaluations], "accuracy/runs"
    usual = [one.run.id for one in data.first_shown(evaluations, subject)]
    controls.restore_choices("runs", key, ids)
    chosen = [run for run in st.session_state.get(key) or [] if run in ids]
    # Another recipe has other evaluations; a choice made among these ones stays.
    if st.session_state.get("accuracy/offered") != ids or not chosen:
        st.session_state[key] = chosen if "runs" in st.query_params and chosen else usual
        st.session_state["accuracy/offered"] = ids
    titles = data.labels(evaluations)
    offered = {one.run.id: plain(f"{titles[one.run.id]}, IPC {data.ipc_of(one):,}") for one in evaluations}
    with st.expander(f"Evaluations: {len(st.session_state[key])} of {len(ids)} shown"):
        look = {
            "label_visibility": "collapsed",
            "help": "At first the newest of each method and IPC, and the examples.",
        }
        chosen = controls.linked_choices("runs", "Evaluations", offered, key, usual=usual, **look)
    return [one for one in evaluations if one.run.id in chosen]
