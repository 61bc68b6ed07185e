"""Records with arrays in one .npz file: plain fields as JSON beside the arrays, nothing that is run on reading."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from delt_engine.errors import DataError
from delt_engine.patches.ranking import write_whole

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)


def save_record(record: DataclassInstance, path: str | Path, arrays: Sequence[str], *, what: str, version: int) -> None:
    """Write a record, whole or not at all.

    Args:
        record: a dataclass whose other fields are plain values.
        path: the file.
        arrays: its fields that are arrays.
        what: what errors begin with: "map".
        version: of the format; :func:`load_record` takes no other.

    Raises:
        DataError: the file cannot be written.
    """
    about = {field.name: getattr(record, field.name) for field in fields(record) if field.name not in arrays}
    buffer = io.BytesIO()
    stored = {name: getattr(record, name) for name in arrays}
    np.savez_compressed(buffer, about=np.array(json.dumps({"format": version, **about})), **stored)
    write_whole(what, Path(path), buffer.getvalue())


def load_record(
    kind: type[Record], path: str | Path, arrays: Sequence[str], *, what: str, name: str, version: int, remedy: str
) -> Record:
    """Read a record; lists among its plain fields come back as tuples.

    Args:
        kind: the dataclass.
        path: the file.
        arrays: its fields that are arrays.
        what: what errors begin with: "map".
        name: what it is called in them: "map".
        version: the only one that is read.
        remedy: what to do about another version.

    Raises:
        DataError: no such file, or not such a record of this version.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            about: dict[str, Any] = json.loads(str(stored["about"]))
            found = {name: stored[name] for name in arrays}
        if about.pop("format") != version:
            raise DataError(f"{what}: {path} was written by another version; {remedy}.")
        about = {name: tuple(value) if isinstance(value, list) else value for name, value in about.items()}
        return kind(**about, **found)
    except OSError as error:
        raise DataError(f"{what}: {path} cannot be read ({error.strerror or error}).") from None
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error):
        raise DataError(f"{what}: {path} is no {name}, or is damaged.") from None
