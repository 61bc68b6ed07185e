"""Numbers and settings in words, the same on every page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from delt_engine.config import Experiment, RecoverConfig
from delt_engine.config.methods import IMPORTED, METHOD_TITLES
from delt_engine.config.students import RECIPE_TITLES
from delt_engine.runs.record import RunRecord
from delt_engine.runs.sources import REAL
from delt_engine.runs.store import Run
from delt_engine.runs.titles import is_example, read_title

STATUS_LOOKS = {
    "queued": (":material/schedule:", "gray"),
    "running": (":material/play_circle:", "blue"),
    "paused": (":material/pause_circle:", "orange"),
    "finished": (":material/check_circle:", "green"),
    "cancelled": (":material/cancel:", "gray"),
    "interrupted": (":material/power_off:", "orange"),
    "failed": (":material/error:", "red"),
    "unreadable": (":material/broken_image:", "red"),
}
"""Icon and colour of each status."""

_COMMAND = re.compile(r"(`delt [^`\n]*`)")
_OWN_ID = re.compile(r"\d{8}-\d{6}-.*-[0-9a-f]{4}")
_SETTING = re.compile(r"^(dataset|set|classes|teacher|label_store|file): ")
_MARKDOWN = re.compile(r"[\\`*_\[\]<>#$~|!]|:(?=[a-zA-Z_/+-])|(?<!\d):(?=\d)|&(?=#?\w+;)")
"""Letters that Markdown takes for its own; colons only where an icon, a colour or an address could begin."""


def count(number: float) -> str:
    """Return a number with thin thousands separators.

    >>> count(14500)
    '14,500'
    """
    return f"{number:,.0f}"


def plural(number: int, noun: str) -> str:
    """Return a count with its noun.

    >>> plural(1, "round"), plural(4, "round")
    ('1 round', '4 rounds')
    """
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"


def sentence(text: str) -> str:
    """Return the text with a capital at its beginning and all else as it is."""
    return text[:1].upper() + text[1:]


def plain(text: str) -> str:
    r"""Return words that are not ours, such as names, notes and errors, so that no letter is taken for Markdown.

    Only a command of ours between backticks stays code.

    >>> print(plain("a_b*c$d: use `delt resume a_b`."))
    a\_b\*c\$d: use `delt resume a_b`.
    """
    parts = _COMMAND.split(text)
    return "".join(part if at % 2 else _MARKDOWN.sub(r"\\\g<0>", part) for at, part in enumerate(parts))


def said(text: str) -> str:
    r"""Return a sentence of the engine as a page says it: without the name of a setting in front, safe for Markdown.

    >>> said("dataset: the folder my_pets does not exist."), said("run a-1: it is paused.")
    ('The folder my\\_pets does not exist.', 'run a-1: it is paused.')
    """
    words = _SETTING.sub("", text)
    return plain(sentence(words) if words != text and words.split(" ")[0].isalpha() else words)


def duration(seconds: float) -> str:
    """Return a length of time with at most two units.

    >>> duration(8.4), duration(75), duration(7260)
    ('8 s', '1 min 15 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(num_bytes: float) -> str:
    """Return a size in memory or on the disk, in units of 1,000.

    >>> size(900), size(1_250_000), size(12_500_000_000)
    ('900 B', '1.2 MB', '12 GB')
    """
    number, units = float(num_bytes), ["TB", "GB", "MB", "kB", "B"]
    while number >= 1000 and len(units) > 1:
        number, _ = number / 1000, units.pop()
    return f"{number:.{int(number < 10 and units[-1] != 'B')}f} {units[-1]}"


def ordinal(number: int) -> str:
    """Return a place in a row.

    >>> ordinal(1), ordinal(2), ordinal(11), ordinal(23)
    ('1st', '2nd', '11th', '23rd')
    """
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def ago(moment: str | None, now: datetime | None = None) -> str:
    """Return how long an ISO 8601 moment lies back, "" when there is none."""
    if not moment:
        return ""
    then = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    for limit, unit, name in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h")):
        if seconds < limit:
            return f"{max(0, int(seconds // unit))} {name} ago"
    days = int(seconds // 86400)
    return f"{plural(days, 'day')} ago" if days < 30 else then.strftime("%d %b %Y")


def clock(moment: str, now: datetime | None = None) -> str:
    """Return an ISO 8601 moment as a clock of this machine shows it, with the day where that is not today."""
    then = datetime.fromisoformat(moment.replace("Z", "+00:00")).astimezone()
    today = (now or datetime.now(UTC)).astimezone()
    days = "" if then.date() == today.date() else "%d %b " if then.year == today.year else "%d %b %Y "
    return then.strftime(f"{days}%H:%M")


def triple(values: Iterable[float]) -> str:
    """Return a number a channel."""
    return ", ".join(f"{value:.3f}" for value in values)


def short_name(dataset: str) -> str:
    """Return a dataset's name, of a folder its last part."""
    return dataset.rstrip("/").rsplit("/", 1)[-1]


def distinct(
    titles: Mapping[str, str], mark: Callable[[str], str], group: Callable[[str], Any] = lambda _key: None
) -> dict[str, str]:
    """Return titles by key, with a mark behind those that occur more than once in a group.

    >>> distinct({"r1": "DELT", "r2": "DELT", "r3": "CDA"}, str)
    {'r1': 'DELT (r1)', 'r2': 'DELT (r2)', 'r3': 'CDA'}
    """
    seen = Counter((title, group(key)) for key, title in titles.items())
    return {k: f"{title} ({mark(k)})" if seen[title, group(k)] > 1 else title for k, title in titles.items()}


def id_end(run_id: str) -> str:
    """Return what tells a run from others of its kind: the last letters of an id made here, else the id.

    >>> id_end("20261120-144849-photos-random-ipc10-8a2c"), id_end("photos-random")
    ('8a2c', 'photos-random')
    """
    return run_id.rsplit("-", 1)[1] if _OWN_ID.fullmatch(run_id) else run_id


def run_title(experiment: Experiment, kind: str = "recover") -> str:
    """Return what tells one run from another in a line.

    >>> run_title(Experiment(dataset="photos"))
    'photos · DELT · IPC 10 · MI 4,000 / RI 500'
    >>> run_title(Experiment(dataset="photos"), "squeeze")
    'photos · teacher resnet18'
    >>> run_title(Experiment(dataset="photos"), "evaluate")
    'photos · students, DELT recipe'
    """
    name = short_name(experiment.dataset)
    if kind == "evaluate":
        return f"{name} · students, {RECIPE_TITLES[experiment.evaluate.recipe]} recipe"
    if kind != "recover":
        return f"{name} · " + ("ranking" if kind == "rank" else f"teacher {experiment.squeeze.network}")
    recover = experiment.recover
    return f"{name} · {METHOD_TITLES[recover.method]} · IPC {recover.ipc} · {rounds_text(recover)}"


def rounds_text(recover: RecoverConfig, between: str = " / ") -> str:
    """Return MI and RI, or that nothing is optimised, or that somebody else made the images."""
    if recover.method == IMPORTED:
        return "imported"
    if not recover.is_optimised:
        return "not optimised"
    return f"MI {count(recover.iterations)}{between}RI {count(recover.round_iterations)}"


def handle(run: Run) -> str:
    """Return what a run is called where there is little room: its name, else method, MI and RI; then when it was made.

    What tells it from others of its kind comes first, since the end may be cut off.
    """
    record = run.record()
    recover, name = record.experiment.recover, read_title(run).title
    what = {
        "recover": f"{record.method_title} · {rounds_text(recover)}",
        "rank": "Ranking",
        "squeeze": f"Teacher {record.experiment.squeeze.network}",
        "evaluate": f"Students of {record.result.get('method_title', METHOD_TITLES[recover.method])}",
    }[record.kind]
    return f"{name or what} · {'example' if is_example(run) else clock(record.created)}"


def long_title(run: Run) -> str:
    """Return what tells a recovery from all others, for a list to choose from."""
    experiment = run.experiment
    what = f"IPC {experiment.recover.ipc} · {short_name(experiment.dataset)}"
    if read_title(run).title:
        what = f"{run.record().method_title} · {rounds_text(experiment.recover)} · {what}"
    return f"{handle(run)} · {what}"


def own_title(record: RunRecord) -> str:
    """Return what any run is made of in a line, of an evaluation also what its students learn from.

    >>> experiment = Experiment(dataset="photos", evaluate={"epochs": 60})
    >>> own_title(RunRecord(id="a", created="", kind="evaluate", source="real", experiment=experiment))
    'photos · students of all real images · DELT recipe'
    """
    experiment = record.experiment
    if record.origin is not None:
        return f"{short_name(experiment.dataset)} · {record.method_title} · IPC {experiment.recover.ipc} · imported"
    if record.kind != "evaluate":
        return run_title(experiment, record.kind)
    what = (
        f"{record.result.get('method_title', METHOD_TITLES[experiment.recover.method])}, IPC {experiment.recover.ipc}"
    )
    if record.source == REAL:
        what = "all real images"
    elif record.result.get("method") == "folder":
        what = short_name(record.source)
    return f"{short_name(experiment.dataset)} · students of {what} · {RECIPE_TITLES[experiment.evaluate.recipe]} recipe"


def reached(result: dict[str, Any]) -> str:
    """Return what students reached.

    >>> reached({"top1_last": 41.26, "top1_last_std": 0.84, "seeds": [0, 1, 2]}), reached({})
    ('top-1 41.3 % ± 0.8 over 3 seeds', '')
    """
    if result.get("top1_last") is None:
        return ""
    seeds = len(result.get("seeds", ()))
    spread = f" ± {result['top1_last_std']:.1f} over {plural(seeds, 'seed')}" if seeds > 1 else ""
    return f"top-1 {result['top1_last']:.1f} %{spread}"


def stopped_text(status: str, text: str) -> str:
    """Return how far a run is, begun with its status unless it is at work."""
    words = {"paused": "Paused", "cancelled": "Stopped", "failed": "Failed", "interrupted": "Its process is gone"}
    return sentence(text) if status == "running" else f"{words.get(status, status.capitalize())}: {text}"
