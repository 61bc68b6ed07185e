"""What leaves a run and comes back: chosen images as one zip, and the settings that stand in every PNG.

``<run>/<class folder>/<0007>.png``: each run's folder is an ImageFolder as it stands, and beside the classes stand
``experiment.yaml``, which makes the run again, and ``images.csv``. A zip is made on demand and piece by piece, so that
size costs no memory.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from delt_engine.config import Experiment, RankConfig, RecoverConfig, SelectConfig
from delt_engine.errors import ConfigError, RunError
from delt_engine.models.card import teacher_files
from delt_engine.patches.selection import SelectedImage
from delt_engine.runs import strips
from delt_engine.runs.image_facts import selected_of
from delt_engine.runs.store import Run
from delt_engine.runs.strips import TEXT_KEY
from delt_engine.runs.tables import csv_text

_COLUMNS = ("class", "index", "start_round", "iterations", "round", "sources", "true_class_prob")
_STAMP = (2025, 1, 1, 0, 0, 0)
"""Date of every entry, so that the same images give the same zip."""
_LARGEST_TEXT = 2**20


@dataclass(frozen=True)
class ImageSettings:
    """What an image says about itself.

    Attributes:
        class_name: its class.
        index: its number in the class, from 0.
        start_round: round in which it joined.
        iterations: how many it had, or was to have.
        experiment: settings that make such images again, for all classes of its dataset.
        sources: names of the training images that it started from.
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
    start = schedule.start_rounds[index]
    return {
        "method": experiment.recover.method,
        "class": run.class_names[class_index],
        "class_index": class_index,
        "index": index,
        "seed": experiment.seed,
        "start_round": start,
        "iterations": max(0, round_number - start + 1) * schedule.round_iterations,
        "round": round_number,
        "patches": [
            {
                "source": patch.source,
                "crop_box": list(patch.crop_box),
                "true_class_prob": patch.true_class_prob,
                "rank": patch.rank,
            }
            for patch in (origin.patches if origin else ())
        ],
        "dataset": experiment.dataset,
        "teacher": record.teacher.name if record.teacher else experiment.teacher,
        "rank": experiment.rank.model_dump(),
        "select": experiment.select.model_dump(),
        "settings": experiment.recover.model_dump(),
    }


def read_image_settings(png: bytes) -> ImageSettings:
    """Return the settings in a PNG that this program made; a teacher that is not here is looked for anew.

    Args:
        png: the file's content.

    Raises:
        RunError: not a PNG, none of ours, or damaged.
    """
    text = _embedded(png)
    try:
        teacher = str(text["teacher"])
        experiment = Experiment(
            dataset=str(text["dataset"]),
            teacher=teacher if teacher in dict(teacher_files()) else "auto",
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
    """Some images of one class of a run.

    Args:
        run: which run.
        class_index: which class.
        indices: numbers in the class; all when empty.
        round_number: as they were after this round; as last written when None.
    """

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
        if self.at not in run.rounds_written(self.class_index):
            name = f"{run.class_names[self.class_index]} of run {run.id}"
            raise RunError(f"round: {self.at} given, but {name} has no snapshot of it.")

    @property
    def at(self) -> int:
        """The round of the images; the last one written when none was given."""
        if self.round_number is not None:
            return self.round_number
        return max(self.run.rounds_written(self.class_index), default=0)

    def entries(self) -> Iterator[tuple[str, bytes, tuple]]:
        """Return path, PNG and row of the table, image by image; the strip is read once."""
        run, at, schedule = self.run, self.at, self.run.experiment.recover.schedule
        origins = {image.index: image for image in selected_of(run, self.class_index)}
        images = None
        for index in self.indices or range(schedule.ipc):
            finished = run.image_path(self.class_index, index)
            text = image_text(run, self.class_index, index, at, origins.get(index))
            if at == schedule.num_rounds and finished.is_file():
                png = finished.read_bytes()
            else:
                images = run.snapshot_images(self.class_index, at) if images is None else images
                png = strips.png_bytes(images[index], text)
            sources = "|".join(patch["source"] for patch in text["patches"])
            probs = "|".join(f"{patch['true_class_prob']:.6g}" for patch in text["patches"])
            row = (text["class"], index, text["start_round"], text["iterations"], at, sources, probs)
            yield f"{run.id}/{run.class_folder(self.class_index)}/{finished.name}", png, row


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


def _chunks(chosen: Sequence[Chosen]) -> Iterator[bytes]:
    sink = _Sink()
    tables: dict[Run, list[tuple]] = {}
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for part in chosen:
            for name, png, row in part.entries():
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
