"""``delt datasets``: what datasets there are, and what is in one."""

from __future__ import annotations

from dataclasses import asdict

import click

from delt_engine.cli.options import count_option, output_options
from delt_engine.cli.output import progress_option, reporter, say, say_json, say_table


@click.command()
@click.argument("name", required=False)
@count_option("--image-size", text="Side of the images in pixels.", least=8, most=1024)
@progress_option
@output_options
def datasets(name: str | None, image_size: int | None, progress_json: bool, as_json: bool, quiet: bool) -> None:  # noqa: ARG001
    """List the datasets, or read one (a NAME or a folder) and say what is in it."""
    from delt_engine.data.catalogue import CATALOGUE, load_dataset

    if name is None:
        entries = [asdict(entry) for entry in CATALOGUE.values()]
        if as_json:
            say_json({"datasets": entries})
            return
        columns = ("name", "title", "kind", "num_classes", "image_size", "description")
        say_table(columns, [[entry[column] for column in columns] for entry in entries])
        say("A folder with one folder of images a class is a dataset as well.")
        return
    dataset = load_dataset(name, image_size, report=reporter(progress_json))
    found = {
        **asdict(dataset.spec),
        "fingerprint": dataset.fingerprint,
        "root": dataset.root,
        "counts": dataset.counts,
        "skipped": [asdict(file) for file in dataset.skipped],
    }
    if as_json:
        say_json(found)
        return
    shown = {**found, "class_names": ", ".join(found["class_names"]), "skipped": len(found["skipped"])}
    shown["counts"] = ", ".join(f"{count:,} {what}" for what, count in dataset.counts.items()) or "-"
    say_table(("about", "value"), [(key, value if value is not None else "-") for key, value in shown.items()])
    for file in dataset.skipped:
        say(f"skipped {file.path}: {file.reason}")
