"""A finished run written in another form, whole or not at all, with the teacher's soft labels where it is at hand.

The counterpart of :mod:`delt_engine.pipeline.import_set`, which reads most of these forms.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from delt_engine import files
from delt_engine.errors import CheckpointError, ConfigError, DataError, RunError
from delt_engine.exports.array_files import write_dd_ranking, write_npz
from delt_engine.exports.contents import Contents
from delt_engine.exports.croissant import write_croissant
from delt_engine.exports.dataset_card import dataset_card
from delt_engine.exports.formats import FORMATS
from delt_engine.exports.parquet_shards import write_parquet
from delt_engine.exports.picture_folders import write_image_folder, write_published_layout
from delt_engine.exports.tar_shards import write_webdataset
from delt_engine.models.card import find_teacher, has_card, read_card
from delt_engine.paths import expanded
from delt_engine.pipeline.inputs import Report
from delt_engine.runs.export import Chosen, zip_chunks
from delt_engine.runs.store import Run

if TYPE_CHECKING:
    from delt_engine.models.teachers import Teacher

_SPARE = 10**8
"""Bytes of the disk that are left free."""
_AT_ONCE = 256


@dataclass(frozen=True)
class Exported:
    """What was written: where, how many images and bytes, and what is worth knowing."""

    path: Path
    form: str
    images: int
    bytes: int
    has_soft_labels: bool
    notes: tuple[str, ...] = ()


def export_run(
    run: Run,
    form: str,
    out: str | Path,
    *,
    soft_labels: bool | None = None,
    label_epochs: int | None = None,
    device: str = "cpu",
    report: Report | None = None,
) -> Exported:
    """Write the images of a finished run in a form.

    Args:
        form: one of :data:`delt_engine.exports.formats.FORMATS`.
        out: a new or an empty folder; of a zip the file, or the folder it is put into.
        soft_labels: keep the teacher's logits of each whole image; None where the form has a place for them and the
            run's teacher is here.
        label_epochs: epochs of FKD's labels; the run's own number of training epochs when not given.
        device: where the teacher runs.
        report: called with what, done, total.

    Raises:
        ConfigError: no such form, or soft labels in a form without a place for them.
        DataError: a run without finished images, or arrays that do not fit into memory.
        CheckpointError: soft labels were asked for, and the run's teacher is not here.
        RunError: the place is not free, the disk refuses, or an image is damaged. Nothing is left of it in any case.
    """
    if form not in FORMATS:
        raise ConfigError(f"format: {form!r} given, but it must be one of {', '.join(FORMATS)}.")
    kind, final = FORMATS[form], expanded(out).absolute()
    if soft_labels and not kind.has_soft_labels:
        raise ConfigError(f"soft_labels: {form} has no place for them; take hf, npz, imagefolder or dd-ranking.")
    if label_epochs is not None and not kind.needs_teacher:
        raise ConfigError(f"label_epochs: {label_epochs} given, but only fkd has labels of several epochs.")
    contents = Contents.of(run)
    if form == "zip":
        return _zipped(contents, final)
    _check_free(final)
    notes: list[str] = []
    wanted = kind.has_soft_labels if soft_labels is None else soft_labels
    if wanted or kind.needs_teacher:
        teacher = _teacher(contents, device, must=bool(soft_labels) or kind.needs_teacher, notes=notes)
        if wanted and teacher is not None:
            contents = Contents.of(run, _logits(contents, teacher, report), teacher.card.name)
    _check_space(contents, final)
    with files.whole_folder(final, ".export-") as made, files.as_run_error(final):
        made.mkdir()
        (made / "experiment.yaml").write_text(contents.experiment.to_yaml(), encoding="utf-8")
        if kind.needs_teacher:
            assert teacher is not None  # it must be there
            _write_fkd(contents, teacher, made, label_epochs, device, report)
        else:
            _WRITERS[form](contents, made)
        (made / "README.md").write_text(dataset_card(contents, kind), encoding="utf-8")
        files.sync(made)
        total = sum(path.stat().st_size for path in made.rglob("*") if path.is_file())
    return Exported(final, form, len(contents), total, contents.soft_labels is not None, tuple(notes))


def _write_hf(contents: Contents, root: Path) -> None:
    write_croissant(contents, root, write_parquet(contents, root))


_WRITERS: dict[str, Callable[[Contents, Path], None]] = {
    "imagefolder": write_image_folder,
    "hf": _write_hf,
    "webdataset": write_webdataset,
    "npz": write_npz,
    "dd-ranking": write_dd_ranking,
    "published": write_published_layout,
}


def _zipped(contents: Contents, out: Path) -> Exported:
    """Write the zip that the app downloads as well."""
    run = contents.run
    final = out if out.suffix.lower() == ".zip" else out / f"{run.id}.zip"
    if out == final.parent:
        _check_free(out)
    if final.exists():
        raise RunError(f"out: {final} exists already; give another name.")
    _check_space(contents, final)
    for row in contents.rows():  # damaged ones are found before the first byte is written
        contents.png(row)
    chunks = zip_chunks([Chosen(run, class_index) for class_index in run.classes])
    files.write_pieces(final, chunks)
    return Exported(final, "zip", len(contents), final.stat().st_size, has_soft_labels=False)


def _check_free(path: Path) -> None:
    with files.as_run_error(path, "read"):
        if path.exists() and not path.is_dir():
            raise RunError(f"out: {path} is a file, but an export needs a new or an empty folder.")
        if path.is_dir() and any(path.iterdir()):
            raise RunError(f"out: {path} is not empty, but an export needs a new or an empty folder.")


def _check_space(contents: Contents, path: Path) -> None:
    existing = next(parent for parent in path.parents if parent.is_dir())
    needed = sum(contents.size(row) for row in contents.rows()) + _SPARE
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise RunError(f"out: {path} needs about {needed / 1e9:.1f} GB, but the disk has {free / 1e9:.1f} GB left.")


def _teacher(contents: Contents, device: str, *, must: bool, notes: list[str]) -> Teacher | None:
    """Return the network that labels the run's images, as `delt evaluate` has it; None where it is not here.

    Raises:
        CheckpointError: it is not here, and ``must`` be.
    """
    record, data = contents.record, contents.data
    try:
        if record.teacher is None:
            raise CheckpointError(f"teacher: run {contents.run.id} has none, so there are no soft labels.")
        path = find_teacher(record.teacher.ref, data.name, data.image_size, data.class_names)
        if not has_card(path):
            raise CheckpointError(f"teacher: {path} has no card; take it in with `delt teachers add`.")
        if read_card(path).fingerprint != record.teacher.fingerprint:
            raise CheckpointError(f"teacher: {record.teacher.name} is not the one any more that the run was made with.")
        from delt_engine.models.device import pick_device
        from delt_engine.models.teachers import load_teacher
        from delt_engine.pipeline.committees import labelling_committee

        teacher = load_teacher(str(path), device=pick_device(device))
        return labelling_committee(record, teacher, contents.class_names)
    except CheckpointError as error:
        if must:
            raise
        notes.append(f"There are no soft labels: {error}")
        return None


def _logits(contents: Contents, teacher: Teacher, report: Report | None) -> np.ndarray:
    """Return what the teacher says of each whole image: float32 (N, K), for the classes of the run."""
    import torch

    from delt_engine.data.pixels import normalise, to_pixels
    from delt_engine.training.relabel import teacher_for

    network = teacher_for(teacher.network, teacher.card.class_names, contents.class_names)
    device, rows = next(network.parameters()).device, list(contents.rows())
    found = []
    with torch.inference_mode():
        for begin in range(0, len(rows), _AT_ONCE):
            image_u8 = np.stack([contents.pixels(row) for row in rows[begin : begin + _AT_ONCE]])
            images = normalise(to_pixels(image_u8, device), teacher.card.mean, teacher.card.std)
            found.append(network(images).float().cpu().numpy())
            if report:
                report("label", min(begin + _AT_ONCE, len(rows)), len(rows))
    return np.concatenate(found)


def _write_fkd(
    contents: Contents, teacher: Teacher, root: Path, epochs: int | None, device: str, report: Report | None
) -> None:
    """Write the images as ImageFolder, and the teacher's labels of every epoch."""
    from delt_engine.training.fkd_labels import FOLDER, fkd_batch_size, write_fkd
    from delt_engine.training.image_table import from_run
    from delt_engine.training.relabel import teacher_for

    write_image_folder(contents, root)
    network = teacher_for(teacher.network, teacher.card.class_names, contents.class_names)
    total = epochs or contents.record.experiment.evaluate.epochs
    needed, free = total * len(contents) * (2 * len(contents.class_names) + 32), shutil.disk_usage(root).free
    if needed + _SPARE > free:
        raise RunError(f"label_epochs: {total} epochs take {needed / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free.")
    if len(contents) < 2:
        raise DataError("format: fkd mixes images, so it needs at least 2.")
    size, table = fkd_batch_size(len(contents)), from_run(contents.run)
    for done in write_fkd(root / FOLDER, table, network, epochs=total, batch_size=size, device=device):
        if report:
            report("label", done, total)
