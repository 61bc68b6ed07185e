"""The ``delt`` command: every stage of the engine as a person types it.

Errors are one sentence on stderr: exit code 2 when what was asked cannot be, 1 when doing it failed, 130 when it was
stopped. Modules are imported when a command needs them, so ``delt --help`` answers at once.
"""

from __future__ import annotations

import click

from delt_engine import __version__
from delt_engine.cli.group import CommandGroup

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(
    cls=CommandGroup,
    context_settings=CONTEXT,
    commands={
        "datasets": "delt_engine.cli.datasets:datasets",
        "squeeze": "delt_engine.cli.squeeze:squeeze",
        "teachers": "delt_engine.cli.teachers:teachers",
        "rank": "delt_engine.cli.patches:rank",
        "select": "delt_engine.cli.patches:select",
        "recover": "delt_engine.cli.recover:recover",
        "relabel": "delt_engine.cli.relabel:relabel",
        "evaluate": "delt_engine.cli.evaluate:evaluate",
        "compare": "delt_engine.cli.compare:compare",
        "diversity": "delt_engine.cli.diversity:diversity",
        "run": "delt_engine.cli.run:run_file",
        "resume": "delt_engine.cli.recover:resume",
        "cost": "delt_engine.cli.cost:cost",
        "lab": "delt_engine.cli.lab:lab",
        "bench": "delt_engine.cli.bench:bench",
        "app": "delt_engine.cli.app:app",
    },
)
@click.version_option(__version__, prog_name="delt", message="%(prog)s %(version)s")
def main() -> None:
    """Dataset distillation by image optimisation: squeeze, rank, select, recover.

    With nothing but `delt recover`, synthetic images of the built-in photographs are made by EarlyLate training.
    """
