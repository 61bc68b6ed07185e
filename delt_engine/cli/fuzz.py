"""``delt fuzz``: give the program bad input, and see that each is taken or refused in one sentence."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import click

from delt_engine.cli.options import count_option
from delt_engine.cli.output import progress_option, reporter, say, say_json, say_table
from delt_engine.errors import RunError

_KINDS = ("settings", "experiment", "table", "images", "checkpoint", "run", "labels", "import")


@click.command()
@count_option("--cases", text="How many cases are tried.", most=10_000_000, default=800)
@count_option("--seed", text="Of the cases.", least=0, default=0)
@click.option("--only", "kinds", type=click.Choice(_KINDS), multiple=True, help="This kind only; may be given again.")
@count_option("--case", "only", text="Try the case of this number alone, as a finding names it.", least=0)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@progress_option
def fuzz(cases: int, seed: int, kinds: tuple[str, ...], only: int | None, as_json: bool, progress_json: bool) -> None:
    """Try damaged, odd and hostile settings, files and folders, and say what is neither taken nor refused well.

    A finding is a traceback, an error that is no single sentence, a hang, a write outside the folder of the case, code
    of the input that runs, or memory without measure. Everything is in a temporary folder. Ctrl-C ends it and says what
    was found until then.
    """
    from delt_engine.bench.fuzz import fuzz as try_cases

    folder = Path(tempfile.mkdtemp(prefix="delt-fuzz-"))
    try:
        found = try_cases(folder, cases, seed=seed, kinds=kinds or _KINDS, only=only, report=reporter(progress_json))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    record = {**found.to_record(), "seed": seed}
    if as_json:
        say_json(record)
    else:
        rows = [(kind, *each.values()) for kind, each in record["by_kind"].items() if sum(each.values())]
        say_table(("kind", "taken", "refused", "findings"), rows)
        say(f"{record['cases']:,} cases, seed {seed}.")
        for one in record["findings"]:
            say(f"{one['kind']}, case {one['case']}, {one['times']} times: {one['what']}")
    if record["findings"]:
        raise RunError(
            f"fuzz: {len(record['findings'])} things were neither taken nor refused in one sentence; "
            f"try one again with `delt fuzz --seed {seed} --case N`."
        )
