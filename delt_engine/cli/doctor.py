"""``delt doctor``: whether this machine and this installation can do what is asked of them, in plain words."""

from __future__ import annotations

import click

from delt_engine.cli.output import say, say_json

_MARKS = {True: "ok", False: "WRONG", None: "note"}


@click.command()
@click.option("--self-test/--no-self-test", default=True, help="Recover some digits and compare. [default: on]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
@click.pass_context
def doctor(context: click.Context, self_test: bool, as_json: bool) -> None:
    """Check versions, devices, disk, memory, shipped files and runs, and recover some digits as a test.

    Each finding that is wrong says what to do. The exit code is 1 where something is wrong; a note is for information.
    """
    from delt_engine.pipeline.doctor import examine

    findings = []
    for finding in examine(self_test=self_test):
        findings.append(finding)
        if not as_json:
            say(f"{_MARKS[finding.is_ok]:5} {finding.name}: {finding.value}")
            if finding.advice:
                say(f"      {finding.advice}")
    wrong = [finding.name for finding in findings if finding.is_ok is False]
    if as_json:
        checks = [
            {"name": one.name, "ok": one.is_ok is not False, "value": one.value, "advice": one.advice}
            for one in findings
        ]
        say_json({"ok": not wrong, "checks": checks})
    else:
        say("All is well." if not wrong else f"Something is wrong: {', '.join(wrong)}.")
    context.exit(1 if wrong else 0)
