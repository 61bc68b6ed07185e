"""Chosen images of runs as one zip, made on demand and piece by piece, so that size costs no memory.

``<run>/<class folder>/<0007>.png``: each run's folder is an ImageFolder as it stands. Every PNG holds its settings,
and beside the classes stand ``experiment.yaml``, which makes the run again, and ``images.csv``.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from delt_engine.errors import RunError
from delt_engine.runs import strips
from delt_engine.runs.image_facts import selected_of
from delt_engine.runs.image_settings import image_text
from delt_engine.runs.store import Run

_COLUMNS = ("class", "index", "start_round", "iterations", "round", "sources", "true_class_prob")
_STAMP = (2025, 1, 1, 0, 0, 0)
"""Date of every entry, so that the same images give the same zip."""


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
        ipc = self.run.experiment.recover.ipc
        if any(not 0 <= index < ipc for index in self.indices):
            raise RunError(f"images: {list(self.indices)} given, but class {self.class_index} has 0 to {ipc - 1}.")
        if self.class_index not in self.run.classes:
            raise RunError(f"class: {self.class_index} given, but run {self.run.id} has no images of it.")
        if self.at not in self.run.rounds_written(self.class_index):
            raise RunError(f"round: {self.at} given, but {self._name} has no snapshot of it.")

    @property
    def at(self) -> int:
        """The round of the images; the last one written when none was given."""
        if self.round_number is not None:
            return self.round_number
        return max(self.run.rounds_written(self.class_index), default=0)

    @property
    def _name(self) -> str:
        return f"{self.run.class_names[self.class_index]} of run {self.run.id}"

    def entries(self) -> Iterator[tuple[str, bytes, tuple]]:
        """Return path, PNG and row of the table, image by image; the strip is read once."""
        schedule, at, class_name = self.run.experiment.recover.schedule, self.at, self.run.class_names[self.class_index]
        origins = {image.index: image for image in selected_of(self.run, self.class_index)}
        images = None
        for index in self.indices or range(schedule.ipc):
            finished = self.run.image_path(self.class_index, index)
            text = image_text(self.run, self.class_index, index, at, origins.get(index))
            if at == schedule.num_rounds and finished.is_file():
                png = finished.read_bytes()
            else:
                images = self.run.snapshot_images(self.class_index, at) if images is None else images
                png = strips.png_bytes(images[index], text)
            sources = [patch["source"] for patch in text["patches"]]
            probs = [f"{patch['true_class_prob']:.6g}" for patch in text["patches"]]
            row = (class_name, index, text["start_round"], text["iterations"], at, "|".join(sources), "|".join(probs))
            folder = f"{self.run.id}/{self.run.class_folder(self.class_index)}"
            yield f"{folder}/{finished.name}", png, row


def zip_chunks(chosen: Sequence[Chosen]) -> Iterator[bytes]:
    """Yield a zip of the images, in pieces of about one image.

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
    tables: dict[str, list[tuple]] = {}
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for part in chosen:
            for name, png, row in part.entries():
                _add(archive, name, png)
                tables.setdefault(part.run.id, []).append(row)
                yield sink.taken()
        for run in {part.run.id: part.run for part in chosen}.values():
            _add(archive, f"{run.id}/experiment.yaml", run.experiment.to_yaml().encode())
            _add(archive, f"{run.id}/images.csv", _table(tables[run.id]))
            yield sink.taken()
    yield sink.taken()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name, _STAMP), data)


def _table(rows: Sequence[tuple]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "surrogateescape")


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken; cannot go back, so the zip is written in one pass."""

    def __init__(self) -> None:
        super().__init__()
        self._kept = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        self._kept += data
        return len(data)

    def taken(self) -> bytes:
        data = bytes(self._kept)
        self._kept.clear()
        return data
