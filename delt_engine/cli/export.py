"""``delt export``: a finished run in a form that other tools read."""

from __future__ import annotations

from pathlib import Path

import click

from delt_engine.cli.options import count_option, output_options, path_option
from delt_engine.cli.output import progress_option, reporter, say, say_json
from delt_engine.exports.formats import FORMATS
from delt_engine.exports.training_lines import training_lines
from delt_engine.runs.store import Run

_HELP = "\n\n".join(
    (
        "Write a finished run in a form that other tools read, with a card that says what it is.",
        "RUN is the id or the folder of a run, or a shipped example such as cifar10-mini-delt. The forms:",
        *(f"{form.name}: {form.purpose}" for form in FORMATS.values()),
        "Everything is written, or nothing. `delt import` reads the images of all forms back.",
    )
)


@click.command(help=_HELP)
@click.argument("run", metavar="RUN")
@click.option("--format", "form", required=True, type=click.Choice(tuple(FORMATS)), help="Form of the export.")
@path_option("--out", "DIR", "New or empty folder; of a zip also its name. [default: RUN-FORMAT, here]")
@click.option(
    "--soft-labels/--no-soft-labels",
    default=None,
    help="Keep the teacher's logits of each image. [default: where the form has a place and the run's teacher is here]",
)
@count_option("--label-epochs", text="Epochs of FKD's labels. [default: those of the run's recipe]", most=100_000)
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="Where the teacher runs.")
@progress_option
@output_options
def export(
    run: str,
    form: str,
    out: Path | None,
    soft_labels: bool | None,
    label_epochs: int | None,
    device: str,
    progress_json: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write a run; the help is above."""
    from delt_engine.pipeline.export_set import export_run

    found = Run.open(run)
    done = export_run(
        found,
        form,
        out or Path(f"{found.id}-{form}"),
        soft_labels=soft_labels,
        label_epochs=label_epochs,
        device=device,
        report=reporter(progress_json),
    )
    if as_json:
        say_json(
            {
                "run": found.id,
                "format": done.form,
                "path": str(done.path),
                "images": done.images,
                "bytes": done.bytes,
                "soft_labels": done.has_soft_labels,
                "notes": list(done.notes),
            }
        )
    elif not quiet:
        data, ipc = found.record().dataset, found.experiment.recover.ipc
        assert data is not None  # it was exported
        say(f"{done.images:,} images, {done.bytes / 1e6:.1f} MB, {FORMATS[form].title}: {done.path}")
        for note in done.notes:
            say(note)
        place, count = str(done.path), len(found.classes)
        lines = training_lines(form, place, mean=data.mean, std=data.std, num_classes=count, ipc=ipc)
        say(f"\nTrain on it:\n\n{lines}")
