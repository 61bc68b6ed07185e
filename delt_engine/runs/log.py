"""The log of a run: log.txt in its folder, for whoever wants to know what happened when something went wrong.

What its process did and met, a line each with the time (UTC) and a level; a process that the app started also has its
outputs there. Beyond a megabyte the file becomes log.txt.1, and that log.txt.2. ``DELT_LOG``, or ``delt --log-level``,
says from which level lines are kept: debug, info (the default), warning or error. The user's home is written as ``~``,
and what looks like a password or a token is left out.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from delt_engine.errors import DeltError, RunCancelled
from delt_engine.files import check_file

FILE = "log.txt"
LEVEL_VARIABLE = "DELT_LOG"
LEVELS = ("debug", "info", "warning", "error")
MOST_BYTES, OLD_FILES = 1_000_000, 2
_TAIL_BYTES = 16_384

_SECRET = re.compile(r"(?i)(\w*(?:token|password|secret|api_?key)\w*\s*[=:]\s*)\S+|(?<=://)[^/\s@]+:[^/\s@]+(?=@)")
_logger = logging.getLogger("delt_engine")


@contextlib.contextmanager
def written(folder: Path, rank: int = 0, about: str = "") -> Iterator[None]:
    """Keep what is logged inside in the log of a run's folder, warnings of Python and of libraries too.

    ``about`` comes first. Of several ranks the first one alone puts old files away.
    """
    handler = _handler(folder / FILE, rotates=rank == 0)
    if handler is None:
        yield
        return
    root, before = logging.getLogger(), _logger.level
    root.addHandler(handler)
    _logger.setLevel(level())
    logging.captureWarnings(True)
    try:
        if about:
            _logger.info(about)
        yield
    except RunCancelled as stopped:
        _logger.info("stopped: %s", stopped)
        raise
    except BaseException as error:
        # a process of the app has its outputs there as well
        is_said = isinstance(error, DeltError) or _is_stderr(folder / FILE)
        _logger.error("%s", error if isinstance(error, DeltError) else repr(error), exc_info=not is_said)
        raise
    finally:
        logging.captureWarnings(False)
        _logger.setLevel(before)
        root.removeHandler(handler)
        handler.close()


def level() -> int:
    """Return from which level lines are kept."""
    name = os.environ.get(LEVEL_VARIABLE, "").lower()
    return getattr(logging, (name if name in LEVELS else "info").upper())


def last_lines(folder: Path, most: int = 20) -> list[str]:
    """Return the last lines of the log in a run's folder, oldest first; none where there is no log."""
    try:
        check_file(folder / FILE, most=2**50)
        with (folder / FILE).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.strip()][-most:]


class _Plain(logging.Formatter):
    """Time in UTC, level and text, without what is nobody's business."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or the lines of an error that is a mistake of ours."""
        own, text = str(Path.home()), super().format(record)
        if len(own) > 1:
            text = text.replace(own, "~")
        return _SECRET.sub(lambda found: f"{found.group(1) or ''}***", text)


class _Rotating(logging.handlers.RotatingFileHandler):
    def handleError(self, _record: logging.LogRecord) -> None:
        """Say nothing where the disk refuses: the run itself does."""


class _Appending(logging.handlers.WatchedFileHandler):
    def handleError(self, _record: logging.LogRecord) -> None:
        """Say nothing, as above."""


def _handler(path: Path, *, rotates: bool) -> logging.Handler | None:
    try:
        handler: logging.Handler
        if rotates:
            handler = _Rotating(path, maxBytes=MOST_BYTES, backupCount=OLD_FILES, encoding="utf-8")
        elif os.name == "posix":
            handler = _Appending(path, encoding="utf-8")
        else:
            return None
    except OSError:
        return None
    handler.setFormatter(_Plain("%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S"))
    return handler


def _is_stderr(path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(sys.stderr.fileno()), path.stat())
    except (OSError, ValueError, AttributeError):
        return False
