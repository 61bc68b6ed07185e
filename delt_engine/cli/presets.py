"""``--preset``: the experiment of a paper's table as the ground on which what is typed stands, and what it changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import click

from delt_engine.analysis.mi_curves import FAST, fast_methods, fast_preset
from delt_engine.cli.options import given_preset
from delt_engine.cli.output import say
from delt_engine.errors import ConfigError
from delt_engine.jobs import ranks
from delt_engine.papers.presets import PRESETS, Change, changes


def _fast_help() -> str:
    """Return what the preset fast is, where its measurement is there."""
    found = {method: fast_preset(method) for method in fast_methods()}
    told = [f"of {method} MI {preset.iterations:,}, the {preset.origin}" for method, preset in found.items()]
    return f" Or {FAST}: {'; '.join(told)}." if told else ""


preset_option = click.option(
    "--preset",
    metavar="NAME",
    help="Start from a paper's settings; what is typed stands on top. The method's published code fills in what no "
    f"table prints. NAME is one of {', '.join(PRESETS)}.{_fast_help()}",
)


def presets_told(
    values: Mapping[str, Any],
    stages: Collection[str],
    known: Iterable[Mapping[str, Any]],
    *,
    silent: bool,
    only: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Do what :func:`preset_told` does for several runs, each with its IPC and network; what is alike is said once."""
    told = [preset_told(values, stages, silent=True, only=only, **one) for one in known]
    rows = (row for one in told for row in one.get("preset", {}).get("changes", ()))
    _say(dict.fromkeys(_line(Change(**row)) for row in rows), silent=silent)
    return told


def preset_told(
    values: Mapping[str, Any],
    stages: Collection[str],
    *,
    silent: bool,
    only: Collection[str] = (),
    ipc: int | None = None,
    network: str = "",
) -> dict[str, Any]:
    """Say what the preset of a command changes against the defaults, a line a setting; return it for ``--json``.

    Args:
        values: parameters of the command.
        stages: whose settings it uses.
        silent: only return it.
        only: names of their settings that it uses, all when not given.
        ipc: images per class where they are not typed but known.
        network: likewise of the teacher.
    """
    if values.get("preset") == FAST and "recover" not in stages:
        raise ConfigError(f"preset: {FAST!r} given, but it sets MI and RI of a recovery, and this command makes none.")
    found = given_preset(values, ipc, network)
    if found is None:
        return {}
    rows = [row for row in changes(found, stages) if not only or row.setting.partition(".")[2] in only]
    _say(map(_line, rows), silent=silent)
    return {"preset": {"name": values["preset"], "changes": [row._asdict() for row in rows]}}


def _line(row: Change) -> str:
    return f"preset: {row.setting} {' -> '.join(row.words)} ({row.origin})"


def _say(lines: Iterable[str], *, silent: bool) -> None:
    if not silent and ranks.this_rank().is_first:
        for line in lines:
            say(line)
