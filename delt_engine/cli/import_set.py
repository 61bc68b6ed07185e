"""``delt import``: a published set as a finished run, which everything here then treats like one of ours."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from delt_engine.cli.options import count_option, output_options, path_option
from delt_engine.cli.output import progress_option, reporter, say, say_json
from delt_engine.config import Experiment
from delt_engine.config.command_line import option_words
from delt_engine.data.tensor_files import PIXELS
from delt_engine.paths import expanded


@click.command("import")
@click.argument("path", metavar="PATH")
@click.option("--dataset", required=True, metavar="NAME", help="Dataset whose classes it has: a name, or a folder.")
@count_option("--image-size", text="Side of its images in pixels. [default: the dataset's]", least=8, most=1024)
@click.option("--method-name", default="", metavar="TEXT", help="What it is called. [default: like the file or folder]")
@click.option(
    "--teacher", default="auto", show_default=True, metavar="NAME", help="Teacher that labels its images for students."
)
@click.option(
    "--pixels",
    default="auto",
    show_default=True,
    type=click.Choice(PIXELS),
    help="What numbers in tensors mean: in [0, 1] (unit), or normalised by the dataset's or ImageNet's mean and std; "
    "auto takes the first two by what the numbers are.",
)
@path_option("--out", "DIR", "Folder of the run. [default: a new one]", is_folder=True)
@progress_option
@output_options
def import_command(
    path: str,
    dataset: str,
    image_size: int | None,
    method_name: str,
    teacher: str,
    pixels: str,
    out: Path | None,
    progress_json: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Make a run of a set that others published.

    PATH is a folder with one folder of images a class (or a zip of one), also as SRe2L, CDA, DELT and RDED save them
    (new000/class000_id000.jpg); a folder with images.pt and perhaps labels.pt, or a .pt file; an .npz with images and
    labels; parquet files with image and label or class_id; or tar shards of WebDataset. So are all forms of `delt
    export`. Classes go by name, by the dataset's own folders, or by number. Pixels are kept as they are, as PNG;
    nothing that is stored in a file is run.
    """
    from delt_engine.pipeline.import_set import import_set

    words = option_words(dataset=dataset, image_size=image_size, method_name=method_name)
    words += option_words(teacher=teacher if teacher != "auto" else None, pixels=pixels if pixels != "auto" else None)
    run = import_set(
        path,
        Experiment(dataset=dataset, image_size=image_size, teacher=teacher),
        method=method_name,
        pixels=pixels,
        out=out,
        command=["delt", "import", str(expanded(path).absolute()), *words],
        report=reporter(progress_json),
    )
    record = run.record()
    assert record.origin is not None
    assert record.dataset is not None
    if as_json:
        say_json(
            {
                "run": run.id,
                "path": str(run.path),
                "method": record.origin.method,
                "layout": record.origin.layout,
                "digest": record.origin.digest,
                "dataset": record.dataset.name,
                "classes": len(record.classes),
                "ipc": record.experiment.recover.ipc,
                "image_size": record.dataset.image_size,
                "teacher": record.teacher.name if record.teacher else None,
                "notes": list(record.notes),
            }
        )
    elif not quiet:
        ipc, size = record.experiment.recover.ipc, record.dataset.image_size
        say(f"{record.origin.method}: {len(record.classes)} classes, {ipc} images each, {size} px: {run.path}")
        for note in record.notes:
            say(note)
        say(f"Train students on it with: {shlex.join(['delt', 'evaluate', run.id if out is None else str(run.path)])}")
