"""What leaves a run and comes back: chosen images or patches as one zip, scores as CSV, the settings in every PNG.

``<run>/<class folder>/<0007>.png``: each run's folder is an ImageFolder as it stands, and beside the classes stand
``experiment.yaml``, which makes the run again, and ``images.csv``. A zip is made on demand and piece by piece, so that
size costs no memory. A selection's table is the selection file of a run, so `delt` and its runs read it as well, but
for names that a spreadsheet would take for formulas: they get an apostrophe before them here.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from delt_engine.config import Experiment, RankConfig, RecoverConfig, SelectConfig
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.data.dataset import Dataset
from delt_engine.errors import ConfigError, RunError
from delt_engine.files import as_run_error, check_file
from delt_engine.models.card import teacher_files
from delt_engine.patches.ranking import Ranking
from delt_engine.patches.selection import SelectedImage, patch_pixels, selection_csv
from delt_engine.runs.image_facts import selected_by_class
from delt_engine.runs.record import class_folders
from delt_engine.runs.store import Run
from delt_engine.runs.strips import TEXT_KEY, png_bytes
from delt_engine.runs.tables import csv_text

_COLUMNS = ("class", "index", "start_round", "iterations", "round", "sources", "true_class_prob")
_PLACE = ("source", "image_index", "top", "left", "height", "width", "row")
SCORE_COLUMNS = ("class_index", "class", "rank", "true_class_prob", *_PLACE, "image", "start_round", "iterations")
"""Columns of :func:`scores_csv`; the last three are empty for patches that are not selected."""
_STAMP = (2025, 1, 1, 0, 0, 0)
"""Date of every entry, so that the same images give the same zip."""
_LARGEST_TEXT = 2**20


@dataclass(frozen=True)
class ImageSettings:
    """What an image says about itself: of ``index`` in its class, with the iterations it had or was to have.

    ``experiment`` makes such images again, for all classes of its dataset; ``sources`` are the names of the training
    images that it started from.
    """

    class_name: str
    index: int
    start_round: int
    iterations: int
    experiment: Experiment
    sources: tuple[str, ...]


def image_text(run: Run, class_index: int, index: int, round_number: int, origin: SelectedImage | None) -> dict:
    """Return the settings to embed in an image of a run as it was after a round."""
    experiment, schedule, record = run.experiment, run.experiment.recover.schedule, run.record()
    return {
        "method": experiment.recover.method,
        "class": run.class_names[class_index],
        "class_index": class_index,
        "index": index,
        "seed": experiment.seed,
        "start_round": schedule.start_rounds[index],
        "iterations": _iterations(schedule, index, round_number),
        "round": round_number,
        "patches": [patch.facts for patch in (origin.patches if origin else ())],
        "dataset": experiment.dataset,
        "resize": experiment.resize,
        "teacher": record.teacher.name if record.teacher else experiment.teacher,
        **({"ranker": record.ranker.ref} if record.ranker else {}),
        "rank": experiment.rank.model_dump(),
        "select": experiment.select.model_dump(),
        "settings": experiment.recover.model_dump(),
    }


def _iterations(schedule: EarlyLateSchedule, index: int, round_number: int) -> int:
    """Return the iterations that an image of a class has had after a round."""
    return max(0, round_number - schedule.start_rounds[index] + 1) * schedule.round_iterations


def read_image_settings(png: bytes) -> ImageSettings:
    """Return the settings in a PNG that this program made.

    A teacher that is not here is looked for anew, and a ranker left out.

    Raises:
        RunError: not a PNG, none of ours, or damaged.
    """
    text = _embedded(png)
    try:
        teacher, ranker = str(text["teacher"]), str(text.get("ranker", ""))
        experiment = Experiment(
            dataset=str(text["dataset"]),
            resize=text.get("resize", "whole"),
            teacher=teacher if teacher in dict(teacher_files()) else "auto",
            ranker=ranker if ranker in dict(teacher_files()) else "",
            seed=int(text["seed"]),
            rank=RankConfig(**text.get("rank", {})),
            select=SelectConfig(**text.get("select", {})),
            recover=RecoverConfig(**text["settings"]),
        )
        return ImageSettings(
            class_name=str(text["class"]),
            index=int(text["index"]),
            start_round=int(text["start_round"]),
            iterations=int(text["iterations"]),
            experiment=experiment,
            sources=tuple(str(patch["source"]) for patch in text.get("patches", ())),
        )
    except ConfigError as error:
        raise RunError(f"The image's settings are not allowed here: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RunError("The image's settings are incomplete, so they cannot be used.") from None


def _embedded(png: bytes) -> dict[str, Any]:
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            image.load()
            text = image.info[TEXT_KEY]
    except KeyError:
        raise RunError("The image has no settings of DELT Studio in it.") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise RunError("The file is not a PNG image.") from None
    try:
        found = json.loads(text) if len(text) <= _LARGEST_TEXT else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RunError("The image's settings are damaged.")
    return found


@dataclass(frozen=True)
class Chosen:
    """Images of one class of a run, all when ``indices`` is empty, as they were after a round, None for the last."""

    run: Run
    class_index: int
    indices: tuple[int, ...] = ()
    round_number: int | None = None

    def check(self) -> None:
        """Refuse what is not there, before the first byte is sent.

        Raises:
            RunError: no such class, image or round.
        """
        run, ipc = self.run, self.run.experiment.recover.ipc
        if any(not 0 <= index < ipc for index in self.indices):
            raise RunError(f"images: {list(self.indices)} given, but class {self.class_index} has 0 to {ipc - 1}.")
        if self.class_index not in run.classes:
            raise RunError(f"class: {self.class_index} given, but run {run.id} has no images of it.")
        is_there = self.at in run.rounds_written(self.class_index) or self._is_made
        if not is_there:
            name = f"{run.class_names[self.class_index]} of run {run.id}"
            raise RunError(f"round: {self.at} given, but {name} has no snapshot of it.")

    @property
    def at(self) -> int:
        """The round of the images; the last one written when none was given."""
        if self.round_number is not None:
            return self.round_number
        last = self.run.experiment.recover.schedule.num_rounds
        return last if self._is_made else max(self.run.rounds_written(self.class_index), default=0)

    @property
    def _is_made(self) -> bool:
        """Whether the finished images are wanted and there, with snapshots or without."""
        wanted = self.round_number in (None, self.run.experiment.recover.schedule.num_rounds)
        return wanted and self.run.image_path(self.class_index, self.run.experiment.recover.ipc - 1).is_file()

    def entries(self, selected: Sequence[SelectedImage]) -> Iterator[tuple[str, bytes, tuple]]:
        """Return path, PNG and row of the table, image by image; the strip is read once.

        ``selected`` says where the images of the class came from; empty for runs without patches.
        """
        run, at, schedule = self.run, self.at, self.run.experiment.recover.schedule
        name, folder = run.class_names[self.class_index], run.class_folder(self.class_index)
        origins = {image.index: image for image in selected}
        images = None
        for index in self.indices or range(schedule.ipc):
            finished, origin = run.path / "images" / folder / f"{index:04d}.png", origins.get(index)
            if at == schedule.num_rounds and finished.is_file():
                with as_run_error(finished, "read"):
                    check_file(finished)
                    png = finished.read_bytes()
            else:
                images = run.snapshot_images(self.class_index, at) if images is None else images
                png = png_bytes(images[index], image_text(run, self.class_index, index, at, origin))
            patches = origin.patches if origin else ()
            sources = "|".join(patch.source for patch in patches)
            probs = "|".join(f"{patch.true_class_prob:.6g}" for patch in patches)
            row = (name, index, schedule.start_rounds[index], _iterations(schedule, index, at), at, sources, probs)
            yield f"{run.id}/{folder}/{finished.name}", png, row


def zip_chunks(chosen: Sequence[Chosen]) -> Iterator[bytes]:
    """Return the pieces of a zip of the images, each of about one image.

    Raises:
        RunError: nothing is chosen, or something that is not there; before the first piece.
    """
    if not chosen:
        raise RunError("images: none given, but a download needs at least one.")
    for part in chosen:
        part.check()
    return _chunks(chosen)


def run_zip(run: Run) -> bytes:
    """Return all images of a run as one zip, each as it was last written.

    Raises:
        RunError: it has no images yet.
    """
    return b"".join(zip_chunks([Chosen(run, class_index) for class_index in run.classes]))


def _chunks(chosen: Sequence[Chosen]) -> Iterator[bytes]:
    sink, tables = _Sink(), dict[Run, list[tuple]]()
    selected = {run: selected_by_class(run) for run in {part.run for part in chosen}}
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for part in chosen:
            for name, png, row in part.entries(selected[part.run](part.class_index)):
                archive.writestr(zipfile.ZipInfo(name, _STAMP), png)
                tables.setdefault(part.run, []).append(row)
                yield sink.drain()
        for run, rows in tables.items():
            table = csv_text(_COLUMNS, rows).encode("utf-8", "surrogateescape")
            archive.writestr(zipfile.ZipInfo(f"{run.id}/experiment.yaml", _STAMP), run.experiment.to_yaml().encode())
            archive.writestr(zipfile.ZipInfo(f"{run.id}/images.csv", _STAMP), table)
            yield sink.drain()
    yield sink.drain()


class _Sink(io.RawIOBase):
    """Holds what is written until it is drained; cannot go back, so the zip is written in one pass."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held += data
        return len(data)

    def drain(self) -> bytes:
        data = bytes(self._held)
        self._held.clear()
        return data


def selection_zip(dataset: Dataset, selected: Sequence[SelectedImage]) -> bytes:
    """Return the selected images as a zip: ``images/<class>/<0000>.png`` in the order of joining, and selection.csv.

    Raises:
        DataError: the selection names images that this dataset does not have.
    """
    names = dataset.spec.class_names
    folders = class_folders(names)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:  # PNGs are compressed already
        file.writestr("selection.csv", selection_csv(selected, names))
        for image in selected:
            path = f"images/{folders[image.class_index]}/{image.index:04d}.png"
            file.writestr(path, png_bytes(patch_pixels(dataset, image)))
    return buffer.getvalue()


def scores_csv(
    ranking: Ranking, sources: Sequence[str], class_index: int, selected: Sequence[SelectedImage] = ()
) -> bytes:
    """Return every patch of a class with its score, hardest first, as CSV.

    ``sources`` names every training image; ``selected`` are the images that start from some of the patches.
    """
    joins = {patch.rank: image for image in selected if image.class_index == class_index for patch in image.patches}
    rows = []
    name = ranking.class_name(class_index)
    for rank, row in enumerate(ranking.ascending(class_index).tolist()):
        index, image = int(ranking.image_index[row]), joins.get(rank)
        score = float(str(np.float32(ranking.true_class_prob[row])))
        joined = ("", "", "") if image is None else (image.index, image.start_round, image.iterations)
        place = (class_index, name, rank, score, str(sources[index]), index)
        rows.append((*place, *ranking.crop_box[row].tolist(), row, *joined))
    return csv_text(SCORE_COLUMNS, rows, csv.QUOTE_NONNUMERIC).encode("utf-8", "surrogateescape")
