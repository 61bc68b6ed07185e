"""Settings as words of a command line, and back: the one place that knows how a value is typed; no torch.

Commands that are shown (the one that makes a run, a teacher, a lab or a missing measurement again) and those that are
started as processes are written with it, and the options that read them are drawn from the same settings.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable
from typing import Any

from delt_engine.config.experiment import STAGES, Experiment
from delt_engine.config.settings import FieldSpec, Settings, field_specs
from delt_engine.errors import ConfigError

OPEN = "auto"
"""What is typed for a number that is left open, where the recipe has one."""

TEACHER_SETTINGS = ("network", "width", "stem")
"""Settings of ``squeeze`` that every command takes, for checkpoints that do not say what network they are."""

STAGE_RECORDS: dict[str, type[Settings]] = {"experiment": Experiment, **STAGES}
"""The settings of each stage; ``experiment`` has dataset, teacher, seed and the like."""


def join_names(names: Iterable[Any]) -> str:
    """Return names as one comma-separated text; a name with a comma in it is quoted.

    >>> join_names(["cat", "tench, Tinca tinca"])
    'cat,"tench, Tinca tinca"'
    """
    buffer = io.StringIO()
    csv.writer(buffer).writerow(list(names))  # which quotes what holds its line end as well
    return buffer.getvalue().removesuffix("\r\n")


def split_names(text: str) -> tuple[str, ...]:
    """Return the names in a comma-separated text, as :func:`join_names` writes it.

    >>> split_names('cat, "tench, Tinca tinca"')
    ('cat', 'tench, Tinca tinca')

    Raises:
        ConfigError: it is none.
    """
    try:
        rows = list(csv.reader([text], skipinitialspace=True))
    except csv.Error:
        raise ConfigError(f"names: {text[:60]!r} given, but names are separated by commas, on one line.") from None
    return tuple(name.strip() for name in (rows[0] if rows else []) if name.strip())


def is_open_number(spec: FieldSpec) -> bool:
    """Return whether a setting is a number or left open, which is typed as :data:`OPEN`.

    >>> [spec.name for spec in field_specs(STAGES["evaluate"]) if is_open_number(spec)]
    ['student_width', 'batch_size', 'learning_rate', 'min_crop']
    """
    return spec.may_be_open and spec.kind in ("int", "float")


def flag_words(flag: str, value: Any) -> tuple[str, ...]:
    """Return an option as words; a float without digits that say nothing.

    >>> flag_words("--flip", False), flag_words("--classes", ("cat", "dog")), flag_words("--lr", 1e-9)
    (('--no-flip',), ('--classes', 'cat,dog'), ('--lr', '1e-09'))
    """
    if isinstance(value, bool):
        return (flag if value else flag.replace("--", "--no-", 1),)
    if isinstance(value, tuple):
        return (flag, join_names(value))
    short = f"{value:g}" if isinstance(value, float) else ""
    return (flag, OPEN if value is None else short if short and float(short) == value else str(value))


def option_words(**values: Any) -> list[str]:
    """Return options by the names of their values; None and "" are not typed.

    >>> option_words(image_size=32, teacher="", measure=True)
    ['--image-size', '32', '--measure']
    """
    given = {name: value for name, value in values.items() if value is not None and value != ""}
    return [word for name, value in given.items() for word in flag_words("--" + name.replace("_", "-"), value)]


def changed_words(
    settings: Settings,
    plain: Settings,
    *,
    only: Collection[str] | None = None,
    without: Collection[str] = (),
    always: Collection[str] = (),
) -> list[str]:
    """Return the options that make ``settings`` of ``plain``.

    Args:
        plain: what holds when nothing is typed, of the same kind.
        only: names that are looked at, all when not given, but not those in ``without``.
        always: names that are typed whether they differ or not.
    """
    return [
        word
        for spec in field_specs(type(settings))
        if (only is None or spec.name in only) and spec.name not in without
        if (value := getattr(settings, spec.name)) != getattr(plain, spec.name) or spec.name in always
        for word in flag_words(spec.flag, value)
    ]
