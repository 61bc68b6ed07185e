"""What one browser session keeps between pages: the settings being prepared and the run being watched.

A widget's value is dropped when its page is left, so what is worth keeping is copied here. Truth stays on disk.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from delt_engine.config import Experiment, RecoverConfig, SqueezeConfig, is_optimised, stage_settings
from delt_engine.config.presets import QUICK

SMALL_TEACHER = SqueezeConfig(network="resnet18", width=0.25, epochs=12)
"""A teacher that two CPU cores train in about a minute on small images. Ours."""

_KEY = "delt/session"


@dataclass
class Session:
    """One session's state.

    Args:
        draft: settings of the next run, shared by the pages that prepare it.
        watched: id of the run that Recover shows, "" when none was started or opened.
        parent: id of the run that the next one repeats with changes, "" when it repeats none.
        rounds: MI and RI to come back to from a method that optimises nothing.
        basis: under which settings methods are compared, see :mod:`delt_engine.papers.method_settings`.
        training: settings of the next teacher; apart from the draft, whose ``squeeze`` says what a checkpoint is.
    """

    draft: Experiment = field(default_factory=lambda: QUICK.experiment())
    watched: str = ""
    training: SqueezeConfig = SMALL_TEACHER
    parent: str = ""
    rounds: tuple[int, int] = (QUICK.iterations, QUICK.round_iterations)
    basis: str = "published"

    def change(self, stage: str = "", **values: Any) -> None:
        """Change settings of the draft: of a stage ("select", "recover"), or the experiment's own.

        Raises:
            ConfigError: a value that is not allowed; the draft stays as it was.
        """
        if stage:
            values = {stage: getattr(self.draft, stage).replace(**values)}
        self.draft = self.draft.replace(**values)

    def choose_method(self, method: str, size: int | None = None) -> None:
        """Take over a method's settings, keeping IPC, MI and RI; ``size``: side of the images, pixels, where known."""
        now = self.draft.recover
        if now.is_optimised:
            self.rounds = (now.iterations, now.round_iterations)
        kept = {"iterations": self.rounds[0], "round_iterations": self.rounds[1]} if is_optimised(method) else {}
        self.take_recover(RecoverConfig.for_method(method, size=size, ipc=now.ipc, **kept), size)

    def take_recover(self, recover: RecoverConfig, size: int | None = None) -> None:
        """Exchange the recovery; what its method sets in other stages, or the one before did, changes with it."""
        before, after = (stage_settings(method, size) for method in (self.draft.recover.method, recover.method))
        records: dict[str, Any] = {"recover": recover}
        for stage in before.keys() | after.keys():
            kept = getattr(self.draft, stage)
            plain = {name: type(kept).model_fields[name].default for name in before.get(stage, {})}
            records[stage] = kept.replace(**plain | after.get(stage, {}))
        self.draft = self.draft.replace(**records)


def session() -> Session:
    """Return this session's state, made on first use."""
    if _KEY not in st.session_state:
        st.session_state[_KEY] = Session()
    return st.session_state[_KEY]


def prime(key: str, value: Any) -> Any:
    """Give a widget its first value on this page; afterwards the reader's value stands.

    Returns:
        What the widget has now, to be handed to it as its default as well: a value put here is sent only by the run of
        the page that put it, and where that run was cut short by a click, the browser would start from a default that
        nobody chose, and send it back as the reader's.
    """
    return st.session_state.setdefault(key, value)


def forget(prefix: str) -> None:
    """Let the widgets under ``prefix`` start again from the draft."""
    for key in [key for key in st.session_state if isinstance(key, str) and key.startswith(prefix)]:
        del st.session_state[key]
