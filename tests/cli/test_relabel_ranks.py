"""Stored labels by several ranks, as real processes: the bytes of one process, also after a rank was killed."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from waiting import PATIENCE_S, wait_for

pytest_plugins = ["colour_folder"]
EPOCHS = "400"
LAUNCHER = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "1"]


@pytest.fixture(autouse=True)
def one_thread():
    """What runs in this process computes as each rank does: sums of several threads may differ in their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def started(home, monkeypatch):
    """Start Python with these words; whatever is left of it at the end is killed."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    processes = []

    def start(*words) -> subprocess.Popen:
        environment = {**os.environ, "DELT_HOME": str(home)}
        command = [sys.executable, *map(str, words)]
        processes.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            for member in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended by itself
                    member.kill()
            process.kill()
        process.communicate()


@pytest.fixture
def words(colours) -> list[str]:
    """The command, but for the number of epochs and the folder."""
    training = ["--student-batch-size", "16", "--rand-augment", "m5-n2-mstd1"]
    return ["relabel", "real", "--dataset", str(colours), "--image-size", "8", "--device", "cpu", *training, "--quiet"]


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
    launcher = started(*LAUNCHER, "--monitor-interval", "0.1", "-m", "delt_engine", *words)
    wait_for(lambda: has_begun(two))
    ranks = psutil.Process(launcher.pid).children(recursive=True)
    next(process for process in ranks if process.environ().get("RANK") == "1").kill()
    said = launcher.communicate(timeout=PATIENCE_S)[1].decode()
    assert launcher.returncode == 0, said
    assert files_of(two) == one


def test_a_stop_leaves_whole_epochs_and_nothing_else(one, words, started, tmp_path):
    two = tmp_path / "two"
    words += ["--epochs", "20000", "--ranks", "2", "--out", two]  # more than can be written before the stop
    launcher = started("-m", "delt_engine", *words)
    wait_for(lambda: has_begun(two))
    ranks = psutil.Process(launcher.pid).children(recursive=True)
    launcher.send_signal(signal.SIGINT)
    said = launcher.communicate(timeout=PATIENCE_S)[1].decode()
    assert launcher.returncode == 128 + signal.SIGINT, said
    assert "whole epochs are kept, and the same command goes on" in said
    assert not psutil.wait_procs(ranks, timeout=PATIENCE_S)[1]
    kept = files_of(two)
    assert kept.pop("manifest.json") != one.pop("manifest.json")  # of another number of epochs
    assert {"epoch-0001.safetensors", "epoch-0002.safetensors"} <= kept.keys()
    assert all(re.fullmatch(r"epoch-\d+\.safetensors", name) for name in kept)
    assert all(kept[name] == one[name] for name in kept.keys() & one.keys())
    assert {len(data) for data in kept.values()} == {len(data) for data in one.values()}
