"""Arrays and plain values in one .npz file, without pickles: nothing that is stored is run when it is read."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from tokenize import TokenError
from typing import Any, ClassVar, Self

import numpy as np

from delt_engine.errors import DataError
from delt_engine.files import check_file, write_bytes


def npz_bytes(arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any], *, compress: bool = True) -> bytes:
    """Return a .npz file with plain values as JSON beside the arrays, in an array named ``about``."""
    buffer = io.BytesIO()
    save: Callable[..., None] = np.savez_compressed if compress else np.savez
    save(buffer, about=np.array(json.dumps(facts)), **arrays)
    return buffer.getvalue()


ODD_HEADERS = (MemoryError, RecursionError, TokenError, OverflowError, NotImplementedError)
"""What NumPy raises besides at headers that are nested, that announce more numbers than there is memory for, or that
are packed in a way that is not known."""


def read_npz(path: str | Path, what: str, name: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the arrays and the plain values of a file of :func:`npz_bytes`; no values where there are none.

    Errors begin with ``what`` and call the file what it should be, a ``name``.

    Raises:
        DataError: no such file, or a damaged one.
    """
    try:
        check_file(path, most=2**40)
        with np.load(path, allow_pickle=False) as stored:
            arrays: dict[str, np.ndarray] = {key: stored[key] for key in stored.files}
        about = arrays.pop("about", np.array("{}"))
        # scans of version 0.1.0 have the text as bytes
        facts = json.loads(about.tobytes() if about.dtype == np.uint8 else str(about))
    except OSError as error:
        raise DataError(f"{what}: {path} cannot be read ({error.strerror or error}).") from None
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error, *ODD_HEADERS):
        raise DataError(f"{what}: {path} is not a {name}, or is damaged.") from None
    return arrays, facts


@dataclass(frozen=True, eq=False)
class ArrayRecord:
    """A dataclass of arrays and of plain values, or models of pydantic, that is one .npz file.

    Attributes:
        ARRAYS: its fields that are arrays, each with the type it is stored in.
        FORMAT: version of the file; no other one is read.
        WHAT: what errors begin with: "map".
        NAME: what the file should be: "map".
        REMEDY: what to do about another version: "draw it again".
        PARSE: makes a field of its plain value, by the field's name; lists become tuples anyway.
    """

    ARRAYS: ClassVar[Mapping[str, type]]
    FORMAT: ClassVar[int] = 1
    WHAT: ClassVar[str]
    NAME: ClassVar[str]
    REMEDY: ClassVar[str]
    PARSE: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}

    def to_bytes(self) -> bytes:
        """Return the content of the file."""
        facts = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in self.ARRAYS}
        facts = {name: value.model_dump() if hasattr(value, "model_dump") else value for name, value in facts.items()}
        stored: dict[str, np.ndarray] = {key: np.asarray(getattr(self, key), kind) for key, kind in self.ARRAYS.items()}
        return npz_bytes(stored, {"format": self.FORMAT, **facts})

    def save(self, path: str | Path) -> None:
        """Write the file, whole or not at all; DataError where the disk refuses."""
        write_bytes(Path(path), self.to_bytes(), what=self.WHAT, kind=DataError)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file; nothing that is stored in it is run.

        Raises:
            DataError: no such file, or not such a record of this version.
        """
        arrays, facts = read_npz(path, cls.WHAT, cls.NAME)
        try:
            if facts.pop("format") != cls.FORMAT:
                raise DataError(f"{cls.WHAT}: {path} was written by another version; {cls.REMEDY}.")
            plain = {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}
            plain |= {name: make(facts[name]) for name, make in cls.PARSE.items()}
            return cls(**plain, **{name: arrays[name] for name in cls.ARRAYS})
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataError(f"{cls.WHAT}: {path} is not a {cls.NAME}, or is damaged.") from None
