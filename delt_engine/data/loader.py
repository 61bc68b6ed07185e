"""Images that lie in a folder: decoded when asked for, or read from decoded pixels that were kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from delt_engine.data.dataset import ImageSet
from delt_engine.data.decode import UnreadableImage, read_rgb
from delt_engine.data.resize import resize_box
from delt_engine.data.scan import decode_square, in_threads
from delt_engine.errors import DataError


class FileImages(ImageSet):
    """One split of a folder of images.

    Args:
        root: the folder.
        names: N paths relative to it.
        labels: (N,) class indices.
        sizes: int (N, 2), native height and width.
        image_size: S.
        kept: uint8 (M, S, S, 3) decoded pixels of all files of the folder, if they were kept.
        rows: int (N,), where in ``kept`` each image lies.
    """

    def __init__(
        self,
        root: str | Path,
        names: Sequence[str],
        labels: np.ndarray,
        sizes: np.ndarray,
        image_size: int,
        kept: np.ndarray | None = None,
        rows: np.ndarray | None = None,
    ) -> None:
        super().__init__(labels, names, image_size)
        self._root = Path(root)
        self._sizes = sizes
        self._kept = kept
        self._rows = rows

    @property
    def root(self) -> Path:
        """The folder that the names are relative to."""
        return self._root

    @property
    def is_kept(self) -> bool:
        """Whether the pixels at S are kept, so that nothing is decoded for them."""
        return self._kept is not None

    def original(self, index: int) -> np.ndarray:
        """Decode one image at native size, uint8 (H, W, 3).

        Raises:
            DataError: the file has gone or changed since the dataset was loaded.
        """
        return self._decoded(int(self._checked([index])[0]), read_rgb)

    def size(self, index: int) -> tuple[int, int]:
        """Return the native (height, width) of one image in pixels."""
        height, width = self._sizes[self._checked([index])[0]].tolist()
        return height, width

    def pixels(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return images at S, from the kept pixels if there are any. See :meth:`ImageSet.pixels`."""
        checked = self._checked(indices)
        if self._kept is not None:
            return np.asarray(self._kept[self._rows[checked]])
        chosen = checked.tolist()

        def square(index: int) -> np.ndarray:
            return self._decoded(index, lambda path: decode_square(path, self.image_size)[0])

        return self._gather(chosen, lambda row: square(chosen[row]))

    def crops(self, indices: Sequence[int] | np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Cut boxes out of images at native size; crops of one image that follow each other decode it once."""
        checked = self._checked(indices)
        boxes = self._checked_boxes(checked, boxes)
        chosen = checked.tolist()
        starts = [row for row in range(len(chosen)) if row == 0 or chosen[row] != chosen[row - 1]]
        ends = [*starts[1:], len(chosen)]
        out = np.empty((len(chosen), self.image_size, self.image_size, 3), dtype=np.uint8)

        def cut(groups: np.ndarray) -> None:
            for group in groups.tolist():
                image = self.original(chosen[starts[group]])
                for row in range(starts[group], ends[group]):
                    out[row] = resize_box(image, tuple(boxes[row]), self.image_size)

        for _ in in_threads(cut, np.arange(len(starts))):
            pass
        return out

    def _gather(self, chosen: list[int], read: Callable[[int], np.ndarray]) -> np.ndarray:
        """Fill uint8 (n, S, S, 3) row by row in threads."""
        out = np.empty((len(chosen), self.image_size, self.image_size, 3), dtype=np.uint8)

        def fill(rows: np.ndarray) -> None:
            for row in rows.tolist():
                out[row] = read(row)

        for _ in in_threads(fill, np.arange(len(chosen))):
            pass
        return out

    def _decoded(self, index: int, read: Callable[[Path], np.ndarray]) -> np.ndarray:
        """Read one file, saying which it was when it cannot be read any more."""
        path = self._root / self.names[index]
        try:
            return read(path)
        except UnreadableImage as error:
            raise gone(path, str(error)) from None


def gone(path: Path, reason: str) -> DataError:
    """Return the error of a file that could be read when the dataset was loaded, and cannot be now."""
    return DataError(f"dataset: {path} cannot be read any more ({reason}); load the dataset again to leave it out.")
