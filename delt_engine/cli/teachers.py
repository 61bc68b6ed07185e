"""``delt datasets`` and ``delt teachers``: what there is, whether a teacher knows a dataset, and adding checkpoints."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from delt_engine.cli.options import count_option, output_options, read_experiment, setting_options, teacher_options
from delt_engine.cli.output import progress_option, reporter, say, say_json, say_table
from delt_engine.config import Experiment
from delt_engine.errors import CheckpointError

if TYPE_CHECKING:
    from delt_engine.data.dataset import Dataset
    from delt_engine.models.health import CheckRecord
    from delt_engine.models.teachers import Teacher

Report = Callable[[str, int, int], None]
DATA_SETTINGS = {"experiment": ("dataset", "image_size", "device", "seed")}
SAMPLE = count_option("--sample", text="Test images to look at, at most.", default=2000)


@click.command()
@click.argument("name", required=False)
@count_option("--image-size", text="Side of the images in pixels.", least=8, most=1024)
@progress_option
@output_options
def datasets(name: str | None, image_size: int | None, progress_json: bool, as_json: bool, quiet: bool) -> None:  # noqa: ARG001
    """List the datasets, or read one (a NAME, a folder or a zip of one) and say what is in it.

    A zip is unpacked to a folder of its own first, which `delt datasets` then knows.
    """
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
    report = reporter(progress_json)
    dataset = unpacked(name, image_size, report) if is_zip(name) else load_dataset(name, image_size, report=report)
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


def is_zip(name: str) -> bool:
    """Return whether a dataset is given as a zip of its folder."""
    return name.lower().endswith(".zip") and Path(name).expanduser().is_file()


def unpacked(name: str, image_size: int | None, report: Report) -> Dataset:
    """Unpack a zip, read it and keep it among the user's folders; one that cannot be read leaves nothing."""
    from delt_engine.data.available import add_folder
    from delt_engine.data.catalogue import load_dataset
    from delt_engine.data.unpack import remove_upload, unpack_zip
    from delt_engine.errors import DataError

    folder = unpack_zip(Path(name).expanduser(), report)
    try:
        dataset = load_dataset(str(folder), image_size, report=report)
        add_folder(folder)
    except DataError as error:
        remove_upload(folder)
        raise DataError(str(error).replace(str(folder), Path(name).name)) from None
    return dataset


@click.group(invoke_without_command=True)
@output_options
@click.pass_context
def teachers(context: click.Context, as_json: bool, quiet: bool) -> None:  # noqa: ARG001
    """List the teachers, check one, or add a checkpoint from elsewhere."""
    if context.invoked_subcommand is not None:
        return
    from delt_engine.models.card import read_card, teacher_files

    cards = []
    for _, path in teacher_files():
        try:
            cards.append((path, read_card(path)))
        except CheckpointError as error:
            say(f"left out: {error}") if not as_json else None
    if as_json:
        say_json({"teachers": [{**asdict(card), "path": str(path)} for path, card in cards]})
        return
    columns = ("name", "network", "width", "stem", "image_size", "num_classes", "dataset", "accuracy")
    rows = [[getattr(card, column) for column in columns] for _, card in cards]
    say_table(columns, [[value if value is not None else "-" for value in row] for row in rows])


@teachers.command()
@click.argument("ref", default="auto")
@setting_options(["experiment"], DATA_SETTINGS)
@teacher_options
@SAMPLE
@progress_option
@output_options
def check(ref: str, sample: int, progress_json: bool, as_json: bool, quiet: bool, **values: Any) -> None:  # noqa: ARG001
    """Measure a teacher (a name, a file, or auto) on test images of a dataset and keep the result."""
    report = reporter(progress_json)
    dataset, teacher = _loaded(ref, read_experiment(values), report)
    record, text = _measured(teacher, dataset, sample, report)
    if as_json:
        say_json({"teacher": teacher.card.name, **asdict(record)})
    else:
        say(text)


@teachers.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", default="", metavar="TEXT", help="Name of the teacher. [default: of the file]")
@click.option("--force", is_flag=True, help="Add it although it does not know the dataset.")
@setting_options(["experiment"], DATA_SETTINGS)
@teacher_options
@SAMPLE
@progress_option
@output_options
def add(file: Path, name: str, force: bool, sample: int, progress_json: bool, as_json: bool, **typed: Any) -> None:
    """Take in a checkpoint: read it safely, check it on the dataset, and keep it where `--teacher` finds it."""
    from delt_engine.models.card import SUFFIX, read_card
    from delt_engine.models.checkpoints import save_teacher
    from delt_engine.paths import teachers_dir

    report = reporter(progress_json)
    dataset, teacher = _loaded(str(file), read_experiment(typed), report)
    record, text = _measured(teacher, dataset, sample, report)
    if record.verdict == "class order?" and not force:
        raise CheckpointError(f"teacher: {record.message} It was not added; --force adds it all the same.")
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name or file.name.split(".")[0]).strip("-.") or "teacher"
    path = teachers_dir() / f"{plain}{SUFFIX}"
    if path.exists() and read_card(path).fingerprint != teacher.card.fingerprint:  # that of the same is taken again
        raise CheckpointError(f"teacher: there is another teacher named {plain}; give this one another name (--name).")
    came = f"added from {file.name}"
    source = came if teacher.card.source.startswith("checkpoint") else f"{teacher.card.source}; {came}"
    card = replace(teacher.card, name=path.stem, dataset=dataset.spec.name, source=source)
    if card.accuracy is None and record.sample >= record.test_size:
        card = replace(card, accuracy=record.accuracy)
    save_teacher(path, teacher.network, card)
    if as_json:
        say_json({"teacher": card.name, "path": str(path), **asdict(record)})
    else:
        say(f"{text} Added as {card.name}: {path}")


def _loaded(ref: str, experiment: Experiment, report: Report) -> tuple[Dataset, Teacher]:
    from delt_engine.data.catalogue import load_dataset
    from delt_engine.models.device import pick_device
    from delt_engine.models.teachers import load_teacher

    dataset = load_dataset(experiment.dataset, experiment.image_size, report=report, resize=experiment.resize)
    report("teacher", 0, 1)
    device = pick_device(experiment.device)
    return dataset, load_teacher(ref, dataset=dataset, device=device, **experiment.squeeze.checkpoint)


def _measured(teacher: Teacher, dataset: Dataset, sample: int, report: Report) -> tuple[CheckRecord, str]:
    """Return what was measured, and what is said of it."""
    from delt_engine.models.health import judge, keep_check
    from delt_engine.models.teachers import check_teacher

    record = check_teacher(teacher, dataset, sample, report=lambda done, total: report("check", done, total))
    keep_check(record)
    return record, judge(teacher.card, dataset.spec, record).sentence(record)
