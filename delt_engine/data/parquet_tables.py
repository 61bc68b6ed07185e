"""Published sets as parquet tables: a row an image, the picture inside it and its class beside it.

Source: Hugging Face datasets: the Image feature is a struct of bytes and path, ClassLabel's names are in the metadata.
Differs: a path without bytes is not followed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from delt_engine.data.foreign import JPEG_NOTE, ForeignSet, check_bytes, decoded
from delt_engine.data.unpack import MAX_BYTES, MAX_FILES
from delt_engine.errors import DataError
from delt_engine.files import check_file

_PICTURE_COLUMNS = ("image", "img")
_CLASS_COLUMNS = ("label", "class_id", "labels", "class")
_NOT_TRAINED_ON = re.compile(r"(^|[/_.-])(test|val|valid|validation)([/_.-]|$)", re.IGNORECASE)
_ROWS_AT_ONCE = 64
_LONGEST_NAME = 1000
_JPEG_START = b"\xff\xd8"


def read_tables(path: Path) -> ForeignSet:
    """Return the set of a table, or of all tables in a folder but those that are called test or validation.

    Raises:
        DataError: no table, damaged, too large, or one without pictures and classes.
    """
    from pyarrow import ArrowException
    from pyarrow import parquet as tables

    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if path.is_dir():
        files = [one for one in files if not _NOT_TRAINED_ON.search(one.relative_to(path).as_posix())]
    labels: list[str] = []
    notes: list[str] = []
    try:
        for one in files:
            check_file(one, most=MAX_BYTES)
        check_bytes(path, sum(one.stat().st_size for one in files))
        opened = [tables.ParquetFile(one) for one in files]
        for file, table in zip(files, opened, strict=True):
            groups = (table.metadata.row_group(number) for number in range(table.num_row_groups))
            check_bytes(file, sum(group.total_byte_size for group in groups))  # as it is unpacked
            _column(table.schema_arrow.names, _PICTURE_COLUMNS, file)
            label = _column(table.schema_arrow.names, _CLASS_COLUMNS, file)
            titles = _class_titles(table.schema_arrow.metadata or {}, label)
            if table.metadata.num_rows > MAX_FILES:
                raise DataError(
                    f"set: {file} has {table.metadata.num_rows:,} rows, but at most {MAX_FILES:,} are read."
                )
            for batch in table.iter_batches(_ROWS_AT_ONCE, columns=[label]):  # one name may stand for many rows
                labels += [_label(value, titles, file) for value in batch.column(0).to_pylist()]
    except (ArrowException, OSError) as error:
        raise DataError(f"set: {path} is not a parquet table, or is damaged ({str(error).splitlines()[0]}).") from None

    def pixels() -> Iterator[np.ndarray]:
        for file, table in zip(files, opened, strict=True):
            picture = _column(table.schema_arrow.names, _PICTURE_COLUMNS, file)
            row = 0
            for values in _batches(table, picture, file):
                for value in values:
                    data = value.get("bytes") if isinstance(value, dict) else value
                    if not isinstance(data, bytes):
                        raise DataError(f"image: row {row} of {file} holds no picture; it must be inside the table.")
                    if data.startswith(_JPEG_START) and JPEG_NOTE not in notes:
                        notes.append(JPEG_NOTE)
                    yield decoded(data, f"row {row} of {file}")
                    row += 1

    return ForeignSet("parquet", path, tuple(labels), pixels, notes)


def _batches(table: Any, column: str, file: Path) -> Iterator[list[Any]]:
    """Yield the values of a column, some rows at a time."""
    from pyarrow import ArrowException

    try:
        for batch in table.iter_batches(_ROWS_AT_ONCE, columns=[column]):
            yield batch.column(0).to_pylist()
    except (ArrowException, OSError) as error:
        raise DataError(f"set: {file} is damaged ({str(error).splitlines()[0]}).") from None


def _column(there: Sequence[str], wanted: Sequence[str], file: Path) -> str:
    found = next((name for name in wanted if name in there), None)
    if found is None:
        raise DataError(f"set: {file} has the columns {', '.join(there)}, but one of {', '.join(wanted)} is needed.")
    return found


def _class_titles(metadata: dict[bytes, bytes], column: str) -> list[str]:
    """Return the names behind class numbers that Hugging Face's metadata holds, an empty list where it holds none."""
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"][column]["names"]
    except (KeyError, TypeError, ValueError):
        return []
    return [str(name) for name in names] if isinstance(names, list) else []


def _label(value: Any, titles: Sequence[str], file: Path) -> str:
    if isinstance(value, str) and len(value) > _LONGEST_NAME:
        raise DataError(f"label: a name of {len(value):,} letters in {file}, but it has {_LONGEST_NAME:,} at most.")
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise DataError(f"label: {value!r} in {file}, but class numbers or names are needed.")
    return titles[value] if isinstance(value, int) and 0 <= value < len(titles) else str(value)
