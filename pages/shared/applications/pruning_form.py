"""Start a pruning: on which images, of which network, how much, and how long; and how far it is."""

from __future__ import annotations

import streamlit as st

from delt_engine.config import EvaluateConfig
from delt_engine.config.pruning import PruneConfig
from delt_engine.jobs import tasks
from delt_engine.jobs.evaluations import evaluation_experiment
from delt_engine.runs.command import prune_command
from delt_engine.runs.sources import find_source
from pages.shared import controls, errors
from pages.shared.applications import task

PAGE = "applications/prune"
NETWORKS = ("vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn", "convnet-3", "convnet-4", "convnet-5", "convnet-6")
_USUAL = ("width", "percent", "epochs", "seeds")


def work() -> tasks.Task:
    """Return the pruning at work or last started from the app: one at a time."""
    return tasks.task("prune")


def draw() -> None:
    """Draw the form, or how far the work is."""
    now = work()
    if task.is_busy(now, PAGE, "Seeds that are finished are kept."):
        return
    runs = task.whole_runs()
    chosen = task.sources(runs, "Images in place of the data", PAGE)
    config = _settings()
    if config is None:
        return
    words = command(config, chosen or list(runs)[:1]) if runs else []
    if chosen:
        st.caption("A network that is not there is trained on the real data first, once, which takes some minutes.")
    task.start("Prune", "content_cut", PAGE, now, words, can_start=bool(chosen))


def command(config: PruneConfig, sources: list[str]) -> list[str]:
    """Return the command of a pruning on the images of some runs."""
    experiment = evaluation_experiment(find_source(sources[0]), EvaluateConfig())
    return prune_command(experiment, config, *sources)


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
