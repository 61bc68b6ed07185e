"""A teacher's card with its health: what it is, what was measured, and whether that is what it should be."""

from __future__ import annotations

import contextlib

import streamlit as st

from delt_engine.data.catalogue import find_entry
from delt_engine.data.class_lists import class_title
from delt_engine.data.dataset import Dataset
from delt_engine.errors import CheckpointError
from delt_engine.jobs import tasks
from delt_engine.jobs.tasks import Task
from delt_engine.models.card import TeacherCard, teacher_files
from delt_engine.models.health import MOST_OFF, CheckRecord, Health, are_alike, find_check, judge
from pages.shared import cached, controls, errors
from pages.shared.session import session
from pages.shared.wording import ago, count, plain, triple

PAGE = "data"
LOOKS = {
    "good": ("green", ":material/check_circle:"),
    "warning": ("orange", ":material/warning:"),
    "bad": ("red", ":material/error:"),
    "unknown": ("gray", ":material/help:"),
}
_STEMS = {"small": "small (3x3, no max-pool)", "stock": "stock (as published)"}


def choose(data: Dataset) -> str:
    """Draw the choice among the teachers of a dataset and return its name, "auto" for the newest."""
    now, titles = session().draft.teacher, {"auto": "The newest for this dataset"}
    for name, path in teacher_files():  # the user's newest first
        with contextlib.suppress(CheckpointError):  # a foreign or broken file among the teachers hides no other one
            card = cached.teacher_card(str(path))
            if card.dataset == data.spec.name or card.class_names == data.spec.class_names:
                titles[name] = name
    look = {"label_visibility": "collapsed", "segmented": False}
    chosen = controls.choice("Teacher", titles | {now: titles.get(now, now)}, f"{PAGE}/teacher", default=now, **look)
    session().change(teacher=chosen)
    return chosen


def other_size(data: Dataset) -> int | None:
    """Return the image size of the newest teacher of a dataset that looks at it at another size, None without one."""
    for _, path in teacher_files():
        with contextlib.suppress(CheckpointError):
            card = cached.teacher_card(str(path))
            if card.dataset == data.spec.name and card.image_size != data.spec.image_size:
                return card.image_size
    return None


def none_yet(data: Dataset) -> str:
    """Say that a dataset has no teacher, and what to do or to put where."""
    return f"There is no teacher for {data.spec.title} at {data.spec.image_size} px yet. Train a small one, or add one."


def checking(card: TeacherCard, data: Dataset) -> Task:
    """Return the task that checks a teacher, whether it was started or not."""
    return tasks.task("check", card.fingerprint, data.fingerprint)


def check(card: TeacherCard, data: Dataset) -> None:
    """Begin to measure a teacher in a process."""
    draft = session().draft
    size = ["--image-size", str(draft.image_size)] if draft.image_size else []
    words = ["teachers", "check", draft.teacher, "--dataset", draft.dataset, *size, "--device", draft.device]
    tasks.start(checking(card, data), words)


def draw(card: TeacherCard, data: Dataset) -> None:
    """Draw the card: verdict first, then accuracies, then what the teacher is."""
    measured, work = find_check(card.fingerprint, data.fingerprint), checking(card, data)
    health = judge(card, data.spec, measured)
    colour, icon = LOOKS[health.level]
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**{plain(card.name)}**", width="content")
            st.badge(health.title, color=colour, icon=icon)
            st.space("stretch")
            label, is_off = "Check again" if measured else "Check it", work.is_running
            look = {"changes": True, "disabled": is_off}
            controls.button(label, "monitor_heart", f"{PAGE}/check", check, card, data, **look)
        for reason in health.reasons:
            (st.error if health.level == "bad" else st.warning)(plain(reason))
        errors.show(work.error)
        _accuracies(card, data, health, measured)
        st.markdown(_facts(card, data))


def _accuracies(card: TeacherCard, data: Dataset, health: Health, measured: CheckRecord | None) -> None:
    entry = find_entry(data.spec.name)
    gap = None if measured is None or health.reference is None else measured.accuracy - health.reference
    with st.grid(3, min_column_width=84):
        st.metric(
            "Measured here",
            _percent(measured.accuracy if measured else None),
            f"{gap:+.1f} points" if gap is not None else None,
            delta_arrow="off",
            delta_color="normal" if gap and gap < -MOST_OFF else "off",
            help=f"Against the accuracy {health.reference_origin}." if gap is not None else None,
        )
        st.metric("On its card", _percent(card.accuracy), help="On the test images, when it was trained or added.")
        whose = (
            "RDED's ResNet-18 teacher of full width at the dataset's own size (for ImageNet-1K torchvision's); other "
            "networks are not held to it."
        )
        st.metric("Published", _percent(entry.teacher_accuracy if entry else None), help=whose)
    if measured:
        part = "all" if measured.sample >= measured.test_size else f"{count(measured.sample)} of"
        sample = f"{part} {count(measured.test_size)} test images {ago(measured.measured)}"
        st.caption(f"Measured on {sample}; chance is {measured.chance:.3g} %.")


def _facts(card: TeacherCard, data: Dataset) -> str:
    """Return the facts, one a line: each beside the dataset's where both have it."""
    spec = data.spec
    known, wanted = (tuple(map(class_title, names)) for names in (card.class_names, spec.class_names))
    order = "in the dataset's order" if known == wanted else "**not as the dataset has them**"
    where = f" on {plain(card.dataset)}"
    if card.added_from:  # trained on other images of the same classes; the source says which
        where = ""
    elif card.dataset_fingerprint.partition("-")[0] != data.fingerprint.partition("-")[0]:  # without how it is shown
        where += " as it was then (its images have changed since)"
    added = f"; added from {plain(card.added_from)}" if card.added_from else ""
    rows = [
        ("Network", f"{plain(card.network)}, width {card.width:g}"),
        ("Stem", _STEMS.get(card.stem, card.stem)),
        ("Input", f"{card.image_size} px{_beside(card.image_size == spec.image_size, f'{spec.image_size} px')}"),
        ("Mean", f"{triple(card.mean)}{_beside(are_alike(card.mean, spec.mean), triple(spec.mean))}"),
        ("Std", f"{triple(card.std)}{_beside(are_alike(card.std, spec.std), triple(spec.std))}"),
        ("Classes", f"{card.num_classes}, {order}"),
        ("Trained", f"{card.epochs or '?'} epochs{where}; {plain(card.source)}{added}"),
    ]
    return "  \n".join(f":gray[{name}] {value}" for name, value in rows)


def _beside(is_same: bool, other: str) -> str:
    return ", as the dataset" if is_same else f", **the dataset has {other}**"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} %"
