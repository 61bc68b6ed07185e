"""The search over all printed numbers: by words, by a table's name, by the number as it is shown."""

from __future__ import annotations

import re
from functools import lru_cache

from delt_engine.papers.published import PublishedValue, all_published, printed_with_spread
from pages.shared.papers.data import place_words

_TABLE_NAME = re.compile(r"\b(?:(delt|cda)\s*)?table\s*(\d+[a-e]?)\b", re.IGNORECASE)


def find(text: str) -> list[PublishedValue]:
    """Return the printed numbers that have all of some words, those that have them whole first.

    Words may be parts of a paper, dataset, method or network, with or without hyphens, or the number as it is shown. A
    table's name, such as "CDA Table 8" or "Table 4", is that table alone.
    """
    named = _TABLE_NAME.search(text)
    words = _folded(_TABLE_NAME.sub(" ", text)).split()
    if not words and named is None:
        return []
    found = [one for one in all_published() if _is_of(named, one) and all(word in _haystack(one) for word in words)]
    return sorted(found, key=lambda one: not set(words) <= set(_haystack(one).split()))


def _is_of(named: re.Match[str] | None, value: PublishedValue) -> bool:
    """Whether a number is of the table that was named; without its letter a number names all of its parts."""
    if named is None:
        return True
    paper, label = named.groups("")
    own = value.table.split()[-1]
    is_table = label.casefold() in (own, own.rstrip("abcde"))
    return is_table and paper.casefold() in ("", value.source)


@lru_cache(maxsize=1024)
def _haystack(value: PublishedValue) -> str:
    raw = (value.dataset, value.method, value.student, value.teacher, f"ipc{value.ipc}", printed_with_spread(value))
    return " ".join(map(_folded, (value.where, place_words(value), *raw)))


def _folded(text: str) -> str:
    return text.casefold().replace("-", "").replace("_", "").replace("²", "2")
