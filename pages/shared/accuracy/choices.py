"""What the accuracy page compares: dataset, recipe, student, IPC and evaluations, each kept in the address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from delt_engine.jobs.evaluations import Evaluation
from pages.shared import address
from pages.shared.accuracy import data
from pages.shared.accuracy.data import KINDS, Setup, setup_of
from pages.shared.wording import plain

ALL = "all"


@dataclass(frozen=True, eq=False)
class View:
    """What is compared.

    Args:
        setup: what all evaluations have in common.
        evaluations: those chosen, in the order of the page.
        labels: what each is called, by the id of its run.
        kind: which accuracy, a key of KINDS.
    """

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

    def label(self, evaluation: Evaluation) -> str:
        """What an evaluation is called."""
        return self.labels[evaluation.run.id]


def choose(evaluations: Sequence[Evaluation]) -> View:
    """Draw the choices and return what they say."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        found = _part(evaluations, "dataset", "Dataset", lambda s: s.data, _dataset_title, first=_dataset_word)
        found = _part(found, "recipe", "Recipe", lambda s: s.recipe, lambda one: setup_of(one).recipe_title)
        found = _part(found, "student", "Student", lambda s: s.student, lambda one: setup_of(one).student)
        ipcs = [str(ipc) for ipc in sorted({data.ipc_of(one) for one in found if one.result["method"] != "real"})]
        ipc = _segments("ipc", "Images per class", [ALL, *ipcs], "All") if len(ipcs) > 1 else ALL
        kinds = [kind for kind in KINDS if any(one.result[f"top1_{kind}"] is not None for one in found)]
        kind = _segments(
            "accuracy",
            "Accuracy",
            kinds,
            help="Best is the highest of the tested epochs, so it was "
            "chosen on the test images. EMA is of a running average of the weights.",
        )
    if ipc != ALL:
        found = [one for one in found if one.result["method"] == "real" or data.ipc_of(one) == int(ipc)]
    chosen = tuple(sorted(_runs(found), key=data.order))
    return View(setup_of(chosen[0]), chosen, data.labels(chosen), kind)


def _dataset_title(evaluation: Evaluation) -> str:
    result = evaluation.result
    return f"{result['dataset_title']}, {result['image_size']} px, {len(result['class_names']):,} classes"


def _dataset_word(evaluation: Evaluation) -> str:
    return evaluation.result["dataset"]


def _part(
    evaluations: Sequence[Evaluation],
    name: str,
    label: str,
    part: Callable[[Setup], str],
    title: Callable[[Evaluation], str],
    first: Callable[[Evaluation], str] | None = None,
) -> list[Evaluation]:
    """Draw the choice of one part of the set-up and return the evaluations that have it; the fullest comes first."""
    groups: dict[str, list[Evaluation]] = {}
    for one in evaluations:
        groups.setdefault(part(setup_of(one)), []).append(one)
    names = sorted(groups, key=lambda word: -len(groups[word]))
    titles = {word: title(groups[word][0]) for word in names}
    several = {one for one, number in Counter(titles.values()).items() if number > 1}
    titles = {word: f"{one} ({word[:6]})" if one in several else one for word, one in titles.items()}
    key = f"accuracy/{name}"
    words = {first(groups[word][0]): word for word in reversed(names)} if first else {}
    address.restore(name, key, lambda text: address.member(names)(words.get(text, text)))
    if st.session_state.get(key) not in names:
        st.session_state[key] = names[0]
    if name == "recipe" and len(names) <= 3:
        chosen = st.segmented_control(
            label,
            names,
            key=key,
            format_func=titles.get,
            required=True,
            wrap=True,
            help="Only students of one recipe are put side by side.",
        )
    else:
        chosen = st.selectbox(label, names, key=key, format_func=titles.get, width=240)
    address.publish(name, key, "" if chosen == names[0] else chosen)
    return groups[chosen]


def _segments(name: str, label: str, options: Sequence[str], all_title: str = "", help: str | None = None) -> str:
    key = f"accuracy/{name}"
    address.restore(name, key, address.member(list(options)))
    if st.session_state.get(key) not in options:
        st.session_state[key] = options[0]
    titles = {**KINDS, ALL: all_title}
    chosen = st.segmented_control(
        label, options, key=key, required=True, help=help, format_func=lambda option: titles.get(option, option)
    )
    address.publish(name, key, "" if chosen == options[0] else chosen)
    return chosen


def _runs(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Draw the choice of evaluations: the newest of each method and IPC, unless the reader says otherwise."""
    ids = [one.run.id for one in evaluations]
    usual = [one.run.id for one in data.newest_of_each(evaluations)]
    key = "accuracy/runs"
    address.restore("runs", key, lambda text: [part for part in text.split(",") if part in ids])
    kept = [run for run in st.session_state.get(key) or [] if run in ids]
    # Another recipe has other evaluations; a choice made among these ones stays.
    if st.session_state.get("accuracy/offered") != ids or not kept:
        is_given = "runs" in st.query_params and bool(kept)
        st.session_state[key] = kept if is_given else usual
        st.session_state["accuracy/offered"] = ids
    titles = data.labels(evaluations)
    offered = {one.run.id: f"{titles[one.run.id]}, IPC {data.ipc_of(one):,}" for one in evaluations}
    with st.expander(f"Evaluations: {len(st.session_state[key])} of {len(ids)} shown"):
        chosen = st.multiselect(
            "Evaluations",
            ids,
            key=key,
            format_func=lambda run: plain(offered[run]),
            label_visibility="collapsed",
            help="At first the newest of each method and IPC.",
        )
    address.publish("runs", key, "" if not chosen or set(chosen) == set(usual) else ",".join(chosen))
    return [one for one in evaluations if one.run.id in (chosen or usual)]
