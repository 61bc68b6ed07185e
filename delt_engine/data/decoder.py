"""A process that decodes image files for another one: a question a line on stdin, pixels on stdout.

A question is one line of JSON: ``{"root": folder, "size": S, "files": [[name, boxes or null], ...]}``. The answer is
one line of JSON, ``{"rows": n, "seconds": time spent}`` and then n * S * S * 3 bytes, or ``{"name": name, "reason":
why}`` for the first file that cannot be used. Without boxes a file gives one row, its centred square. The process
ends when stdin does, so it never outlives the one who asks.

Pillow decodes. torchvision's decoders give the same pixels and are no faster once odd files are told by their header
and the square is resized: JPEG files of 32, 64 and 500 x 375 px to 32, 64 and 224 px at 6,900, 5,600 and 360 a second
of CPU time by Pillow and at 5,000, 4,000 and 330 by torchvision 0.29, which calls them deprecated and takes 2.7 s and
690 MB to load in every process (medians of eleven, taken in turns).
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from typing import Any, BinaryIO

import numpy as np

from delt_engine.data.decode import UnreadableImage, read_rgb
from delt_engine.data.resize import resize_box
from delt_engine.data.scan import decode_square


def serve(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer every question until there are no more."""
    for line in questions:
        head, rows = answer(json.loads(line))
        answers.write(json.dumps(head).encode() + b"\n")
        if rows is not None:
            answers.write(memoryview(rows).cast("B"))
        answers.flush()


def answer(question: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray | None]:
    """Return the head of the answer, and the rows, uint8 (n, S, S, 3), unless a file cannot be used."""
    began, size, files = time.perf_counter(), question["size"], question["files"]
    rows = np.empty((sum(1 if boxes is None else len(boxes) for _, boxes in files), size, size, 3), np.uint8)
    at = 0
    for name, boxes in files:
        path = f"{question['root']}/{name}"
        try:
            found = [decode_square(path, size)[0]] if boxes is None else _cut(path, boxes, size)
        except (UnreadableImage, ValueError) as error:  # a box may leave a picture that was exchanged for a smaller one
            return {"name": name, "reason": str(error)}, None
        rows[at : at + len(found)] = found
        at += len(found)
    return {"rows": at, "seconds": round(time.perf_counter() - began, 6)}, rows


def _cut(path: str, boxes: list[list[int]], size: int) -> list[np.ndarray]:
    image = read_rgb(path)
    return [resize_box(image, tuple(box), size) for box in boxes]


def main() -> None:
    """Serve on stdin and stdout; Ctrl-C is for the one who asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(BrokenPipeError):
        serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
