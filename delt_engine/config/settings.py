"""The base of all settings records: validation, errors as one sentence, and what a control needs to know of a field.

Source: pydantic does the checking; the sentence form is ours.
"""

from __future__ import annotations

import reprlib
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from delt_engine.errors import ConfigError

Kind = Literal["int", "float", "bool", "choice", "text", "texts", "ints"]
"""Which control a setting takes."""

_KINDS: dict[Any, Kind] = {int: "int", float: "float", bool: "bool", str: "text", tuple[int, ...]: "ints"}
_BOUNDS = {
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "greater_than": "above {gt}",
    "less_than": "below {lt}",
}


def setting(
    default: Any,
    *,
    title: str = "",
    source: str = "",
    flag: str = "",
    more: bool = True,
    unlisted: tuple[str, ...] = (),
    **limits: Any,
):
    """Declare one setting; the string below it is its help text.

    Title and flag of the command line follow from its name unless given. ``source`` is where the default is from,
    ``more`` is whether it stands among the less usual settings, ``unlisted`` are choices that nobody is offered, and
    ``limits`` are ``ge``, ``gt``, ``le`` and ``lt``.
    """
    extra: dict[str, Any] = {"source": source, "flag": flag, "more": more, "unlisted": unlisted}
    return Field(default, title=title or None, json_schema_extra=extra, **limits)


_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxlist, _REPR.maxtuple, _REPR.maxdict = 3, 20, 20, 20
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 300


def shortened(value: Any) -> str:
    """Return how a value is written, of large ones a part: a few lines of YAML can stand for more than fits anywhere.

    >>> shortened("cda"), shortened([[[[[1]]]]])
    ("'cda'", '[[[[...]]]]')
    """
    try:
        return _REPR.repr(value)
    except ValueError:  # Python writes no number of more than some thousand digits
        return "a number of thousands of digits"


def _sentence(error: ValidationError, record: str) -> str:
    """Turn pydantic's first complaint into one sentence: field, what came, what is allowed."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"]) or record
    context = first.get("ctx") or {}
    if isinstance(context.get("error"), ConfigError):
        return str(context["error"])
    came = shortened(first.get("input"))
    kind = first["type"]
    if kind == "extra_forbidden":
        return f"{name}: there is no such setting in {record}."
    if kind == "literal_error":
        return f"{name}: {came} given, but it must be one of {context['expected']}."
    if kind in _BOUNDS:
        return f"{name}: {came} given, but it must be {_BOUNDS[kind].format(**context)}."
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{name}: {came} given, but {message.removeprefix('value error, ')}."


class Settings(BaseModel):
    """Base of all records: frozen, no unknown names, numbers finite, errors as one ConfigError sentence."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True, use_attribute_docstrings=True
    )

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(_sentence(error, type(self).__name__)) from None

    def replace(self, **changes: Any) -> Any:
        """Return a validated copy with ``changes``."""
        return type(self)(**{**self.model_dump(), **changes})


@dataclass(frozen=True)
class FieldSpec:
    """One setting as a control sees it: name, flag, kind, default, limits, texts, and whether it may be left open."""

    name: str
    flag: str
    kind: Kind
    default: Any
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    title: str
    help: str
    source: str
    more: bool
    may_be_open: bool = False
    excluded: tuple[float, ...] = ()  # limits that are none of the allowed values

    def allows(self, number: float) -> bool:
        """Return whether a number is within the limits."""
        is_low = self.minimum is not None and number < self.minimum
        is_high = self.maximum is not None and number > self.maximum
        return not is_low and not is_high and number not in self.excluded

    @property
    def limits(self) -> str:
        """What is allowed, in words.

        >>> from delt_engine.config import RecoverConfig
        >>> [spec.limits for spec in field_specs(RecoverConfig) if spec.name in ("ipc", "learning_rate", "beta1")]
        ['1 to 10,000', 'above 0, up to 10', '0 to below 1']
        """
        low, high = self.minimum, self.maximum
        start = "" if low is None else f"above {low:,g}, up" if low in self.excluded else f"{low:,g}"
        end = "" if high is None else f"to below {high:,g}" if high in self.excluded else f"to {high:,.12g}"
        return " ".join(filter(None, [start, end])) if end else f"{start} or more"


def field_specs(record: type[Settings]) -> tuple[FieldSpec, ...]:
    """Return one FieldSpec a setting of ``record``, in order of declaration; nested records are left out.

    >>> from delt_engine.config import SelectConfig
    >>> [spec.flag for spec in field_specs(SelectConfig)][:3]
    ['--criterion', '--median', '--order']
    """
    specs = []
    for name, info in record.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Settings):
            continue
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        low, high = (
            next((getattr(limit, end) for limit in info.metadata for end in ends if hasattr(limit, end)), None)
            for ends in (("ge", "gt"), ("le", "lt"))
        )
        may_be_open = type(None) in get_args(info.annotation)
        kind = get_args(info.annotation)[0] if may_be_open else info.annotation
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        unlisted: Any = extra.get("unlisted", ())
        listed = tuple(one for one in choices if one not in unlisted)
        specs.append(
            FieldSpec(
                name=name,
                flag=str(extra.get("flag") or "--" + name.replace("_", "-")),
                kind="choice" if get_origin(kind) is Literal else _KINDS.get(kind, "texts"),
                default=info.default,
                minimum=low,
                maximum=high,
                choices=listed,
                title=info.title or name.replace("_", " ").capitalize(),
                help=" ".join((info.description or "").split()),
                source=str(extra.get("source", "")),
                more=bool(extra.get("more")),
                may_be_open=may_be_open,
                excluded=tuple(
                    getattr(limit, end) for limit in info.metadata for end in ("gt", "lt") if hasattr(limit, end)
                ),
            )
        )
    return tuple(specs)
