"""Accuracy over MI: what students lose when images get fewer iterations, as `delt compare --over-mi` measured it.

A curve is one record: where it was measured, and a row a method and MI. Those of this user are in their home, under
what was asked, so the same question is written over; those that ship with the project are in ``assets/mi_curves``. The
planner reads them, and the preset ``fast`` is drawn from the shipped ones.

Source: DELT Table 8b (MI 4,000, RI 500: eight rounds); the measurements are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from delt_engine.config.methods import METHOD_TITLES
from delt_engine.config.presets import Preset
from delt_engine.errors import ConfigError
from delt_engine.files import KeyedStore, read_json
from delt_engine.paths import assets_dir

ROUNDS = 8
"""Rounds at every MI of a curve, as 4,000 by 500 has them (DELT Table 8b)."""

FAST = "fast"
"""The preset's name."""

_OWN = KeyedStore("mi_curves", most=100)
_KEY = ("dataset_fingerprint", "teacher_fingerprint", "ipc", "rounds", "training", "seed", "methods", "iterations")
_NUMBERS = ("iterations", "top1_last", "top1_last_std")


def check_iterations(values: Sequence[int]) -> None:
    """Check that each MI of a curve can be split into :data:`ROUNDS` rounds and stands there once.

    Raises:
        ConfigError: one cannot, one is named twice, or there are fewer than two.
    """
    if len(values) < 2 or len(set(values)) < len(values):
        raise ConfigError(f"over-mi: {', '.join(map(str, values))} given, but it must be two or more MI, each once.")
    for value in values:
        if value < ROUNDS or value % ROUNDS:
            near = max(ROUNDS, value - value % ROUNDS)
            raise ConfigError(
                f"over-mi: {value} given, but {ROUNDS} must divide it, for RI is MI / {ROUNDS}; {near} or "
                f"{near + ROUNDS} can be taken."
            )


def keep(record: Mapping[str, Any]) -> None:
    """Write a curve where :func:`curves` finds it; RunError where the disk refuses."""
    _OWN.write(tuple(record[name] for name in _KEY), dict(record))


def curves(dataset: str = "") -> list[dict[str, Any]]:
    """Return the curves, those on ``dataset`` first, of these this user's first; damaged ones are left out."""
    found = [record for record in [*_OWN.records(), *shipped_curves()] if _is_curve(record)]
    return sorted(found, key=lambda record: record["dataset"] != dataset)


def shipped_curves() -> list[dict[str, Any]]:
    """Return the curves that ship with the project; none where none was measured yet."""
    found = (read_json(path) for path in sorted((assets_dir() / "mi_curves").glob("*.json")))
    return [record for record in found if _is_curve(record)]


def _is_curve(record: Any) -> bool:
    rows = record.get("rows") if isinstance(record, dict) else None
    return isinstance(rows, list) and all(
        isinstance(row, dict) and all(isinstance(row.get(name), int | float) for name in _NUMBERS) for row in rows
    )


def rows_of(record: Mapping[str, Any], method: str) -> list[dict[str, Any]]:
    """Return the rows of one method, the smallest MI first."""
    return sorted((row for row in record["rows"] if row["method"] == method), key=lambda row: row["iterations"])


def smallest_enough(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the row of the smallest MI whose mean is at most one standard deviation below that of the largest.

    The deviation is the largest MI's own, over its students. None without two rows, or where it had one student.

    >>> rows = [{"iterations": mi, "top1_last": top1, "top1_last_std": 1.0} for mi, top1 in ((8, 40.0), (16, 44.5))]
    >>> smallest_enough([*rows, {"iterations": 32, "top1_last": 45.0, "top1_last_std": 0.8}])["iterations"]
    16
    """
    if len(rows) < 2:
        return None
    by_length = sorted(rows, key=lambda row: float(row["iterations"]))
    most = by_length[-1]
    if not most["top1_last_std"]:
        return None
    return next(row for row in by_length if row["top1_last"] >= most["top1_last"] - most["top1_last_std"])


def fast_preset(method: str) -> Preset:
    """Return the preset ``fast`` of a method: the smallest MI within one standard deviation of the largest measured.

    Raises:
        ConfigError: the method was not measured.
    """
    for record in shipped_curves():
        rows = rows_of(record, method)
        found = smallest_enough(rows)
        if found is not None:
            iterations, most = int(found["iterations"]), rows[-1]
            what = f"smallest MI within one standard deviation of MI {most['iterations']:,}"
            origin = f"{what}; {told([found, most])}, {where(record)}"
            return Preset("Fast", origin, iterations, iterations // record["rounds"], record["ipc"])
    known = ", ".join(fast_methods())
    there = f"it is there for {known}" if known else "none is; `delt compare --over-mi` measures accuracy over MI"
    raise ConfigError(f"preset: {FAST!r} given, but accuracy over MI was not measured for {method!r}; {there}.")


def fast_settings(method: str) -> dict[str, int]:
    """Return what the preset ``fast`` sets in a recovery; ConfigError as for :func:`fast_preset`."""
    preset = fast_preset(method)
    return {"ipc": preset.ipc, "iterations": preset.iterations, "round_iterations": preset.round_iterations}


def fast_methods() -> tuple[str, ...]:
    """Return the methods that have the preset ``fast``."""
    methods = dict.fromkeys(row["method"] for record in shipped_curves() for row in record["rows"])
    return tuple(method for method in methods if any(smallest_enough(rows_of(one, method)) for one in shipped_curves()))


def accuracy_at(method: str, iterations: int, dataset: str = "") -> dict[str, Any] | None:
    """Return what a curve says of an MI: the rows on both sides of it and the largest, and where that was measured.

    At the largest MI or above it, that row and the smallest that is as good within its spread. A curve on ``dataset``
    goes before others.

    Returns:
        ``rows``, the smallest MI first, and ``measured``, the place in words; None where the method was not measured.
    """
    for record in curves(dataset):
        rows = rows_of(record, method)
        if len(rows) < 2:
            continue
        below = [row for row in rows if row["iterations"] <= iterations][-1:]
        above = [row for row in rows if row["iterations"] >= iterations][:1]
        enough = [] if above and above != rows[-1:] else [smallest_enough(rows)]
        wanted = [*below, *above, *enough, rows[-1]]
        return {"rows": [row for row in rows if row in wanted], "measured": where(record)}
    return None


def told(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return MI and accuracy of rows in words, each MI once.

    >>> told([{"iterations": 1000, "top1_last": 45.14, "top1_last_std": 0.83}])
    '45.1 ± 0.8 % at MI 1,000'
    """
    words = (f"{row['top1_last']:.1f} ± {row['top1_last_std']:.1f} % at MI {row['iterations']:,}" for row in rows)
    return ", ".join(dict.fromkeys(words))


def sentence(method: str, found: Mapping[str, Any]) -> str:
    """Return in a sentence what a planned MI costs in accuracy, as :func:`accuracy_at` found it."""
    title = METHOD_TITLES.get(method, method)
    return f"Students of {title}: {told(found['rows'])} (top-1, last epoch), {found['measured']}."


def where(record: Mapping[str, Any]) -> str:
    """Return where a curve was measured.

    >>> where({"dataset_title": "CIFAR-10", "network": "resnet18", "width": 0.25, "ipc": 10, "rounds": 8, "seeds": 3})
    'measured on CIFAR-10 with resnet18 of width 0.25, IPC 10, RI = MI / 8, 3 students'
    """
    network = f"{record['network']} of width {record['width']:g}"
    students = f"{record['seeds']} student{'' if record['seeds'] == 1 else 's'}"
    return (
        f"measured on {record['dataset_title']} with {network}, IPC {record['ipc']}, RI = MI / {record['rounds']}, "
        f"{students}"
    )


def described(record: Mapping[str, Any]) -> str:
    """Return in sentences where the numbers of a curve are from."""
    spread = " Mean ± sample standard deviation over the students." if record["seeds"] > 1 else ""
    made = "; ".join(f"{METHOD_TITLES.get(name, name)}: {words}" for name, words in record["settings"].items() if words)
    return (
        f"Top-1 of the last epoch, {where(record)}, images of seed {record['seed']}. Students: {record['training']}, "
        f"tested on {record['test_images']:,} real test images.{spread} Images made as in {made}. Measured on "
        f"{record['machine']}."
    )
