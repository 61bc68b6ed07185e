import os
import time
from pathlib import Path

import numpy as np
import pytest

from delt_engine.data import cache


def build() -> dict[str, np.ndarray]:
    return {"a": np.arange(6).reshape(2, 3), "b": np.ones(4, dtype=np.uint8)}


def fail() -> dict[str, np.ndarray]:
    raise AssertionError("built twice")


def test_second_call_maps_what_the_first_built(own_cache: Path) -> None:
    first = cache.cached_arrays("key", ("a", "b"), build)
    second = cache.cached_arrays("key", ("a", "b"), fail)
    assert isinstance(second["a"], np.memmap)
    for arrays in (first, second):
        np.testing.assert_array_equal(arrays["a"], build()["a"])
        np.testing.assert_array_equal(arrays["b"], build()["b"])
    assert [path.name for path in own_cache.iterdir()] == ["key"]


@pytest.mark.parametrize("damage", ["gone", "cut", "empty"])
def test_a_damaged_entry_is_built_again(own_cache: Path, damage: str) -> None:
    cache.store_arrays("key", build())
    file = own_cache / "key" / "a.npy"
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: 100 if damage == "cut" else 0])
    assert cache.open_arrays("key", ("a", "b")) is None
    cache.cached_arrays("key", ("a", "b"), build)
    np.testing.assert_array_equal(cache.cached_arrays("key", ("a", "b"), fail)["a"], build()["a"])


def test_of_two_writers_one_wins_and_both_read_it(own_cache: Path) -> None:
    def slow() -> dict[str, np.ndarray]:
        cache.store_arrays("key", build())  # the other process is done first
        return build()

    mine = cache.cached_arrays("key", ("a", "b"), slow)
    assert Path(mine["a"].filename).parent == own_cache / "key"
    assert len(list(own_cache.iterdir())) == 1


def test_full_disk_costs_only_the_cache(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    arrays = cache.cached_arrays("key", ("a", "b"), build)
    np.testing.assert_array_equal(arrays["a"], build()["a"])
    assert list(own_cache.iterdir()) == []


def test_folders_of_killed_processes_are_removed_and_fresh_ones_kept(own_cache: Path) -> None:
    for name in (".old-1", ".new-1"):
        (own_cache / name).mkdir(parents=True)
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(own_cache / ".old-1", (long_ago, long_ago))
    cache.store_arrays("key", build())
    assert sorted(path.name for path in own_cache.iterdir()) == [".new-1", "key"]
