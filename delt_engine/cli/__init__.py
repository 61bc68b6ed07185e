"""The ``delt`` command: every stage of the engine as a person types it.

Errors are one sentence on stderr: exit code 2 when what was asked cannot be, 1 when doing it failed, 130 when it was
stopped, 75 when it was paused and is to go on, as after SIGTERM and SIGUSR1. Modules are imported when a command needs
them, so ``delt --help`` answers at once.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import click

from delt_engine import __version__
from delt_engine.errors import CheckpointError, ConfigError, DataError, DeltError, RunCancelled, RunPaused, ShapeError
from delt_engine.jobs import ranks
from delt_engine.jobs.signals import early

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
BAD_INPUT = (ConfigError, DataError, CheckpointError, ShapeError)
REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
STOPPED = 130
"""Exit code of what was stopped, as shells use it for Ctrl-C."""

PAUSED = 75
"""Exit code of what was paused: EX_TEMPFAIL of sysexits.h, "try again later", which schedulers take for a requeue."""


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

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command line and leave with its exit code."""
        kwargs["standalone_mode"] = False
        try:
            with early(), ranks.joined(), _output_of_the_first():
                code = super().main(*args, **kwargs)
        except BaseException as error:
            sentence, code = explained(error)
            if sentence and (ranks.this_rank().is_first or not isinstance(error, DeltError)):
                click.echo(sentence, err=True)
        _leave(code if isinstance(code, int) else 0)


def _leave(code: int) -> NoReturn:
    """End the process; one of several ranks at once, without taking the interpreter down.

    Threads of torch's process group that are still alive then now and then end it with an abort (torch 2.15, gloo), and
    the launcher would take a clean stop for a failure. All that was made is on the disk by now.
    """
    if ranks.this_rank().size == 1:
        sys.exit(code)
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


@contextlib.contextmanager
def _output_of_the_first() -> Iterator[None]:
    if ranks.this_rank().is_first:
        yield
        return
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):  # noqa: PTH123
        yield


def explained(error: BaseException) -> tuple[str, int]:
    """Return what is said of an error, and the exit code.

    Raises:
        BaseException: the error itself when it is a mistake of ours, which a sentence would hide.
    """
    if isinstance(error, RunCancelled):
        # A launcher would take any other code for a failure, and start all ranks again.
        code = PAUSED if isinstance(error, RunPaused) else STOPPED
        return f"Stopped: {error}", code if ranks.this_rank().size == 1 else 0
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
    if isinstance(error, OSError) and error.errno in REFUSALS:
        from delt_engine.files import reason

        where = f"{error.filename} cannot be used: " if error.filename else ""
        return f"Error: {where}{reason(error)}.", 1
    raise error


@click.group(
    cls=CommandGroup,
    context_settings=CONTEXT,
    commands={
        "datasets": "delt_engine.cli.teachers:datasets",
        "squeeze": "delt_engine.cli.squeeze:squeeze",
        "teachers": "delt_engine.cli.teachers:teachers",
        "rank": "delt_engine.cli.patches:rank",
        "select": "delt_engine.cli.patches:select",
        "recover": "delt_engine.cli.recover:recover",
        "relabel": "delt_engine.cli.evaluate:relabel",
        "evaluate": "delt_engine.cli.evaluate:evaluate",
        "compare": "delt_engine.cli.compare:compare",
        "ablate": "delt_engine.cli.ablate:ablate",
        "papers": "delt_engine.cli.papers:papers",
        "reproduce": "delt_engine.cli.papers:reproduce",
        "prune": "delt_engine.cli.prune:prune",
        "continual": "delt_engine.cli.continual:continual",
        "diversity": "delt_engine.cli.diversity:diversity",
        "privacy": "delt_engine.cli.privacy:privacy",
        "import": "delt_engine.cli.import_set:import_command",
        "export": "delt_engine.cli.export:export",
        "run": "delt_engine.cli.run:run_file",
        "work": "delt_engine.cli.work:work",
        "resume": "delt_engine.cli.recover:resume",
        "runs": "delt_engine.cli.runs:runs",
        "cost": "delt_engine.cli.cost:cost",
        "lab": "delt_engine.cli.lab:lab",
        "bench": "delt_engine.cli.bench:bench",
        "doctor": "delt_engine.cli.doctor:doctor",
        "chaos": "delt_engine.cli.chaos:chaos",
        "fuzz": "delt_engine.cli.fuzz:fuzz",
        "app": "delt_engine.cli.app:app",
    },
)
@click.version_option(__version__, prog_name="delt", message="%(prog)s %(version)s")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="What log.txt of a run keeps. [default: DELT_LOG, else info]",
)
def main(log_level: str | None) -> None:
    """Dataset distillation by image optimisation: squeeze, rank, select, recover.

    With nothing but `delt recover`, synthetic images of the built-in sample of CIFAR-10 are made by EarlyLate training.
    """
    if log_level:
        os.environ["DELT_LOG"] = log_level  # ranks and other processes of this command keep to it as well
