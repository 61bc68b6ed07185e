"""The settings of the next run, drawn from the records; what the reader enters is kept in the session's draft."""

from __future__ import annotations

from typing import Any

import streamlit as st

from delt_engine.analysis.mi_curves import fast_methods, fast_preset
from delt_engine.config import Experiment, RecoverConfig
from delt_engine.config.doubts import step_doubt
from delt_engine.config.methods import MATCHING_SETTINGS
from delt_engine.config.presets import PRESETS, Preset
from delt_engine.data.catalogue import CATALOGUE, dataset_names
from delt_engine.papers.presets import PRESETS as PAPER_PRESETS
from delt_engine.papers.presets import find_preset
from delt_engine.papers.recipes import PublishedExperiment
from delt_engine.runs.command import image_size_of
from pages.shared import cached, controls, errors, paper_presets
from pages.shared.recover import rounds
from pages.shared.session import forget, prime, session
from pages.shared.teachers import others
from pages.shared.wording import METHOD_TITLES, count, plain, short_name

PAGE = "recover"
_SMALL, _PAPER, _PAPER_TEACHER = f"{PAGE}/preset", f"{PAGE}/paper", "of-paper/teacher"
_BY_TITLE = {preset.title: preset for preset in PRESETS}
_FAST = "Fast"
_PUBLISHED_STAGES = ("experiment", "rank", "select", "recover")
_MAIN = ("method", "ipc", "iterations", "round_iterations")
_SHARED_WITH_PATCHES = ("criterion", "median", "order", "mosaic", "min_probability", "max_probability")


def draw_main() -> None:
    """Draw the settings that everybody needs.

    Raises:
        ConfigError: a value that is not allowed.
    """
    now = session()
    controls.forget_refused(PAGE)
    _presets()
    left, right = st.columns([3, 2])
    with left:
        dataset_control(PAGE)
    with right:
        now.change("recover", **controls.settings(now.draft.recover, ["ipc"], PAGE))
    with st.container():  # one element whatever is in it, so that what is open below stays open
        recover = now.draft.recover
        if not recover.is_optimised:
            st.caption(f"{METHOD_TITLES[recover.method]} optimises nothing, so there is no MI and no RI.")
        elif not rounds.draw(recover.schedule, PAGE, _take_rounds):
            controls.refuse(f"{PAGE}/rounds", "MI and RI: 1 to 1,000,000")


def _take_rounds(iterations: int, round_iterations: int) -> None:
    session().change("recover", iterations=iterations, round_iterations=round_iterations)


def _presets() -> None:
    origins = {preset.title: preset.origin for preset in PRESETS}
    if fast_methods():
        origins[_FAST] = "the smallest MI within one standard deviation of the largest one measured, by method"
    look: dict[str, Any] = {"help": "\n".join(f"- {title}: {origin}" for title, origin in origins.items())}
    look |= {"on_change": errors.attempt, "args": ("preset", _take_preset)}
    st.pills("Preset", list(origins), key=_SMALL, wrap=True, **look)
    errors.show_failed("preset")
    what, dataset = "dataset, method, MI, RI and the rest", session().draft.dataset
    name, small = paper_presets.choice(PAGE, list(PAPER_PRESETS), dataset, what, _take_paper), st.session_state[_SMALL]
    if name:
        found = _published(name)
        recover, where = found.experiment.recover, found.origin("recover.iterations") or "nothing is optimised"
        st.caption(f"{_length(recover.ipc, recover.iterations, recover.round_iterations)} Source: {plain(where)}.")
        paper_presets.draw_changes(found, _PUBLISHED_STAGES, PAGE)
    elif small and (small != _FAST or session().draft.recover.method in fast_methods()):
        chosen = _preset(small)
        st.caption(f"{_length(chosen.ipc, chosen.iterations, chosen.round_iterations)} Source: {chosen.origin}.")
    else:
        st.caption("A preset fills in the settings below; all can be changed.")


def _length(ipc: int, iterations: int, round_iterations: int) -> str:
    return f"IPC {ipc:,}, MI {count(iterations)}, RI {count(round_iterations)}."


def _published(name: str) -> PublishedExperiment:
    """Return a paper's experiment at the IPC of the draft, where its tables speak of that, for the teacher chosen."""
    preset, draft = find_preset(name), session().draft
    ipc, is_chosen = draft.recover.ipc, _chosen_teacher(preset.dataset) != "auto"
    card = cached.found_teacher(draft) if is_chosen else None
    return preset.published(ipc if preset.allows(ipc) else None, network=card.network if card else "")


def _chosen_teacher(dataset: str) -> str:
    """Return the teacher that the reader chose for a dataset; auto where there is none, or a preset named it."""
    draft = session().draft
    is_own = draft.dataset == dataset and draft.teacher != st.session_state.get(_PAPER_TEACHER)
    return draft.teacher if is_own else "auto"


def _preset(title: str) -> Preset:
    """Return a preset; ConfigError where the draft's method has no fast one."""
    return fast_preset(session().draft.recover.method) if title == _FAST else _BY_TITLE[title]


def _take_preset() -> None:
    title = st.session_state[_SMALL]
    if not title:
        return
    st.session_state[_SMALL] = None  # should it be refused
    now, preset = session(), _preset(title)
    size = image_size_of(now.draft.dataset, now.draft.image_size)
    now.take_recover(preset.recover(now.draft.recover.method, size), size)
    _start_again(_SMALL, title)


def _take_paper() -> None:
    """Take over a paper's experiment; seed and device stay, of the same dataset classes and a chosen teacher too."""
    name = st.session_state[_PAPER]
    if not name:
        return
    now, found = session(), _published(name).experiment
    kept = {"seed": now.draft.seed, "device": now.draft.device, "squeeze": {"network": found.squeeze.network}}
    if found.dataset == now.draft.dataset:
        kept["classes"] = now.draft.classes
    teacher = _chosen_teacher(found.dataset)
    kept |= {"teacher": teacher} if teacher != "auto" else {}
    now.draft = found.replace(**kept)
    _start_again(_PAPER, name)
    st.session_state[_PAPER_TEACHER] = found.teacher if teacher == "auto" else ""


def _start_again(key: str, chosen: str) -> None:
    """Let all widgets start again from the draft, but the one that was chosen from."""
    forget(f"{PAGE}/")
    st.session_state[key] = chosen


def draw_more() -> None:
    """Draw all other settings, out of the way.

    Raises:
        ConfigError: a value that is not allowed.
    """
    now = session()
    with st.expander("More settings"):
        spec = controls.spec_of(RecoverConfig, "method")
        titles = {name: METHOD_TITLES[name] for name in spec.choices}
        look = {"default": now.draft.recover.method, "help": controls.help_text(spec), "on_change": _take_method}
        controls.choice(spec.title, titles, f"{PAGE}/method", segmented=True, **look)
        st.markdown("**Start patches**")
        now.change("select", **controls.settings_grid(now.draft.select, _SHARED_WITH_PATCHES, PAGE))
        if now.draft.recover.initialization == "patches":
            ranker_control(PAGE)
        if now.draft.recover.is_optimised:
            st.markdown("**Optimisation**")
            unused = () if now.draft.recover.is_batch_to_batch else MATCHING_SETTINGS
            names = [name for name in controls.names_behind_more(RecoverConfig, _MAIN) if name not in unused]
            now.change("recover", **controls.settings_grid(now.draft.recover, names, PAGE))
            controls.precision_warning(now.draft.recover.precision, now.draft.device)
            controls.doubt(step_doubt(now.draft.recover))
            _committee()
        st.markdown("**Data and device**")
        _classes()
        now.change(**controls.settings_grid(now.draft, ["resize", "seed", "teacher", "device"], PAGE))


def _committee() -> None:
    """Draw the choice of the teachers that recover in turn, where several do; a method with one teacher forgets it."""
    now, card = session(), cached.found_teacher(session().draft)
    if not now.draft.recover.committee:
        now.change(teachers=())
    elif card is not None:
        spec = controls.spec_of(Experiment, "teachers")
        look = {"help": controls.help_text(spec)}
        chosen = others.choose_committee("Committee", f"{PAGE}/teachers", now.draft.teachers, card, **look)
        now.change(teachers=chosen)


def dataset_control(page: str) -> str:
    """Draw the choice of a dataset; a folder's path can be typed in."""
    names = [*dataset_names(), *cached.folders()]
    typed = "A dataset of the catalogue, or type the path of a folder with one folder of images per class."
    look = {"format_func": dataset_title, "help": typed}
    chosen = controls.open_choice("Dataset", names, f"{page}/dataset", session().draft.dataset, **look).strip()
    if chosen != session().draft.dataset:
        session().change(dataset=chosen, classes=None, teacher="auto", teachers=(), ranker="", image_size=None)
        session().change("select", pinned=(), dropped=(), picked_from="")
        for name in ("classes", "teachers"):
            st.session_state.pop(f"{page}/{name}", None)
    return chosen


def ranker_control(page: str, **look: str) -> None:
    """Draw the choice of what ranks the patches: the teacher that recovers, or another one that knows the classes."""
    now, spec = session(), controls.spec_of(Experiment, "ranker")
    card = cached.found_teacher(now.draft)
    known, size = (card.class_names, card.image_size) if card else ((), now.draft.image_size)
    look = {"help": controls.help_text(spec)} | look
    chosen = others.choose(spec.title, f"{page}/ranker", now.draft.ranker, known, size, "the teacher", **look)
    now.change(ranker=chosen)


def dataset_title(name: str) -> str:
    """Return what a dataset is called, of a folder also where it is."""
    entry = CATALOGUE.get(name)
    return f"{entry.title} ({entry.num_classes} classes)" if entry else f"{short_name(name)} ({name})"


def _take_method() -> None:
    """Take over the method's settings; the widgets behind "more" start again from them."""
    draft = session().draft
    card = cached.found_teacher(draft)  # it knows the size of a folder's images
    size = image_size_of(draft.dataset, draft.image_size) or (card.image_size if card else None)
    session().choose_method(st.session_state[f"{PAGE}/method"], size)
    draft = session().draft
    for name in controls.names_behind_more(RecoverConfig, _MAIN):
        st.session_state[f"{PAGE}/{name}"] = getattr(draft.recover, name)
    for name in _SHARED_WITH_PATCHES:
        st.session_state[f"{PAGE}/{name}"] = getattr(draft.select, name)


def _classes() -> None:
    names = class_names(session().draft)
    if not names:
        return
    key = f"{PAGE}/classes"
    now = [name for name in prime(key, list(session().draft.classes or ())) if name in names]
    chosen = st.multiselect("Classes", names, now, key=key, placeholder="All classes", help="None chosen means all.")
    session().change(classes=tuple(chosen) or None)


def class_names(experiment: Experiment) -> tuple[str, ...]:
    """Return the names of the dataset's classes as its teacher knows them, empty without a teacher."""
    return getattr(cached.found_teacher(experiment), "class_names", ())
