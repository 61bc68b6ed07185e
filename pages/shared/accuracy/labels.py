"""Stored soft labels: which stores of the chosen images fit, and the button that makes one, its size said first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import streamlit as st

from delt_engine.config import Experiment, RelabelConfig
from delt_engine.errors import DataError
from delt_engine.jobs import label_stores
from delt_engine.jobs.label_stores import KnownStore, Needed, misfit, needed, new_store, stores_of
from delt_engine.runs.command import relabel_command
from delt_engine.runs.sources import Source, find_source
from pages.shared import controls, errors, live
from pages.shared.controls import button
from pages.shared.wording import count, plain, plural, sentence, size

PAGE = "accuracy/labels"
FORMS = {"float16": "float16", "float32": "float32 (replays exactly)"}

Plan = tuple[str, Experiment]


def draw(plans: Sequence[Plan], titles: dict[str, str]) -> tuple[list[Plan], bool]:
    """Draw the stores of each planned training; return the plans with the chosen ones, and whether all have one."""
    epochs = max((experiment.evaluate.epochs for _, experiment in plans), default=1)
    with st.container(border=True):
        st.caption(
            "The teacher's answers are written once and replayed, so training asks no teacher. They belong to these "
            "images, this seed, batch size and augmentation."
        )
        relabel = _form(epochs)
        found = [_one(source, experiment.replace(relabel=relabel), titles[source]) for source, experiment in plans]
        if not plans:
            st.caption("Choose the images to learn from first.")
    return [plan for plan, _ in found], all(is_ready for _, is_ready in found)


def _form(epochs: int) -> RelabelConfig:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        spec = controls.spec_of(RelabelConfig, "form")
        key, look = f"{PAGE}/form", {"segmented": True, "help": controls.help_text(spec)}
        form = controls.choice("Number format", FORMS, key, default="float16", **look)
        spec = replace(controls.spec_of(RelabelConfig, "label_epochs"), maximum=epochs)
        stored = controls.setting(
            spec, 0, PAGE, width=170, label="Label epochs (0: all)", help=f"{spec.help} At most {count(epochs)} here."
        )
    return RelabelConfig(form=form, label_epochs=min(stored, epochs))


def _one(source: str, experiment: Experiment, title: str) -> tuple[Plan, bool]:
    """Draw the stores of one source and return its plan, and whether a store is chosen that fits."""
    found = find_source(source)
    wanted, made = needed(experiment, found), new_store(experiment, found)
    known = stores_of(found, experiment.dataset)
    fitting = [store for store in known if wanted is None or not misfit(store, wanted)]
    chosen, is_ready = _choose(found, title, fitting, known, wanted)
    _store(experiment, found, made, wanted, is_there=any(store.path == made for store in fitting))
    evaluate = experiment.evaluate.replace(labels="stored", label_store=str(chosen or made))
    return (source, experiment.replace(evaluate=evaluate)), is_ready


def _choose(
    source: Source, title: str, fitting: list[KnownStore], known: list[KnownStore], wanted: Needed | None
) -> tuple[Path | None, bool]:
    key = f"{PAGE}/store/{source.ref}"
    fresh = st.session_state.get(f"{PAGE}/made/{source.ref}")
    if any(str(store.path) == fresh for store in fitting):  # what was just stored is taken
        st.session_state[key] = st.session_state.pop(f"{PAGE}/made/{source.ref}")
    titles = {str(store.path): _words(store, source) for store in fitting}
    look = {"format_func": lambda path: titles.get(path, path), "placeholder": "None fits yet; a folder can be typed"}
    offered, now = list(titles), st.session_state.get(key)
    if not now and offered:
        st.session_state[key] = offered[0]
    what = "Stores made here that fit this training. The folder of another one that `delt relabel` wrote can be typed."
    chosen = st.selectbox(
        f"Stored labels of {plain(title)}",
        offered,
        index=0 if offered else None,
        key=key,
        accept_new_options=True,
        help=what,
        **look,
    )
    if not chosen:
        unfit = next(((store, misfit(store, wanted)) for store in known if wanted), None)
        if unfit:
            more = f" and {plural(len(known) - 1, 'other')}" if len(known) > 1 else ""
            st.caption(plain(f"There is {_words(unfit[0], source)}{more}, but {unfit[1]}."))
        return None, False
    try:
        store = KnownStore.open(chosen)
    except DataError:
        st.caption(f":red[{plain(chosen)} holds no stored labels.]")
        return Path(chosen), False
    reason = misfit(store, wanted) if wanted else ""
    if reason:
        st.caption(f":red[These labels do not fit this training: {plain(reason)}.]")
    return store.path, not reason


def _words(store: KnownStore, source: Source) -> str:
    """Return what tells one store from another: epochs, form, size and teacher."""
    facts, teacher = store.facts, source.run.record().teacher if source.run else None
    is_own = teacher and teacher.fingerprint == facts.teacher_fingerprint
    name = teacher.name if is_own else facts.teacher or facts.teacher_fingerprint
    epochs = plural(facts.label_epochs, "label epoch")
    of = f" of {count(facts.epochs)}" if facts.label_epochs < facts.epochs else ""
    return f"{epochs}{of}, {facts.form}, {size(facts.size.total)}, labelled by {name}"


def _store(experiment: Experiment, source: Source, made: Path, wanted: Needed | None, *, is_there: bool) -> None:
    """Draw the button that stores labels, or how far that is."""
    work, place = label_stores.store_task(made), f"save/{source.ref}"

    def state() -> None:
        is_running = work.is_running
        with st.container(horizontal=True, vertical_alignment="center"):
            if is_running:
                now = work.progress()
                text = f"Storing labels, {count(now.done)} of {count(now.total)} batches" if now else "Storing begins"
                st.progress(min(1.0, now.done / now.total) if now and now.total else 0.0, text=text)
                stop = (errors.attempt, place, work.forget)
                button("Stop", "stop", f"{PAGE}/stop/{source.ref}", *stop, help="Whole epochs are kept.")
            else:
                relabel = experiment.relabel
                total = wanted.size(relabel.form, relabel.label_epochs).total if wanted else None
                label = "Store labels now" + ("" if total is None else f" ({size(total)})")
                deed = (errors.attempt, place, _start, experiment, source)
                button(label, "save", f"{PAGE}/{place}", *deed, disabled=is_there)
                words = "These are stored already." if is_there else "Size of the labels on the disk, to the byte."
                st.caption(words if total is not None else "Their size is known when the images are counted.")
        if work.error and not is_there:
            st.caption(f":red[{plain(sentence(work.error))}]")
        errors.show_failed(place)

    live.follow(lambda: work.is_running, state)
    if not is_there:
        controls.command(relabel_command(experiment, made, source.ref))


def _start(experiment: Experiment, source: Source) -> None:
    st.session_state[f"{PAGE}/made/{source.ref}"] = str(label_stores.start_storing(experiment, source))
