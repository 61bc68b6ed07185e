"""Stored labels by several ranks, as real processes: the bytes of one process, also after a rank was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch
from waiting import wait_for

pytest_plugins = ["colour_folder"]
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
                member.kill()
            process.kill()
        process.communicate()


@pytest.fixture
def words(colours) -> list[str]:
    """Many epochs, so that a stop comes in the middle of them."""
    training = ["--epochs", "400", "--student-batch-size", "16", "--rand-augment", "m5-n2-mstd1"]
    return ["relabel", "real", "--dataset", str(colours), "--image-size", "8", "--device", "cpu", *training, "--quiet"]


def files_of(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def has_begun(path: Path) -> bool:
    """Whether the second rank has written an epoch."""
    told = path / "ranks" / "1.jsonl"
    return told.is_file() and '"stage"' in told.read_text()


def test_a_killed_rank_is_started_again_and_the_labels_are_those_of_one_process(delt, words, started, tmp_path):
    assert delt(*words, "--out", tmp_path / "one").exit_code == 0
    two = tmp_path / "two"
    launcher = started(*LAUNCHER, "--monitor-interval", "0.1", "-m", "delt_engine", *words, "--out", two)
    wait_for(lambda: has_begun(two))
    ranks = psutil.Process(launcher.pid).children(recursive=True)
    next(process for process in ranks if process.environ().get("RANK") == "1").kill()
    said = launcher.communicate(timeout=60)[1].decode()
    assert launcher.returncode == 0, said
    assert files_of(two) == files_of(tmp_path / "one")


def test_a_stop_leaves_whole_epochs_alone_and_one_process_goes_on(delt, words, started, tmp_path):
    assert delt(*words, "--out", tmp_path / "one").exit_code == 0
    two = tmp_path / "two"
    launcher = started("-m", "delt_engine", *words, "--ranks", "2", "--out", two)
    wait_for(lambda: has_begun(two))
    ranks = psutil.Process(launcher.pid).children(recursive=True)
    launcher.send_signal(signal.SIGINT)
    said = launcher.communicate(timeout=60)[1].decode()
    assert launcher.returncode == 128 + signal.SIGINT, said
    assert "whole epochs are kept, and the same command goes on" in said
    assert not psutil.wait_procs(ranks, timeout=5)[1]
    expected, kept = files_of(tmp_path / "one"), files_of(two)
    assert 1 < len(kept) < len(expected)
    assert kept.items() <= expected.items()
    assert delt(*words, "--out", two).exit_code == 0
    assert files_of(two) == expected
