"""Folders of small images, and a cache of one's own."""

from pathlib import Path

import pytest
from small_pictures import flat


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Move the cache of datasets to an empty folder; return that folder."""
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "cache" / "datasets"


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """A folder with train (3 cats, 2 dogs) and test (1 each)."""
    root = tmp_path / "pets"
    for split, cats, dogs in (("train", 3, 2), ("test", 1, 1)):
        for number in range(cats):
            flat(root / split / "cat" / f"c{number}.png", (200, 100, 50))
        for number in range(dogs):
            flat(root / split / "dog" / f"d{number}.png", (20, 40, 60))
    return root
