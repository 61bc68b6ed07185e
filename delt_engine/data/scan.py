"""Decoding every listed file once: which can be used, how large each is, and (for small sets) its pixels.

Files are decoded in threads. What was learnt about a file is stored by (path, size, mtime), so a second look at an
unchanged folder opens no file.

Shapes: M listed files, S side of the stored pixels.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from delt_engine.config import Resize
from delt_engine.data.cache import datasets_dir
from delt_engine.data.dataset import Report
from delt_engine.data.decode import UnreadableImage, decode, decode_square
from delt_engine.data.layout import Listing
from delt_engine.errors import DataError
from delt_engine.files import try_write
from delt_engine.npz import npz_bytes, read_npz

_CHUNK = 64
"""Files a thread takes at a time, at most."""

_FORMAT = 1
"""Number of the scan file's format."""


@dataclass(eq=False)
class Scan:
    """What is known about the M listed files.

    Attributes:
        heights, widths: int32 (M,), native size in pixels as a person sees the picture; 0 where unusable.
        traits: uint16 (M,), :class:`Trait` flags.
        reasons: row to reason, for the files that cannot be used.
        is_known: bool (M,), which rows are filled in.
    """

    heights: np.ndarray
    widths: np.ndarray
    traits: np.ndarray
    reasons: dict[int, str]
    is_known: np.ndarray

    @classmethod
    def empty(cls, count: int) -> Scan:
        """Return a scan of ``count`` files that knows nothing yet."""
        heights, widths, traits, is_known = (np.zeros(count, kind) for kind in (np.int32, np.int32, np.uint16, bool))
        return cls(heights, widths, traits, {}, is_known)

    @property
    def is_usable(self) -> np.ndarray:
        """Bool (M,): which files can be used."""
        return self.heights > 0


def worker_count() -> int:
    """Return how many threads or processes decode at a time: one a core that this process may use, at most 16."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(16, allowed)


def scan_files(root: str | Path, listing: Listing, report: Report | None = None) -> Scan:
    """Check every listed file that is not known from an earlier scan; ``report`` gets ("scan", done, total)."""
    scan = _read_scan(root, listing)
    unknown = np.flatnonzero(~scan.is_known)
    if len(unknown):
        _look_at(root, listing, scan, unknown, None, report)
        _write_scan(root, listing, scan)
    return scan


def scan_pixels(
    root: str | Path, listing: Listing, image_size: int, report: Report | None = None, resize: Resize = "whole"
) -> tuple[Scan, np.ndarray]:
    """Decode every listed file: the scan, and uint8 (M, S, S, 3), resized and cropped, zero where it is unusable."""
    scan = Scan.empty(len(listing.names))
    pixels = np.zeros((len(listing.names), image_size, image_size, 3), dtype=np.uint8)
    _look_at(root, listing, scan, np.arange(len(listing.names)), pixels, report, resize)
    _write_scan(root, listing, scan)
    return scan, pixels


def in_threads(work: Callable[[np.ndarray], None], rows: np.ndarray) -> Iterator[int]:
    """Run ``work`` on chunks of ``rows`` in threads and yield how many rows are done, in order.

    Leaving the loop early drops the chunks that have not begun.
    """
    step = max(1, min(_CHUNK, -(-len(rows) // worker_count())))
    chunks = [rows[start : start + step] for start in range(0, len(rows), step)]
    pool = ThreadPoolExecutor(max_workers=min(worker_count(), max(1, len(chunks))))
    done = 0
    try:
        for chunk, _ in zip(chunks, pool.map(work, chunks), strict=True):
            done += len(chunk)
            yield done
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _look_at(
    root: str | Path,
    listing: Listing,
    scan: Scan,
    rows: np.ndarray,
    pixels: np.ndarray | None,
    report: Report | None,
    resize: Resize = "whole",
) -> None:
    def look(chunk: np.ndarray) -> None:
        for row in chunk.tolist():
            path = os.path.join(root, listing.names[row])  # noqa: PTH118 - a Path a file costs more than its stat
            try:
                if pixels is None:
                    found = decode(path, enough=1)
                    scan.heights[row], scan.widths[row], scan.traits[row] = found.height, found.width, found.traits
                else:
                    pixels[row], scan.heights[row], scan.widths[row], scan.traits[row] = decode_square(
                        path, pixels.shape[1], resize
                    )
            except UnreadableImage as error:
                scan.reasons[row] = str(error)
            scan.is_known[row] = True

    for done in in_threads(look, rows):
        if report:
            report("scan", done, len(rows))


def is_scanned(root: str | Path, part: Sequence[str] = ()) -> bool:
    """Return whether the files of a folder, or of these class folders of it, were checked before.

    Reading it is quick then.
    """
    return _scan_path(root).is_file() or (bool(part) and _scan_path(root, part).is_file())


def _scan_path(root: str | Path, part: Sequence[str] = ()) -> Path:
    """Return where the scan of a folder is stored; that of a part of its classes has a place of its own."""
    key = "\0".join([str(Path(root).absolute()), *part])
    name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return datasets_dir() / "scans" / f"{name}.npz"


def _part_of(listing: Listing) -> Sequence[str]:
    return listing.class_names if listing.is_part else ()


def _write_scan(root: str | Path, listing: Listing, scan: Scan) -> None:
    """Store a scan; a disk that refuses costs only a slower second load."""
    names = np.frombuffer("\0".join(listing.names).encode(), dtype=np.uint8)
    arrays = {"names": names, "stamps": np.stack([listing.sizes, listing.mtimes])}
    arrays |= {"heights": scan.heights, "widths": scan.widths, "traits": scan.traits}
    facts = {"format": _FORMAT, "reasons": {str(row): reason for row, reason in scan.reasons.items()}}
    try_write(_scan_path(root, _part_of(listing)), npz_bytes(arrays, facts, compress=False))


def _read_scan(root: str | Path, listing: Listing) -> Scan:
    """Return what an earlier scan knows about the listed files that have not changed since."""
    scan, own = Scan.empty(len(listing.names)), _scan_path(root, _part_of(listing))
    try:
        stored, facts = read_npz(own if own.is_file() else _scan_path(root), "scan", "scan")
    except DataError:
        return scan
    if facts.get("format") != _FORMAT:
        return scan
    names = stored["names"].tobytes().decode().split("\0")
    if names == listing.names:
        old = np.arange(len(names))
    else:
        row_of = {name: row for row, name in enumerate(names)}
        old = np.array([row_of.get(name, -1) for name in listing.names], dtype=np.int64)
    sizes, mtimes = stored["stamps"][:, old]
    found = np.flatnonzero((sizes == listing.sizes) & (mtimes == listing.mtimes) & (old >= 0))
    for name in ("heights", "widths", "traits"):
        getattr(scan, name)[found] = stored[name][old[found]]
    scan.is_known[found] = True
    if reasons := {int(row): reason for row, reason in facts["reasons"].items()}:
        scan.reasons = {int(new): reasons[int(old[new])] for new in found if int(old[new]) in reasons}
    return scan
