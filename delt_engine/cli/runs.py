"""``delt runs``: the runs of this user, what each one does, and the last lines of the log of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from delt_engine.cli.options import count_option
from delt_engine.cli.output import say, say_json, say_table
from delt_engine.jobs.watchdog import silent_since
from delt_engine.runs.log import last_lines
from delt_engine.runs.store import Run, list_runs
from delt_engine.runs.titles import read_title


@click.command()
@click.argument("run", metavar="[RUN]", required=False)
@count_option("--lines", "number", text="Last lines of the log of one run.", least=0, most=1000, default=20)
@click.option("--active", is_flag=True, help="Only runs at work and runs that wait.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
def runs(run: str | None, number: int, active: bool, as_json: bool) -> None:
    """List your runs, newest first; or say of one, by its folder or id, how it is and what its log ends with."""
    if run is not None:
        _one(Run.open(run), number, as_json=as_json)
        return
    found = [facts(each) for each in list_runs() if each.is_active or not active]
    if as_json:
        say_json(found)
    elif not found:
        say("No run is at work." if active else "There are no runs yet.")
    else:
        columns = ("run", "kind", "status", "began", "note")
        say_table(columns, [[each["run"], each["kind"], each["status"], each["began"], _note(each)] for each in found])


def facts(run: Run) -> dict[str, Any]:
    """Return what is said of a run: status, error, and since when it gives no sign of life."""
    silent = silent_since(run)
    record = None if run.unreadable else run.record()
    return {
        "run": run.id,
        "path": str(run.path),
        "title": read_title(run).title if record else "",
        "kind": record.kind if record else "",
        "status": run.status,
        "began": (record.started or record.created)[:16].replace("T", " ") if record else "",
        "seconds": record.seconds if record else 0.0,
        "error": run.error,
        "no_sign_of_life_since": silent.isoformat(timespec="seconds") if silent else None,
    }


def _note(found: dict[str, Any]) -> str:
    silent = found["no_sign_of_life_since"]
    if silent:
        return f"no sign of life since {silent[11:16]}; `delt resume --takeover` ends it and goes on"
    return found["error"] or found["title"]


def _one(run: Run, number: int, *, as_json: bool) -> None:
    found, lines = facts(run), last_lines(run.path, number) if number else []
    if as_json:
        say_json({**found, "log": lines})
        return
    say(f"{run.id}: {found['kind'] or 'run'}, {found['status']}, {found['seconds']:.1f} s of work")
    for text in _said(found, run.path, lines):
        say(text)


def _said(found: dict[str, Any], path: Path, lines: Sequence[str]) -> list[str]:
    note = _note(found)
    return [*([note] if note else []), str(path), *(["", "Last lines of its log:", *lines] if lines else [])]
