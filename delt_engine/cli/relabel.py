"""``delt relabel``: write the soft labels of a student training, to be replayed as often as wanted."""

from __future__ import annotations

import shlex
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from delt_engine.cli.evaluate import read_evaluation
from delt_engine.cli.group import STOPPED
from delt_engine.cli.options import (
    output_options,
    read_run_options,
    run_options,
    setting_options,
    teacher_options,
    typed_settings,
)
from delt_engine.cli.output import say, say_json, say_table
from delt_engine.cli.progress import display
from delt_engine.cli.recover import flags
from delt_engine.config import Experiment, RelabelConfig
from delt_engine.errors import ConfigError
from delt_engine.jobs import ranks
from delt_engine.runs.command import RELABEL_SETTINGS, command_for, relabel_command
from delt_engine.runs.sources import Source, find_source

if TYPE_CHECKING:
    from delt_engine.pipeline.relabel import RelabelJob


@click.command()
@click.argument("source", metavar="SOURCE")
@setting_options(["relabel", "evaluate", "experiment"], {"evaluate": RELABEL_SETTINGS})
@teacher_options
@run_options("relabel")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the labels.")
@click.option("--predict", is_flag=True, help="Say what they would take, and write nothing.")
@output_options
def relabel(source: str, out: Path | None, predict: bool, as_json: bool, quiet: bool, **values: Any) -> None:
    """Write the teacher's labels of every image, epoch by epoch, as students will be shown them.

    SOURCE is a run (its folder or id), a folder with one folder of images a class, or `real` for the whole training
    set of --dataset. Stop with Ctrl-C and run the same command again to go on. Several ranks share the epochs.
    """
    if out is None and not predict:
        raise ConfigError("out: nothing given, but labels need a folder; or ask for their size with --predict.")
    found = find_source(source)
    experiment = read_evaluation(found, values)
    experiment = experiment.replace(relabel=RelabelConfig(**typed_settings(values).get("relabel", {})))
    rank = ranks.this_rank()
    if not predict:
        rank.check_device(experiment.device)
        asked = read_run_options(values).ranks
        number = ranks.wanted(asked, experiment, lambda: experiment.relabel.label_epochs or experiment.evaluate.epochs)
        if number > 1:
            _check_before(experiment, found, out)
            _launch(number, relabel_command(experiment, out, found.ref)[1:], out, as_json=as_json, quiet=quiet)
            return
    from delt_engine.pipeline.relabel import relabel_job, write_labels

    job = relabel_job(experiment, found)
    facts = _facts(job)
    if not predict:
        began = time.monotonic()
        with display(quiet=quiet or not rank.is_first) as shown:
            write_labels(job, out, shown.show)
        facts |= {"labels": str(out.absolute()), "seconds": round(time.monotonic() - began, 3)}
        facts["evaluate"] = _next_command(experiment, found, facts["labels"])
    if not rank.is_first:
        return
    if as_json:
        say_json(facts)
    else:
        _tell(facts)


def _check_before(experiment: Experiment, source: Source, out: Path) -> None:
    """Say once what is wrong with the question; ranks that fail are started again and would repeat it."""
    from delt_engine.models.device import pick_device
    from delt_engine.pipeline.relabel import relabel_job

    pick_device(experiment.device)
    relabel_job(experiment.replace(device="cpu"), source).check(out)


def _launch(number: int, words: list[str], out: Path, *, as_json: bool, quiet: bool) -> None:
    """Let several ranks on this machine do a command; the first of them says the result.

    Raises:
        Exit: it failed or was stopped, which was said.
    """
    code = ranks.launch(number, [*words, *flags(as_json=as_json, quiet=quiet)])
    from delt_engine.training.soft_labels import is_complete

    if code == 0 and not is_complete(out):  # ranks that were asked to stop ended well
        code = STOPPED
    if code:
        raise click.exceptions.Exit(code)


def _facts(job: RelabelJob) -> dict[str, Any]:
    facts = job.facts
    size, every = facts.size, replace(facts, form="float16", label_epochs=facts.epochs).size
    return {
        "images": facts.images,
        "classes": facts.num_classes,
        "epochs": facts.epochs,
        "label_epochs": facts.label_epochs,
        "batch_size": facts.config.batch_size,
        "seed": facts.seed,
        "form": facts.form,
        "bytes": {**asdict(size), "total": size.total},
        "float16_bytes": {**asdict(every), "total": every.total},
        "times_smaller": {
            "labels": round(every.labels / size.labels, 3),
            "total": round(every.total / size.total, 3),
        },
    }


def _tell(facts: dict[str, Any]) -> None:
    stored = "every epoch's" if facts["label_epochs"] == facts["epochs"] else f"{facts['label_epochs']:,} epochs of"
    say(
        f"{facts['images']:,} images, {facts['epochs']:,} epochs, {stored} labels in {facts['form']}: "
        f"{facts['bytes']['total']:,} bytes, where float16 of every epoch takes {facts['float16_bytes']['total']:,}."
    )
    rows = [[part, facts["bytes"][part], facts["float16_bytes"][part]] for part in facts["bytes"]]
    say_table(("part", "bytes", "as float16 of every epoch"), rows)
    if "labels" in facts:
        say(f"{facts['seconds']:.1f} s: {facts['labels']}")
        say(f"Train on them with: {facts['evaluate']}")


def _next_command(experiment: Experiment, source: Source, labels: str) -> str:
    """Return the command that trains a student on the labels."""
    config = experiment.evaluate.replace(labels="stored", label_store=labels)
    return shlex.join(command_for(experiment.replace(evaluate=config), kind="evaluate", source=source.ref))
