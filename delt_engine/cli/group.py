"""The command group: commands are imported when they are called, and errors become one sentence and an exit code."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from delt_engine.errors import CheckpointError, ConfigError, DataError, DeltError, RunCancelled, ShapeError
from delt_engine.jobs import ranks

BAD_INPUT = (ConfigError, DataError, CheckpointError, ShapeError)
STOPPED = 130
"""Exit code of what was stopped, as shells use it for Ctrl-C."""


class CommandGroup(click.Group):
    """A group whose commands are given as ``module:function``."""

    def __init__(self, *args: Any, commands: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._places = dict(commands or {})

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names in the order of the work."""
        return list(self._places)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        if name not in self._places:
            return None
        module, _, function = self._places[name].partition(":")
        return getattr(importlib.import_module(module), function)

    def main(self, *args: Any, **kwargs: Any) -> None:
        """Run the command line and leave with its exit code."""
        kwargs["standalone_mode"] = False
        try:
            with ranks.joined(), _output():
                code = super().main(*args, **kwargs)
        except BaseException as error:
            sentence, code = told(error)
            if sentence and (ranks.this_rank().is_first or not isinstance(error, DeltError)):
                click.echo(sentence, err=True)
        sys.exit(code if isinstance(code, int) else 0)


@contextlib.contextmanager
def _output() -> Iterator[None]:
    """Let the first of several ranks alone say the result."""
    if ranks.this_rank().is_first:
        yield
        return
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):  # noqa: PTH123
        yield


def told(error: BaseException) -> tuple[str, int]:
    """Return what is said of an error, and the exit code.

    Raises:
        BaseException: the error itself when it is a mistake of ours, which a sentence would hide.
    """
    if isinstance(error, RunCancelled):
        # A launcher would take any other code for a failure, and start all ranks again.
        return f"Stopped: {error}", STOPPED if ranks.this_rank().size == 1 else 0
    if isinstance(error, BAD_INPUT):
        return f"Error: {error}", 2
    if isinstance(error, DeltError):
        return f"Error: {error}", 1
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message(), 0
    if isinstance(error, click.UsageError):
        return f"Error: {error.format_message()}", 2
    if isinstance(error, click.ClickException):
        return f"Error: {error.format_message()}", error.exit_code
    if isinstance(error, click.exceptions.Exit):
        return "", error.exit_code
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return "Stopped.", STOPPED
    if isinstance(error, BrokenPipeError):
        return "", 1
    if isinstance(error, OSError) and error.errno in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
    ):
        from delt_engine.files import reason

        where = f"{error.filename} cannot be used: " if error.filename else ""
        return f"Error: {where}{reason(error)}.", 1
    raise error
