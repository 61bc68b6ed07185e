"""Start a pruning: on which images, of which network, how much, and how long; and how far it is."""

from __future__ import annotations

import streamlit as st

from delt_engine.config import EvaluateConfig
from delt_engine.config.pruning import PruneConfig
from delt_engine.errors import RunError
from delt_engine.jobs import tasks
from delt_engine.jobs.evaluations import evaluation_experiment
from delt_engine.runs.command import prune_command
from delt_engine.runs.sources import find_source
from delt_engine.runs.store import Run
from pages.shared import cached, controls, errors
from pages.shared.controls import button
from pages.shared.wording import long_title, plain, sentence

PAGE = "applications/prune"
NETWORKS = ("vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn", "convnet-3", "convnet-4", "convnet-5", "convnet-6")
_USUAL = ("width", "percent", "epochs", "seeds")


def work() -> tasks.Task:
    """Return the pruning at work or last started from the app: one at a time."""
    return tasks.task("prune")


def draw() -> None:
    """Draw the form, or how far the work is."""
    errors.show_failed(PAGE)
    now = work()
    if now.is_running:
        _at_work(now)
        return
    if now.state == "failed":
        errors.show(RunError(now.error))
    runs = {run.id: run for run in cached.recoveries(finished=True) if _knows_all(run)}
    chosen = _sources(runs)
    config = _settings()
    if config is None:
        return
    wrong = controls.refused(PAGE)
    words = command(config, chosen or list(runs)[:1]) if runs else []
    if chosen:
        st.caption("A network that is not there is trained on the real data first, once, which takes some minutes.")
    deed = (errors.attempt, PAGE, _start, words)
    button("Prune", "content_cut", f"{PAGE}/start", *deed, type="primary", disabled=not chosen or bool(wrong))
    if words:
        controls.command(words)


def command(config: PruneConfig, sources: list[str]) -> list[str]:
    """Return the command of a pruning on the images of some runs."""
    experiment = evaluation_experiment(find_source(sources[0]), EvaluateConfig())
    return prune_command(experiment, config, *sources)


def _knows_all(run: Run) -> bool:
    record = run.record()
    return record.dataset is not None and len(run.classes) == len(record.dataset.class_names)


def _sources(runs: dict[str, Run]) -> list[str]:
    titles = {key: long_title(run) for key, run in runs.items()}
    key, usual = f"{PAGE}/sources", list(titles)[:1]
    st.session_state[key] = [one for one in st.session_state.get(key, usual) or [] if one in titles]
    return st.multiselect("Images in place of the data", list(titles), key=key, format_func=titles.get)


def _settings() -> PruneConfig | None:
    controls.forget_refused(PAGE)
    plain_config = PruneConfig()
    with st.grid(5, min_column_width=130, vertical_alignment="bottom"):
        spec = controls.spec_of(PruneConfig, "network")
        key, look = f"{PAGE}/network", {"help": controls.help_text(spec)}
        values = {"network": controls.open_choice(spec.title, NETWORKS, key, plain_config.network, **look)}
        for name in _USUAL:
            look = {"placeholder": "the teacher's"} if name == "width" else {}
            values[name] = controls.setting(
                controls.spec_of(PruneConfig, name), getattr(plain_config, name), PAGE, compact=True, **look
            )
    with st.expander("More settings", key=f"{PAGE}/more"):
        values |= controls.settings_grid(plain_config, ("sparsity", *controls.names_behind_more(PruneConfig)), PAGE)
    with errors.shown():
        return PruneConfig(**values)


def _start(words: list[str]) -> None:
    tasks.start(work(), words[1:])


def _at_work(now: tasks.Task) -> None:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("**At work**", width="content")
            st.space("stretch")
            button("Stop", "stop", f"{PAGE}/stop", now.forget, help="Seeds that are finished are kept.")
        far = now.progress()
        st.progress(far.done / max(1, far.total) if far else 0.0)
        st.caption(plain(f"{sentence(far.what)}: {far.done:,} of {far.total:,}" if far else "The process starts…"))
