"""Stored labels by several ranks, as real processes: the bytes of one process, also after a rank was killed."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import psutil
import pytest
from real_processes import DELT, LAUNCHER, ranks_of
from waiting import PATIENCE_S, wait_for

pytestmark = pytest.mark.usefixtures("one_thread")
EPOCHS = "400"


@pytest.fixture
def words(data) -> list[str]:
    """The command, but for the number of epochs and the folder."""
    training = ["--student-batch-size", "16", "--rand-augment", "m5-n2-mstd1"]
    return ["relabel", "real", *data, *training, "--quiet"]


@pytest.fixture
def one(delt, words, tmp_path) -> dict[str, bytes]:
    """The store of one process."""
    assert delt(*words, "--epochs", EPOCHS, "--out", tmp_path / "one").exit_code == 0
    return files_of(tmp_path / "one")


def files_of(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def has_begun(path: Path) -> bool:
    """Whether both ranks have written an epoch, the second one its first."""
    return all((path / f"epoch-000{number}.safetensors").is_file() for number in (1, 2))


def test_a_killed_rank_is_started_again_and_the_labels_are_those_of_one_process(one, words, started, tmp_path):
    two = tmp_path / "two"
    words += ["--epochs", EPOCHS, "--out", two]
    launcher = started(*LAUNCHER, "--max-restarts", "1", *DELT, *words)
    wait_for(lambda: has_begun(two))
    ranks_of(launcher)["1"].kill()
    said = launcher.communicate(timeout=PATIENCE_S)[1]
    assert launcher.returncode == 0, said
    assert files_of(two) == one


def test_a_signal_to_one_rank_stops_all(words, started, tmp_path):
    two = tmp_path / "two"
    words += ["--epochs", "20000", "--out", two]
    launcher = started(*LAUNCHER, "--max-restarts", "1", *DELT, *words)
    wait_for(lambda: has_begun(two))
    ranks_of(launcher)["1"].send_signal(signal.SIGTERM)
    said = launcher.communicate(timeout=PATIENCE_S)[1]
    assert launcher.returncode == 0, said  # ranks that were asked to stop end well, so they are not started again
    assert "whole epochs are kept, and the same command goes on" in said
    assert not [name for name in files_of(two) if name.startswith(".")]


def test_a_stop_leaves_whole_epochs_and_nothing_else(one, words, started, tmp_path):
    two = tmp_path / "two"
    words += ["--epochs", "20000", "--ranks", "2", "--out", two]  # more than can be written before the stop
    launcher = started(*DELT, *words)
    wait_for(lambda: has_begun(two))
    ranks = psutil.Process(launcher.pid).children(recursive=True)
    launcher.send_signal(signal.SIGINT)
    said = launcher.communicate(timeout=PATIENCE_S)[1]
    assert launcher.returncode == 128 + signal.SIGINT, said
    assert "whole epochs are kept, and the same command goes on" in said
    assert not psutil.wait_procs(ranks, timeout=PATIENCE_S)[1]
    kept = files_of(two)
    assert kept.pop("manifest.json") != one.pop("manifest.json")  # of another number of epochs
    assert {"epoch-0001.safetensors", "epoch-0002.safetensors"} <= kept.keys()
    assert all(re.fullmatch(r"epoch-\d+\.safetensors", name) for name in kept)
    assert all(kept[name] == one[name] for name in kept.keys() & one.keys())
    assert {len(data) for data in kept.values()} == {len(data) for data in one.values()}
