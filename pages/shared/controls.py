"""Widgets: settings drawn from their records, where default, limits, wording and origin stand; choices; buttons."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import streamlit as st

from delt_engine.config import FieldSpec, Settings, field_specs
from delt_engine.jobs.worker import device_lock_name
from delt_engine.models.processor import bfloat16_warning
from pages.shared import address, errors, sign_in
from pages.shared.session import prime

_SHORT = 22
"""Letters of all choices together up to which they stand side by side."""

_WIDTH = 170
"""Least width of a setting among others, CSS pixels."""

_REFUSED = "controls/refused"


def setting(spec: FieldSpec, value: Any, page: str, *, compact: bool = False, **look: Any) -> Any:
    """Draw one setting and return the reader's value; the widget's key is "<page>/<name>".

    ``compact`` draws a choice as a list that opens, for narrow places; the widget takes ``look`` besides.
    """
    key = f"{page}/{spec.name}"
    now = prime(key, value)
    shared: dict[str, Any] = {"label": spec.title, "key": key, "help": help_text(spec)} | look
    if spec.kind == "bool":
        return st.toggle(value=now, **shared)
    if spec.kind == "choice":
        if not compact and sum(map(len, spec.choices)) <= _SHORT:
            return st.segmented_control(options=spec.choices, default=now, required=True, wrap=True, **shared)
        return st.selectbox(options=spec.choices, index=spec.choices.index(now), **shared)
    if spec.kind in ("int", "float"):
        return _number(spec, now, value, shared)
    return st.text_input(value=now, **shared)


def _number(spec: FieldSpec, now: float | None, before: float | None, look: dict[str, Any]) -> float | None:
    """Draw a number and return it; one out of its limits is answered with them, and the one before stands.

    Only a setting that may be left open can be empty, and then it is None.
    """
    look = {"step": 1} | look
    if spec.kind == "float":
        size = abs(float(spec.default or spec.minimum or 0.0)) or 1.0
        look |= {"step": 10.0 ** (math.floor(math.log10(size)) - 1), "format": "%g"}
    with st.container(gap=None):
        number = st.number_input(value=now, **look)
        if number is None or spec.allows(number):
            return number
        st.markdown(f":small[:red[{spec.title}: {spec.limits}]]")
    refuse(look["key"], f"{spec.title}: {spec.limits}")
    return before


def refuse(key: str, words: str) -> None:
    """Say that what stands in the widget ``key`` was not taken, and what is allowed."""
    st.session_state.setdefault(_REFUSED, {})[key] = words


def refused(page: str) -> list[str]:
    """Return what is allowed of each number on the page that was not taken."""
    return [words for key, words in st.session_state.get(_REFUSED, {}).items() if key.startswith(f"{page}/")]


def forget_refused(page: str) -> None:
    """Before the settings of a page are drawn: none is refused so far."""
    found = st.session_state.get(_REFUSED, {})
    st.session_state[_REFUSED] = {key: words for key, words in found.items() if not key.startswith(f"{page}/")}


def settings(record: Settings, names: Iterable[str], page: str, *, compact: bool = False) -> dict[str, Any]:
    """Draw settings of a record one after the other and return their values by name."""
    return {name: setting(spec_of(type(record), name), getattr(record, name), page, compact=compact) for name in names}


def settings_grid(record: Settings, names: Iterable[str], page: str) -> dict[str, Any]:
    """Draw settings of a record side by side, as many in a line as fit, and return their values by name."""
    with st.grid(min_column_width=_WIDTH, vertical_alignment="bottom"):
        return settings(record, names, page, compact=True)


def names_behind_more(record: type[Settings], leave_out: Iterable[str] = ()) -> list[str]:
    """Return the settings of a record that belong under "more", in order."""
    left_out = set(leave_out)
    return [spec.name for spec in field_specs(record) if spec.more and spec.name not in left_out]


def spec_of(record: type[Settings], name: str) -> FieldSpec:
    """Return the spec of one setting."""
    return next(spec for spec in field_specs(record) if spec.name == name)


def help_text(spec: FieldSpec) -> str:
    """Return a setting's help with its default and the place the default is from."""
    source = f" ({spec.source})" if spec.source else ""
    default = "" if spec.default is None else f" Default: {spec.default}{source}."
    return f"{spec.help}{default}"


def open_choice(label: str, options: Sequence[str], key: str, value: str, **look: Any) -> str:
    """Draw a list in which another value can be typed as well, and return the reader's, else ``value``."""
    now = prime(key, value)
    place = options.index(now) if now in options else None
    return st.selectbox(label, options, place, key=key, accept_new_options=True, **look) or value


def choice(
    label: str,
    options: Mapping[Any, str] | Sequence[Any],
    key: str,
    *,
    default: Any = None,
    segmented: bool,
    **look: Any,
) -> Any:
    """Draw a choice and return it; what is no option any more gives way to the default, else to the first one.

    ``options`` have titles where the values are not what is read; ``segmented`` puts them side by side.
    """
    titles = options if isinstance(options, Mapping) else {}
    values = list(options)
    look = {"key": key, "format_func": lambda value: titles.get(value, str(value))} | look
    if prime(key, default) not in values:
        st.session_state[key] = values[0] if default is None else default
    now = st.session_state[key]
    if segmented:
        return st.segmented_control(label, values, default=now, required=True, **look)
    return st.selectbox(label, values, values.index(now), **look)


def linked_choice(
    name: str,
    label: str,
    options: Mapping[Any, str] | Sequence[Any],
    key: str,
    *,
    default: Any = None,
    segmented: bool = False,
    always: bool = False,
    read: Callable[[str], Any] | None = None,
    **look: Any,
) -> Any:
    """Draw a :func:`choice` that the address keeps as its parameter ``name``, and return it.

    The default, or the first option, stands in no address unless ``always``. ``read`` turns the address's text into a
    value; by default it must be one of the options.
    """
    first = next(iter(options)) if default is None else default
    address.restore(name, key, read or address.member(options))
    chosen = choice(label, options, key, default=first, segmented=segmented, **look)
    address.publish(name, key, "" if chosen == first and not always else chosen)
    return chosen


def linked_choices(
    name: str,
    label: str,
    options: Mapping[str, str],
    key: str,
    *,
    usual: Sequence[str] = (),
    most: int | None = None,
    **look: Any,
) -> list[str]:
    """Draw a choice of several that the address keeps, and return it; ``usual`` is chosen where nothing else is."""
    restore_choices(name, key, options, most)
    st.session_state[key] = [one for one in st.session_state.get(key) or [] if one in options] or list(usual)
    chosen = st.multiselect(label, list(options), key=key, format_func=options.get, **look)
    address.publish(name, key, "" if set(chosen) in (set(), set(usual)) else ",".join(chosen))
    return chosen or list(usual)


def restore_choices(name: str, key: str, options: Iterable[str], most: int | None = None) -> None:
    """Before several are chosen: take over from the address those that are options, at most so many."""
    address.restore(name, key, lambda text: [part for part in text.split(",") if part in options][:most])


def button(
    label: str,
    icon: str,
    key: str,
    deed: Callable[..., Any] | None = None,
    *arguments: Any,
    changes: bool = False,
    **look: Any,
) -> bool:
    """Draw a button with an icon of Material Symbols and return whether it was pressed.

    Its deed is done before the page is drawn, so a press is not lost when the page is just being drawn anew. A button
    that ``changes`` something on the disk, as all do whose deed is attempted, is off for who may only look.
    """
    if changes or deed is errors.attempt:
        look |= _off()
    return st.button(label, icon=f":material/{icon}:" if icon else None, key=key, on_click=deed, args=arguments, **look)


def upload(label: str, key: str, **look: Any) -> None:
    """Draw a place for a file that is kept on the disk; it is off for who may only look, under a label that is seen."""
    off = _off()
    st.file_uploader(label, key=key, **look | off | ({"label_visibility": "visible"} if off else {}))


def _off() -> dict[str, Any]:
    """Return how a widget that changes something looks: off, with the reason, for who may only look."""
    why = sign_in.refusal()
    return {"disabled": True, "help": why} if why else {}


def download(label: str, icon: str, key: str, content: Any, name: str, mime: str, **look: Any) -> None:
    """Draw a button that saves a file, made by ``content`` when it is pressed; the page is not drawn again."""
    st.download_button(label, content, name, mime, icon=f":material/{icon}:", key=key, on_click="ignore", **look)


def command(words: Sequence[str]) -> None:
    """Draw a command as one would type it; of a run that others made it may be any, and only ours are drawn."""
    if words and words[0] == "delt":
        st.code(shlex.join(words), language="bash", wrap_lines=True)


@contextmanager
def headline(title: str, level: int = 2, **look: Any) -> Iterator[None]:
    """Draw a heading; what is drawn inside stands at the other end of its line."""
    with st.container(horizontal=True, **({"vertical_alignment": "center"} | look)):
        (st.title if level == 1 else st.subheader)(title, width="content")
        st.space("stretch")
        yield


def table(rows: Sequence[Mapping[str, Any]], **look: Any) -> None:
    """Draw a small table of words that needs no sorting."""
    st.table(list(rows), border="horizontal", hide_index=True, **look)


def doubt(text: str) -> None:
    """Warn of settings that make no sense, in words of :mod:`delt_engine.config.doubts`; "" is no doubt."""
    if text:
        st.warning(text, icon=":material/warning:")


def precision_warning(precision: str, device: str) -> None:
    """Warn of bfloat16 on a processor that has no instructions for it; both are as the settings have them."""
    warning = bfloat16_warning(precision, device_lock_name(device))
    if warning:
        st.warning(warning, icon=":material/speed:")
