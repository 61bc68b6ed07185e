"""Answers of an application side by side: all that are there, one question of them, their labels and commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from delt_engine.runs.application_files import ApplicationFiles
from delt_engine.runs.continuals import CONTINUALS
from delt_engine.runs.prunings import PRUNINGS
from pages.shared import controls, errors
from pages.shared.cached import until_changed
from pages.shared.wording import distinct, plain

_APPLICATIONS = {one.name: one for one in (PRUNINGS, CONTINUALS)}
_METHODS = ("delt", "cda", "sre2l", "gvbsm", "rded", "herding", "forgetting", "el2n", "random", "real")


def all_found(application: ApplicationFiles) -> list[dict[str, Any]]:
    """Return the summaries of all its answers, those written last first."""
    return _found(application.name, str(application.folder))


@until_changed(lambda name, _home: _APPLICATIONS[name].all(), max_entries=4)
def _found(name: str, _home: str) -> list[dict[str, Any]]:
    return list(_APPLICATIONS[name].summaries())


def one_question(
    found: Sequence[dict[str, Any]], same: Sequence[str], title: Callable[[dict[str, Any]], str], name: str
) -> list[dict[str, Any]]:
    """Return the answers that have the entries ``same`` in common; the reader chooses where there are several groups.

    They stand by images a class, then by method, random real last. ``name`` is what links call the choice.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in found:
        groups.setdefault("-".join(str(one[entry]) for entry in same), []).append(one)
    titles = distinct({key: title(own[0]) for key, own in groups.items()}, lambda key: key[-4:])
    fullest = max(groups, key=lambda key: len(groups[key]))
    chosen = controls.linked_choice(name, "Compared", titles, f"applications/{name}", default=fullest)
    return sorted(groups[chosen], key=_place)


def _place(one: dict[str, Any]) -> tuple[int, int, str]:
    place = _METHODS.index(one["method"]) if one["method"] in _METHODS else len(_METHODS)
    return one["ipc"] or 0, place, one["source"]


def labels(folders: Sequence[str], own: Sequence[dict[str, Any]]) -> list[str]:
    """Return what to call each answer, which lies in a folder: its method and IPC, and more where these are alike."""
    named = {key: f"{one['method_title']}, IPC {one['ipc']}" for key, one in zip(folders, own, strict=True)}
    return list(distinct(named, lambda key: Path(key).name[-4:]).values())


def commands(folders: Sequence[str], own: Sequence[dict[str, Any]]) -> None:
    """Draw where each answer lies and the command that makes it again."""
    with st.expander("Commands and files"):
        for folder, one in zip(folders, own, strict=True):
            with errors.contained(one["source"]):
                st.markdown(f"**{plain(one['source_title'])}**: {plain(folder)}")
                controls.command(one["command"].split())
