"""A folder of coloured images and a teacher for it, made as a user would make them; and the command in this process."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
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


@pytest.fixture(scope="session")
def random_run(colours, home) -> str:
    """A finished run of four random real images a class."""
    words = ["recover", "--dataset", str(colours), "--image-size", "8", "--method", "random", "--ipc", "4"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DELT_HOME", str(home))
        result = CliRunner().invoke(main, [*words, "--device", "cpu", "--out", str(home / "runs" / "few"), "--quiet"])
    assert result.exit_code == 0, result.stderr
    return "few"


@pytest.fixture
def delt(home, monkeypatch) -> Callable[..., Result]:
    """Run the command in this process."""
    monkeypatch.setenv("DELT_HOME", str(home))
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(scope="session")
def data(colours) -> list[str]:
    """Options of the data, in this process."""
    return ["--dataset", str(colours), "--image-size", "8", "--device", "cpu"]


@pytest.fixture
def small(data) -> list[str]:
    """Options of a run that takes a moment."""
    return [*data[:4], "--ipc", "4", "--mi", "8", "--ri", "2", *data[4:]]


@pytest.fixture
def answer(delt) -> Callable[..., Any]:
    """Run the command and return the one JSON value that it prints."""

    def read(*words) -> Any:
        result = delt(*words, "--json")
        assert result.exit_code == 0, result.stderr
        assert result.stdout.count("\n") == 1
        return json.loads(result.stdout)

    return read


@pytest.fixture
def refusal(delt) -> Callable[..., str]:
    """Run a command that must fail, and return its one sentence on stderr."""

    def read(*words, code: int = 2) -> str:
        result = delt(*words)
        assert (result.exit_code, result.stdout) == (code, "")
        (line,) = result.stderr.strip().splitlines()
        assert line.startswith("Error: ")
        assert "Traceback" not in line
        return line

    return read


@pytest.fixture(scope="module")
def environment(home) -> dict[str, str]:
    """Variables of a real process; one thread, since a second one has nothing to do on such small images."""
    return {**os.environ, "DELT_HOME": str(home), "OMP_NUM_THREADS": "1"}


@pytest.fixture
def same_environment(environment, monkeypatch) -> None:
    for name in ("DELT_HOME", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, environment[name])


@pytest.fixture
def started(environment) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start Python with these words and variables on top; whatever is left of it at the end is killed."""
    processes = []

    def start(*words, **variables) -> subprocess.Popen:
        command, pipes = [sys.executable, *map(str, words)], {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        processes.append(subprocess.Popen(command, env={**environment, **variables}, text=True, **pipes))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            for member in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended by itself
                    member.kill()
            process.kill()
        process.communicate()
