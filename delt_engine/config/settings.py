"""The base of all settings records: validation, errors as one sentence, and what a control needs to know of a field.

Source: pydantic does the checking; the sentence form is ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from delt_engine.errors import ConfigError

Kind = Literal["int", "float", "bool", "choice", "text", "texts", "ints"]
"""Which control a setting takes."""


def setting(default: Any, text: str, *, title: str = "", source: str = "", flag: str = "", more: bool = True, **limits):
    """Declare one setting: its default, help text, short title, origin of the default, command-line flag."""
    extra: dict[str, Any] = {"source": source, "flag": flag, "more": more}
    return Field(default, title=title or None, description=text, json_schema_extra=extra, **limits)


def _sentence(error: ValidationError, record: str) -> str:
    """Turn pydantic's first complaint into one sentence: field, what came, what is allowed."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"]) or record
    context = first.get("ctx") or {}
    if isinstance(context.get("error"), ConfigError):
        return str(context["error"])
    came = repr(first.get("input"))
    kind = first["type"]
    if kind == "extra_forbidden":
        return f"{name}: there is no such setting in {record}."
    if kind == "literal_error":
        return f"{name}: {came} given, but it must be one of {context['expected']}."
    bounds = {
        "greater_than_equal": "at least {ge}",
        "less_than_equal": "at most {le}",
        "greater_than": "above {gt}",
        "less_than": "below {lt}",
    }
    if kind in bounds:
        return f"{name}: {came} given, but it must be {bounds[kind].format(**context)}."
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{name}: {came} given, but {message.removeprefix('value error, ')}."


class Settings(BaseModel):
    """Base of all records: frozen, no unknown names, numbers finite, errors as one ConfigError sentence."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    def __init__(self, **values: Any) -> None:
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


def _kind(annotation: Any) -> tuple[Kind, tuple[str, ...]]:
    """Return the kind of control for a type, and its choices."""
    if annotation == tuple[int, ...]:
        return "ints", ()
    if get_origin(annotation) is Literal:
        return "choice", get_args(annotation)
    plain = [a for a in get_args(annotation) if a is not type(None)] if get_origin(annotation) is not tuple else []
    if plain:
        return _kind(plain[0])
    kinds: dict[type, Kind] = {int: "int", float: "float", bool: "bool", str: "text"}
    return kinds.get(annotation, "texts"), ()


def field_specs(record: type[Settings]) -> tuple[FieldSpec, ...]:
    """Return one FieldSpec a setting of ``record``, in order of declaration; nested records are left out.

    >>> from delt_engine.config import SelectConfig
    >>> [spec.flag for spec in field_specs(SelectConfig)][:3]
    ['--criterion', '--order', '--mosaic']
    """
    specs = []
    for name, info in record.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Settings):
            continue
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        low = [getattr(m, a) for m in info.metadata for a in ("ge", "gt") if getattr(m, a, None) is not None]
        high = [getattr(m, a) for m in info.metadata for a in ("le", "lt") if getattr(m, a, None) is not None]
        kind, choices = _kind(info.annotation)
        specs.append(
            FieldSpec(
                name=name,
                flag=str(extra.get("flag") or "") or "--" + name.replace("_", "-"),
                kind=kind,
                default=info.default,
                minimum=low[0] if low else None,
                maximum=high[0] if high and not math.isinf(high[0]) else None,
                choices=choices,
                title=info.title or name,
                help=info.description or "",
                source=str(extra.get("source", "")),
                more=bool(extra.get("more")),
                may_be_open=type(None) in get_args(info.annotation),
            )
        )
    return tuple(specs)
