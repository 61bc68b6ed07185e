"""What is written is whole or absent: one atomic writer, and one store of small JSON records.

A file is written under a temporary name beside its place and renamed, so a reader never sees half of one.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from delt_engine.errors import DeltError, RunError
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
        with _written_beside(path, [data], durable=durable) as name:
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
    with as_run_error(path), _written_beside(path, pieces) as name:
        os.replace(name, path)  # noqa: PTH105


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
    with as_run_error(path), _written_beside(path, [data]) as name:
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
def _written_beside(path: Path, pieces: Iterable[bytes], *, durable: bool = False) -> Iterator[str]:
    """Write to a temporary name beside ``path``, which is gone afterwards unless it was renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
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
