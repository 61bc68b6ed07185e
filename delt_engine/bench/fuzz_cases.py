"""The kinds of bad input that :mod:`delt_engine.bench.fuzz` tries: how a case is made, and who has to read it.

- **settings**: every settings record with odd values.
- **experiment**: files of `delt run`, damaged or hostile.
- **table**: rankings, selections and pictures with settings in them, as they are uploaded.
- **images**: folders of images with damaged pictures and things that are no pictures, read to the last pixel.
- **checkpoint**: teachers of ours and of others, damaged or with code in them.
- **run**: run folders with damaged files, read as the app and `delt runs` read them.
- **labels**: stores of soft labels.
- **import**: published sets as folders, tensors, arrays, tars, parquet and zips, taken in as runs.
"""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from delt_engine.bench import fuzz_material as material
from delt_engine.bench.odd_values import hostile_pickle, hostile_yaml, odd_file, odd_text, odd_tree, odd_value
from delt_engine.bench.odd_values import spoil as spoil_files
from delt_engine.config import EvaluateConfig, Experiment, Settings, field_specs
from delt_engine.config.command_line import STAGE_RECORDS
from delt_engine.config.continual import ContinualConfig
from delt_engine.config.pruning import PruneConfig
from delt_engine.errors import DataError, DeltError
from delt_engine.runs.store import Run, list_runs

RECORDS: tuple[type[Settings], ...] = (*STAGE_RECORDS.values(), PruneConfig, ContinualConfig)


@dataclass(frozen=True)
class Case:
    """One case: what it draws from, a folder of its own, and the folder of what all cases share."""

    number: int
    kind: str
    draw: random.Random
    folder: Path
    shared: Path

    @classmethod
    def of(cls, number: int, kind: str, seed: int, folder: Path) -> Case:
        """Return case ``number``, which is the same whatever was tried before it."""
        draw = random.Random(f"{seed} {number}")
        return cls(number, kind, draw, folder / "cases" / f"{number:06d}", folder / "shared")

    def copy_of(self, make: Callable[[Path], None]) -> Path:
        """Return a folder of this case that is a copy of what ``make`` makes, which is made once."""
        origin = self.shared / make.__name__
        if not origin.exists():
            origin.parent.mkdir(parents=True, exist_ok=True)
            make(origin)
        return Path(shutil.copytree(origin, self.folder / make.__name__, symlinks=True))

    def spoil(self, root: Path, pattern: str = "*") -> None:
        """Change some of the files below a folder."""
        spoil_files(self.draw, sorted(path for path in root.rglob(pattern) if path.is_file()), self.shared)


# Settings and files that hold them


def _odd_settings(case: Case) -> tuple[type[Settings], dict[str, Any]]:
    draw, record = case.draw, case.draw.choice(RECORDS)
    values: dict[str, Any] = {}
    for spec in draw.choices(field_specs(record), k=draw.randrange(1, 5)):
        near = [one for one in (spec.minimum, spec.maximum, spec.default, *spec.choices) if one is not None]
        value = draw.choice(near) if near and draw.random() < 0.5 else odd_value(draw)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        values[spec.name] = value + draw.choice((-1, 0, 1, 0.5)) if is_number and abs(value) < 1e9 else value
    if draw.random() < 0.1:
        values[str(odd_value(draw, 0))] = odd_value(draw)
    return record, values


def _make_settings(_case: Case, subject: tuple[type[Settings], dict[str, Any]]) -> None:
    record, values = subject
    made = record(**values)
    again = Experiment.from_mapping(made.model_dump()) if isinstance(made, Experiment) else made.replace()
    if again != made:
        raise AssertionError(f"{record.__name__} comes back as another one")


def _odd_experiment(case: Case) -> Path:
    import yaml

    draw, path = case.draw, case.folder / "experiment.yaml"
    method = draw.choice(("delt", "sre2l", "rded", "gvbsm"))
    experiment = Experiment.for_method(method, size=32, dataset="digits", evaluate=EvaluateConfig(epochs=3))
    way = draw.random()
    if way < 0.3:
        path.write_bytes(hostile_yaml(draw, case.folder))
    elif way < 0.6:
        values = odd_tree(draw, yaml.safe_load(experiment.to_yaml()))
        path.write_bytes(yaml.safe_dump(values, allow_unicode=True).encode("utf-8", "surrogatepass"))
    elif way < 0.95:
        path.write_bytes(odd_text(draw, experiment.to_yaml()))
    else:
        odd_file(draw, path, case.shared)
    return path


def _read_experiment(_case: Case, path: Path) -> None:
    made = Experiment.read(path, lambda _dataset: 32)
    if Experiment.from_mapping(_plain_yaml(made.to_yaml())) != made:
        raise AssertionError("an experiment comes back as another one")


def _plain_yaml(text: str) -> Any:
    import yaml

    return yaml.safe_load(text)


# Tables and pictures


def _odd_table(case: Case) -> Path:
    root = case.copy_of(material.tables)
    path = case.draw.choice(sorted(root.iterdir()))
    spoil_files(case.draw, [path], case.shared)
    return path


def _read_table(_case: Case, path: Path) -> None:
    from delt_engine.patches.ranking_csv import read_ranking_csv
    from delt_engine.patches.selection import read_selection
    from delt_engine.runs.export import read_image_settings

    if path.suffix == ".png":
        read_image_settings(path.read_bytes() if path.is_file() and path.stat().st_size < 2**20 else b"")
    elif path.name == "selection.csv":
        read_selection(path)
        read_selection(path, 1)
    else:
        read_ranking_csv(path, material.digits())


# Folders of images


def _odd_images(case: Case) -> Path:
    root, draw = case.copy_of(material.image_folder), case.draw
    case.spoil(root, "*.*")
    for _ in range(draw.randrange(3)):
        parent = draw.choice([root, *(path for path in root.rglob("*") if path.is_dir())])
        name = draw.choice(("x.png", ".hidden.png", "a" * 200 + ".jpg", "new\nline.png", "=cmd().png", "T.TIFF", "n"))
        odd_file(draw, parent / name, case.shared)
    if draw.random() < 0.15:
        deep = root
        for _ in range(60):
            deep = deep / "d"
        deep.mkdir(parents=True)
        material.picture(draw, deep / "x.png")
    if draw.random() < 0.15:
        (root / "cat" / "loop").symlink_to(root)
    return root


def _read_images(_case: Case, root: Path) -> None:
    from delt_engine.data.catalogue import load_dataset
    from delt_engine.data.layout import check_layout

    with contextlib.suppress(DataError):
        check_layout(root)
    dataset = load_dataset(str(root), 8)
    for images in (dataset.train, dataset.test):
        pixels = images.pixels(np.arange(len(images)))
        if pixels.shape != (len(images), 8, 8, 3) or pixels.dtype != np.uint8:
            raise AssertionError(f"pixels {pixels.dtype} {pixels.shape}")
        for index in range(len(images)):
            images.original(index)


# Teachers


def _odd_checkpoint(case: Case) -> Path:
    root, draw = case.copy_of(material.checkpoints), case.draw
    path = draw.choice(sorted(root.iterdir()))
    way = draw.random()
    if way < 0.15:
        path.write_bytes(hostile_pickle(case.folder))
    elif way < 0.35 and path.suffix == ".safetensors":
        material.change_header(path, lambda header: odd_tree(draw, header))
    elif way < 0.5 and path.suffix == ".safetensors":
        material.change_card(path, lambda card: odd_tree(draw, card))
    else:
        spoil_files(draw, [path], case.shared)
    return path


def _read_checkpoint(_case: Case, path: Path) -> None:
    from delt_engine.models.card import has_card, read_card
    from delt_engine.models.teachers import load_teacher

    if has_card(path):
        _refused(lambda: read_card(path))
    load_teacher(str(path), dataset=material.digits(), network="convnet-3", width=0.0625)


# Runs


def _odd_run(case: Case) -> Path:
    root = case.copy_of(material.run)
    case.spoil(root)
    return root


def _read_run(_case: Case, root: Path) -> None:
    from delt_engine.jobs.watchdog import silent_since
    from delt_engine.runs.log import last_lines
    from delt_engine.runs.titles import read_title

    run = Run(root)
    said = [run.status, str(run.error or ""), str(run.unreadable or ""), str(read_title(run).title), run.last_words()]
    if any("\n" in one for one in said[:3]):
        raise AssertionError("the status or the error of a run has several lines")
    silent_since(run)
    last_lines(run.path)
    run.requested()
    run.job_process()
    list_runs(root.parent)
    opened = Run.open(root)
    opened.record()
    for read in _readers(opened):
        _refused(read)


def _readers(run: Run) -> Iterator[Callable[[], Any]]:
    """Yield what the pages and the command line ask of a run, each on its own: one may fail where others do not."""
    from delt_engine.runs import checkpoint, export, image_facts, likeness, lineage, predictions
    from delt_engine.runs.events import StepEvent

    yield from (run.events, run.latest_event, lambda: run.events(StepEvent, most=10), run.selection)
    yield from (lambda: lineage.parent_of(run), lambda: lineage.measured(run), lambda: likeness.pixel_cosine(run))
    yield from (lambda: checkpoint.positions(run), lambda: checkpoint.read_checkpoint(run, 0))
    yield from (lambda: lineage.run_changes(run, run), lambda: export.run_zip(run))
    for class_index in run.classes[:2]:
        yield partial(image_facts.image_facts, run, class_index)
        yield partial(predictions.last_probabilities, run, class_index)
        yield partial(predictions.predictions_of, run, class_index, 0)
        yield partial(_pictures, run, class_index)
        yield partial(_zipped, run, class_index)


def _pictures(run: Run, class_index: int) -> None:
    for number in run.rounds_written(class_index)[:12]:
        run.snapshot_images(class_index, number)


def _zipped(run: Run, class_index: int) -> None:
    from delt_engine.runs import export

    for _ in export.zip_chunks([export.Chosen(run, class_index)]):
        pass


# Stored labels


def _odd_labels(case: Case) -> Path:
    root = case.copy_of(material.labels)
    case.spoil(root)
    return root


def _read_labels(_case: Case, root: Path) -> None:
    from delt_engine.training.soft_labels import LabelStore, is_complete

    is_complete(root)
    store = LabelStore.open(root)
    for epoch in range(1, min(store.facts.label_epochs, 3) + 1):
        store.read_epoch(epoch)


# Imports


def _odd_import(case: Case) -> Path:
    draw = case.draw
    sets = (material.set_folder, material.set_tensors, material.set_arrays, material.set_shards)
    make = draw.choice((*sets, material.set_parquet, material.set_zip))
    root = case.copy_of(make)
    way = draw.random()
    if way < 0.15 and make is material.set_tensors:
        (root / draw.choice(("images.pt", "labels.pt"))).write_bytes(hostile_pickle(case.folder))
    elif way < 0.4 and make is material.set_zip:
        material.hostile_zip(draw, root / "set.zip")
    elif way < 0.9:
        case.spoil(root)
    return root / "set.zip" if make is material.set_zip else root


def _import(case: Case, path: Path) -> None:
    from delt_engine.pipeline.import_set import import_set

    out, experiment = case.folder / "run", Experiment(dataset="digits", image_size=8, device="cpu")
    try:
        import_set(path, experiment, out=out)
    except DeltError:
        if out.exists() or list(case.folder.glob(".import-*")):
            raise AssertionError("a refused import leaves something behind") from None
        raise
    if Run(out).status != "finished":
        raise AssertionError("an import is not finished")


def _refused(read: Callable[[], Any]) -> None:
    """Ask for something that may be refused."""
    try:
        read()
    except DeltError as error:
        if "\n" in str(error):
            raise AssertionError(f"an error of several lines: {str(error)[:80]!r}") from None


Target = tuple[Callable[[Case, Any], None], Callable[[Case], Any]]
TARGETS: dict[str, Target] = {
    "settings": (_make_settings, _odd_settings),
    "experiment": (_read_experiment, _odd_experiment),
    "table": (_read_table, _odd_table),
    "images": (_read_images, _odd_images),
    "checkpoint": (_read_checkpoint, _odd_checkpoint),
    "run": (_read_run, _odd_run),
    "labels": (_read_labels, _odd_labels),
    "import": (_import, _odd_import),
}
"""By kind what reads a case, and what makes it."""
