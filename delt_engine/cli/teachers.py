"""``delt datasets`` and ``delt teachers``: what there is, whether a teacher knows a dataset, and adding checkpoints."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from delt_engine.cli.options import (
    count_option,
    output_options,
    read_experiment,
    setting_options,
    teacher_options,
    typed_settings,
)
from delt_engine.cli.output import progress_option, reporter, say, say_json, say_table
from delt_engine.config import Experiment
from delt_engine.errors import CheckpointError
from delt_engine.paths import expanded

if TYPE_CHECKING:
    from delt_engine.data.dataset import Dataset
    from delt_engine.models.card import TeacherCard
    from delt_engine.models.health import CheckRecord
    from delt_engine.models.teachers import Teacher

Report = Callable[[str, int, int], None]
DATA_SETTINGS = {"experiment": ("dataset", "image_size", "device", "seed")}
NAMES_SHOWN = 100
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
    names = found["class_names"]
    more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    shown = {**found, "class_names": ", ".join(names[:NAMES_SHOWN]) + more, "skipped": len(found["skipped"])}
    shown["counts"] = ", ".join(f"{count:,} {what}" for what, count in dataset.counts.items()) or "-"
    say_table(("about", "value"), [(key, value if value is not None else "-") for key, value in shown.items()])
    for file in dataset.skipped:
        say(f"skipped {file.path}: {file.reason}")


def is_zip(name: str) -> bool:
    """Return whether a dataset is given as a zip of its folder."""
    return name.lower().endswith(".zip") and os.path.isfile(expanded(name))  # noqa: PTH113 (pathlib's raises)


def unpacked(name: str, image_size: int | None, report: Report) -> Dataset:
    """Unpack a zip, read it and keep it among the user's folders; one that cannot be read leaves nothing."""
    from delt_engine.data.available import add_folder
    from delt_engine.data.catalogue import load_dataset
    from delt_engine.data.unpack import remove_upload, unpack_zip
    from delt_engine.errors import DataError

    folder = unpack_zip(expanded(name), report)
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
@click.argument("weights", metavar="FILE|torchvision:NAME|timm:NAME")
@click.option("--name", default="", metavar="TEXT", help="Name of the teacher. [default: of the file]")
@click.option("--force", is_flag=True, help="Add it although it does not know the dataset.")
@setting_options(["experiment"], DATA_SETTINGS)
@teacher_options
@SAMPLE
@progress_option
@output_options
def add(weights: str, name: str, force: bool, sample: int, progress_json: bool, as_json: bool, **typed: Any) -> None:
    """Take in a checkpoint: read it safely, check it on the dataset, and keep it where `--teacher` finds it.

    torchvision:NAME[:WEIGHTS] and timm:NAME[.TAG] are the weights of ImageNet-1K that these libraries publish, such as
    torchvision:resnet18. They are checked where a dataset is given.
    """
    from delt_engine.models.published_weights import is_published

    report, experiment = reporter(progress_json), read_experiment(typed)
    if is_published(weights):
        is_asked = "dataset" in typed_settings(typed).get("experiment", {})
        dataset, teacher = _published(weights, experiment, is_asked, report)
    else:
        dataset, teacher = _loaded(weights, experiment, report)
    record, text = _measured(teacher, dataset, sample, report) if dataset else (None, "")
    if record and record.verdict == "class order?" and not force:
        raise CheckpointError(f"teacher: {record.message} It was not added; --force adds it all the same.")
    file = Path(weights).name
    path = _place(name or (teacher.card.name if is_published(weights) else file.split(".")[0]), teacher.card)
    card = replace(teacher.card, name=path.stem, added_from=teacher.card.added_from or file)
    if dataset and record:
        is_whole = card.accuracy is None and record.sample >= record.test_size
        card = replace(card, dataset=dataset.spec.name, accuracy=record.accuracy if is_whole else card.accuracy)
    _keep(path, teacher, card, record, text, as_json)


def _place(name: str, card: TeacherCard) -> Path:
    """Return where a teacher of this name goes; the same weights may be taken again, others may not hide them."""
    from delt_engine.models.card import SUFFIX, read_card
    from delt_engine.paths import teachers_dir

    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "teacher"
    path = teachers_dir() / f"{plain}{SUFFIX}"
    if path.exists() and read_card(path).fingerprint != card.fingerprint:
        raise CheckpointError(f"teacher: there is another teacher named {plain}; give this one another name (--name).")
    return path


def _keep(
    path: Path, teacher: Teacher, card: TeacherCard, record: CheckRecord | None, text: str, as_json: bool
) -> None:
    from delt_engine.models.checkpoints import save_teacher

    save_teacher(path, teacher.network, card)
    if as_json:
        measured = asdict(record) if record else {"accuracy": card.accuracy, "sample": 0}
        say_json({**measured, "teacher": card.name, "path": str(path)})
        return
    published = "" if card.accuracy is None else f", {card.accuracy:.1f} % as published"
    unmeasured = f"{card.network} with {card.num_classes:,} classes{published}; not measured here."
    say(f"{text or unmeasured} Added as {card.name}: {path}")


def _published(ref: str, experiment: Experiment, is_asked: bool, report: Report) -> tuple[Dataset | None, Teacher]:
    """Return published weights as a teacher, and the dataset to check them on where one was asked for."""
    from delt_engine.data.catalogue import load_dataset
    from delt_engine.models.device import pick_device
    from delt_engine.models.health import misfit
    from delt_engine.models.published_weights import load_published

    teacher = load_published(ref, pick_device(experiment.device), report)
    if not is_asked:
        return None, teacher
    dataset = load_dataset(experiment.dataset, experiment.image_size or teacher.card.image_size, report=report)
    if reason := misfit(teacher.card, dataset.spec, experiment.dataset):
        raise CheckpointError(f"teacher: {reason} Leave --dataset out to add it unchecked.")
    return dataset, teacher


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
