from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_pictures import flat, noisy

from delt_engine.data import scan as module
from delt_engine.data.decode import Trait
from delt_engine.data.layout import list_files
from delt_engine.data.scan import in_threads, scan_files, scan_pixels


@pytest.fixture
def folder(tmp_path: Path, own_cache: Path) -> Path:
    noisy(tmp_path / "x" / "a" / "0.png", seed=1, height=8, width=8)
    flat(tmp_path / "x" / "a" / "1.png", (9, 9, 9), size=(20, 10))
    (tmp_path / "x" / "b").mkdir()
    (tmp_path / "x" / "b" / "0.png").write_text("words")
    flat(tmp_path / "x" / "b" / "1.png", (1, 2, 3), size=(1, 1))
    return tmp_path / "x"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are decoded."""
    names: list[str] = []
    decode = module.decode

    def spy(path: str, enough: int | None = None):
        names.append(Path(path).name)
        return decode(path, enough)

    monkeypatch.setattr(module, "decode", spy)
    return names


def test_pixels_sizes_and_reasons(folder: Path) -> None:
    scan, pixels = scan_pixels(folder, list_files(folder), 8)
    assert scan.heights.tolist() == [8, 10, 0, 1]
    assert scan.widths.tolist() == [8, 20, 0, 1]
    assert scan.reasons == {2: "not an image that can be read"}
    assert scan.is_usable.tolist() == [True, True, False, True]
    np.testing.assert_array_equal(pixels[0], noisy(folder / "again.png", seed=1, height=8, width=8))
    assert (pixels[1] == 9).all()
    assert (pixels[2] == 0).all()
    assert (pixels[3] == [1, 2, 3]).all()


def test_an_unchanged_folder_opens_no_file_again(folder: Path, opened: list[str]) -> None:
    Image.new("CMYK", (4, 4)).save(folder / "a" / "2.jpg")
    listing = list_files(folder)
    first = scan_files(folder, listing)
    assert first.traits.tolist()[2] == Trait.CMYK
    assert sorted(opened) == ["0.png", "0.png", "1.png", "1.png", "2.jpg"]
    opened.clear()
    second = scan_files(folder, list_files(folder))
    assert opened == []
    assert second.reasons == first.reasons == {3: "not an image that can be read"}
    np.testing.assert_array_equal(second.heights, first.heights)
    np.testing.assert_array_equal(second.traits, first.traits)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04"])
def test_a_damaged_scan_file_is_as_none(folder: Path, own_cache: Path, opened: list[str], content: bytes) -> None:
    scan_files(folder, list_files(folder))
    (kept,) = (own_cache / "scans").glob("*.npz")
    kept.write_bytes(content)
    opened.clear()
    scan_files(folder, list_files(folder))
    assert len(opened) == 4


def test_progress_is_told_and_stopping_it_stops_the_work(folder: Path) -> None:
    told: list[tuple[str, int, int]] = []
    scan_files(folder, list_files(folder), lambda *what: told.append(what))
    assert told[-1] == ("scan", 4, 4)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan_pixels(folder, list_files(folder), 8, stop)


@pytest.mark.parametrize(("cores", "counts"), [(2, [64, 128, 192, 256, 300]), (8, [*range(38, 300, 38), 300])])
def test_threads_do_every_row_once_and_share_few_rows(monkeypatch, cores: int, counts: list[int]) -> None:
    monkeypatch.setattr(module, "worker_count", lambda: cores)
    rows = np.arange(300)
    done: list[int] = []
    assert list(in_threads(lambda chunk: done.extend(chunk.tolist()), rows)) == counts
    assert sorted(done) == rows.tolist()

    def fail(_: np.ndarray) -> None:
        raise ValueError("here")

    with pytest.raises(ValueError, match="here"):
        list(in_threads(fail, np.arange(3)))
