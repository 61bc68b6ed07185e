"""A folder of coloured images and a teacher for it, made as a user would make them; and the command in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from delt_engine.cli import main

COLOURS = {"blue": (40, 40, 220), "green": (40, 220, 40), "red": (220, 40, 40)}


@pytest.fixture(scope="session")
def colours(tmp_path_factory) -> Path:
    """A dataset in ImageFolder layout: three classes, train/ and test/."""
    root = tmp_path_factory.mktemp("data") / "colours"
    generator = np.random.default_rng(0)
    for split, count in (("train", 16), ("test", 8)):
        for name, colour in COLOURS.items():
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.clip(np.array(colour) + generator.integers(-30, 30, (8, 8, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{number:02d}.png")
    return root


@pytest.fixture(scope="session")
def squeeze_options() -> list[str]:
    """Options of a teacher that learns the colours in a moment."""
    return ["--network", "convnet-3", "--width", "0.0625", "--epochs", "4", "--batch-size", "16", "--min-crop", "1"]


@pytest.fixture(scope="session")
def home(tmp_path_factory, colours, squeeze_options) -> Path:
    """A home with a teacher in it that knows the colours."""
    path = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DELT_HOME", str(path))
        result = CliRunner().invoke(
            main, ["squeeze", "--dataset", str(colours), "--image-size", "8", *squeeze_options, "--json"]
        )
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["accuracy"] == 100.0
    return path


@pytest.fixture
def delt(home, monkeypatch) -> Callable[..., Result]:
    """Run the command in this process."""
    monkeypatch.setenv("DELT_HOME", str(home))
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def small(colours) -> list[str]:
    """Options of a run that takes a moment."""
    return ["--dataset", str(colours), "--image-size", "8", "--ipc", "4", "--mi", "8", "--ri", "2", "--device", "cpu"]
