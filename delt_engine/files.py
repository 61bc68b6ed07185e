"""What is written is whole or absent: one atomic writer, one store of small JSON records, one kind of file for arrays.

A file is written under a temporary name beside its place and renamed, so a reader never sees half of one. Nothing
that is stored here is run when it is read: JSON, and .npz without pickles.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
import stat
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from tokenize import TokenError
from typing import Any, ClassVar, Self

import numpy as np

from delt_engine.errors import DataError, DeltError, RunError
from delt_engine.paths import home

_SYNCS = 16
"""Files that are synced at once."""

_ABANDONED_AFTER_S = 24 * 3600
"""Age from which a temporary folder is taken for one of a process that was killed."""

_REASONS = {
    errno.ENOSPC: "there is no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "there is no permission to write there",
    errno.EPERM: "there is no permission to write there",
    errno.EROFS: "the disk is read-only",
    errno.ENOTDIR: "a file stands where a folder is needed",
    errno.EEXIST: "a file stands where a folder is needed",
}


def reason(error: OSError) -> str:
    """Return in words why the system refused."""
    return _REASONS.get(error.errno or 0, (error.strerror or str(error)).lower())


@contextlib.contextmanager
def as_run_error(path: Path, deed: str = "written") -> Iterator[None]:
    """Turn the system's refusal into one sentence that names ``path``.

    Raises:
        RunError: no space, no permission, a file in place of a folder, and the like.
    """
    try:
        yield
    except OSError as error:
        raise RunError(f"{path} cannot be {deed}: {reason(error)}.") from error


def check_file(path: str | Path, most: int = 2**30) -> None:
    """Refuse what is no file that can be read as a whole: a pipe waits without end, a huge one is too much.

    Raises:
        OSError: not there, no regular file, or more than ``most`` bytes; its ``strerror`` says so.
    """
    found = os.stat(path)  # noqa: PTH116 (as pathlib's, and takes both)
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    if found.st_size > most:
        raise OSError(errno.EFBIG, f"it has {found.st_size / 2**30:,.1f} GiB, more than any of its kind", str(path))


def write_bytes(
    path: Path, data: bytes, *, durable: bool = False, what: str = "", kind: type[DeltError] = RunError
) -> None:
    """Write a whole file or none.

    Its folder is made when missing. ``durable`` returns only when the disk has the file and its name, for files that a
    resume depends on. The sentence of an error, of that kind, begins with ``what``: "ranking".

    Raises:
        RunError: the system refused, or another ``kind``; no temporary file is left.
    """
    try:
        with _written_beside(path, data, durable=durable) as name:
            os.replace(name, path)  # noqa: PTH105 (the tests stand in for a full disk here)
        if durable and os.name == "posix":
            _sync_one(path.parent)
    except OSError as error:
        sentence = f"{path} cannot be written: {reason(error)}."
        raise kind(f"{what}: {sentence}" if what else sentence) from error


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a whole file of pieces that need not be in memory together, or none.

    Raises:
        RunError: the system refused; no temporary file is left.
    """
    with as_run_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines(pieces)
            Path(name).chmod(0o644)
            os.replace(name, path)  # noqa: PTH105
        finally:
            with contextlib.suppress(OSError):
                os.unlink(name)  # noqa: PTH108


def try_write(path: Path, data: bytes) -> bool:
    """Write a whole file or none, and return whether the system let it: for what can be made again."""
    try:
        write_bytes(path, data)
    except RunError:
        return False
    return True


def sync(*paths: Path) -> None:
    """Make sure that the disk has files, folders with all that is in them, and the entries of both.

    Raises:
        RunError: the system refused.
    """
    found = [inside for path in paths for inside in ([path, *path.rglob("*")] if path.is_dir() else [path])]
    folders = {path.parent for path in paths} if os.name == "posix" else set()
    wanted = [*(path for path in found if not path.is_dir() or os.name == "posix"), *folders]
    with ThreadPoolExecutor(_SYNCS) as pool:  # the disk takes many at once in little more time than one
        list(pool.map(_sync_one, wanted))


def _sync_one(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # a temporary file that has got its name meanwhile
        return
    with as_run_error(path):
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def create_bytes(path: Path, data: bytes) -> bool:
    """Write a whole file where none is yet, and return whether this call did; of several callers at once, one does.

    Raises:
        RunError: the system refused; no temporary file is left.
    """
    with as_run_error(path), _written_beside(path, data) as name:
        try:
            os.link(name, path)  # noqa: PTH200 (the tests stand in for a disk without hard links here)
        except FileExistsError:
            return False
        except OSError:  # no hard links on this disk: an empty file takes the place, and is replaced at once
            try:
                path.touch(exist_ok=False)
            except FileExistsError:
                return False
            try:
                os.replace(name, path)  # noqa: PTH105
            except OSError:
                path.unlink(missing_ok=True)  # the empty file was ours
                raise
    return True


@contextlib.contextmanager
def _written_beside(path: Path, data: bytes, *, durable: bool = False) -> Iterator[str]:
    """Write to a temporary name beside ``path``, which is gone afterwards unless it was renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(name).chmod(0o644)
        # The kernel's own stamps move every few milliseconds only, but readers tell versions by them.
        os.utime(name, ns=(time.time_ns(), time.time_ns()))
        yield name
    finally:  # also when Ctrl-C comes in the middle of it
        with contextlib.suppress(OSError):
            os.unlink(name)  # noqa: PTH108


@contextlib.contextmanager
def whole_folder(final: Path, prefix: str) -> Iterator[Path]:
    """Yield a folder of the same name beside the final one, which takes its place, if that is empty, once it is whole.

    Temporary folders begin with ``prefix``; those that killed processes left are removed a day later.

    Raises:
        RunError: the system refuses; nothing is left.
    """
    with as_run_error(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        for left in final.parent.glob(f"{prefix}*"):
            with contextlib.suppress(OSError):  # another process tidies as well
                if left.stat().st_mtime < time.time() - _ABANDONED_AFTER_S:
                    shutil.rmtree(left, ignore_errors=True)
        around = Path(tempfile.mkdtemp(prefix=prefix, dir=final.parent))
    try:
        yield around / final.name
        with as_run_error(final):
            (around / final.name).rename(final)
    finally:
        shutil.rmtree(around, ignore_errors=True)


def is_unfinished(name: str, of: Collection[str]) -> bool:
    """Return whether :func:`write_bytes` is at work on one of the files, under its temporary name.

    >>> is_unfinished(".run.json.x1y2.tmp", {"run.json"}), is_unfinished("run.json", {"run.json"})
    (True, False)
    """
    return name.endswith(".tmp") and any(name.startswith(f".{file}.") for file in of)


def remove_unfinished(folder: Path, but: Collection[str] = ()) -> None:
    """Remove the temporary files that killed processes have left in a folder, but those of some files at its top."""
    for path in folder.rglob(".*.tmp"):
        if path.parent != folder or not is_unfinished(path.name, but):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Find out now whether a file can be written later; nothing is left and an existing file is not touched.

    Raises:
        RunError: the system refuses.
    """
    with as_run_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, read piece by piece; OSError where it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; None when it is absent or damaged."""
    try:
        check_file(path)
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


@dataclass(frozen=True)
class KeyedStore:
    """Small JSON records in a folder of the user's home, one file a key: what was measured here and is worth knowing.

    Beyond ``most`` records those written longest ago go.
    """

    folder: str
    most: int = 1000

    def path(self, key: object) -> Path:
        """Return the file of a key: a text is its name; anything else is named by the hash of its ``repr``."""
        name = key if isinstance(key, str) else hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        return home() / self.folder / f"{name}.json"

    def read(self, key: object) -> Any:
        """Return the record of a key; None when it is absent or damaged."""
        return read_json(self.path(key))

    def write(self, key: object, record: Any) -> Path:
        """Write the record of a key over what was there, and return its file.

        Raises:
            RunError: the system refuses.
        """
        path = self.path(key)
        write_bytes(path, (json.dumps(record, indent=1) + "\n").encode())
        for _, old in sorted(self._files())[: -self.most]:
            old.unlink(missing_ok=True)
        return path

    def records(self) -> list[Any]:
        """Return all records, those written last first; damaged ones are left out."""
        found = [read_json(path) for _, path in sorted(self._files(), reverse=True)]
        return [record for record in found if record is not None]

    def _files(self) -> Iterator[tuple[int, Path]]:
        for path in (home() / self.folder).glob("*.json"):
            with contextlib.suppress(OSError):  # removed by another process just now
                yield path.stat().st_mtime_ns, path


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


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def guarded(value: Any) -> Any:
    """Return a value for a cell of CSV: text that a spreadsheet would take for a formula gets an apostrophe before it.

    >>> guarded("=HYPERLINK(1)"), guarded("cat"), guarded(-1.5)
    ("'=HYPERLINK(1)", 'cat', -1.5)
    """
    return f"'{value}" if isinstance(value, str) and value.lstrip("'").startswith(_FORMULA) else value


def unguarded(text: str) -> str:
    """Return what :func:`guarded` was given.

    >>> [unguarded(guarded(text)) for text in ("=1", "'=1", "'cat", "cat")]
    ['=1', "'=1", "'cat", 'cat']
    """
    return text[1:] if text.startswith("'") and text[1:].lstrip("'").startswith(_FORMULA) else text
