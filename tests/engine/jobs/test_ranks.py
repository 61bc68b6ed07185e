"""Which rank a process is, what the ranks tell each other, and how many are started."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_runs import fake_experiment
from filelock import FileLock, Timeout
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from waiting import PATIENCE_S

from delt_engine.config import Experiment
from delt_engine.errors import ConfigError
from delt_engine.jobs import ranks
from delt_engine.jobs.ranks import Rank, this_rank, wanted
from delt_engine.runs import processes
from delt_engine.runs.processes import alone
from delt_engine.runs.store import Run

MEETING = Path(__file__).resolve().parents[2] / "meeting_ranks.py"


def test_what_the_launcher_says() -> None:
    assert this_rank({}) == this_rank({"RANK": "3"}) == Rank(0, 1)
    told = {"RANK": "9", "WORLD_SIZE": "16", "LOCAL_RANK": "1", "TORCHELASTIC_RESTART_COUNT": "2"}
    assert this_rank(told) == Rank(9, 16, 1, 2)
    for number in ("4", "-1", "first"):
        with pytest.raises(ConfigError, match="from 0 to one below the number of ranks"):
            this_rank({"RANK": number, "WORLD_SIZE": "4"})


def test_each_rank_has_a_card_of_its_own() -> None:
    assert [Rank(number, 4, number % 2).device("cuda:0") for number in range(4)] == ["cuda:0", "cuda:1"] * 2
    Rank().check_device("cuda:1")
    Rank(0, 2).check_device("cuda")
    with pytest.raises(ConfigError, match="'cuda:1' given, but 2 ranks take one card each"):
        Rank(0, 2).check_device("cuda:1")


@pytest.fixture
def meet(tmp_path) -> Iterator[Callable[[str], list]]:
    """Let two processes do a case of ``meeting_ranks.py``; return what each found, None of one that died."""
    processes = []

    def start(case: str) -> list:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        for number in range(2):
            place = {"RANK": str(number), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            processes.append(
                subprocess.Popen([sys.executable, str(MEETING), case, str(tmp_path)], env={**os.environ, **place})
            )
        for process in processes:
            process.wait(PATIENCE_S)
        files = [tmp_path / f"{number}.json" for number in range(2)]
        return [json.loads(file.read_text()) if file.is_file() else None for file in files]

    yield start
    for process in processes:
        process.kill()


def test_what_ranks_do_together(meet) -> None:
    found = [{"path": "/runs/a", "rank": 0}, 7, "ipc: 0 given, but it must be at least 1."]
    assert meet("together") == [found, found]


def test_a_rank_that_waits_can_be_stopped_and_ends(meet) -> None:
    assert meet("stopped") == [["pause"], ["left"]]


def test_a_rank_that_dies_is_noticed_by_those_who_wait(meet) -> None:
    first, second = meet("lost")
    assert first == ["rank 0: one of the 2 ranks is gone; `delt resume` goes on."]
    assert second is None


@pytest.mark.parametrize(
    ("asked", "device", "cards", "batches", "expected"),
    [
        (3, "cpu", "", 1, 3),
        (0, "cpu", "0,1", 9, 1),
        (0, "auto", "0", 9, 1),
        (0, "auto", "0,1,2", 2, 2),
        (0, "cuda", "0,1,2", 9, 3),
        (0, "cuda:1", "0,1,2", 9, 1),
        (0, "auto", "0,1,2", 1, 1),
        (1, "cuda", "0,1", 9, 1),
    ],
)
def test_how_many_ranks_are_started(monkeypatch, asked, device, cards, batches, expected) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", cards)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    assert wanted(asked, Experiment(device=device), lambda: batches) == expected
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert wanted(8, Experiment(), lambda: 9) == 1  # a rank starts no ranks


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        (None, 0),
        (ChildFailedError("delt", {0: ProcessFailure(0, 7, 1, "")}), 1),
        (SignalException("stopped", signal.SIGINT), 130),
        (SignalException("stopped", signal.SIGTERM), 75),
    ],
)
def test_what_became_of_the_ranks_is_told_by_a_code(monkeypatch, ended, code) -> None:
    asked = []

    def run(arguments) -> None:
        asked.append(arguments)
        if ended:
            raise ended

    monkeypatch.setattr("torch.distributed.run.run", run)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert ranks.launch(3, ["recover", "--ipc", "1"]) == code
    assert asked[0].nproc_per_node == "3"
    assert asked[0].training_script_args == ["recover", "--ipc", "1"]


def test_what_ranks_share_is_changed_by_one_at_a_time(tmp_path) -> None:
    run = Run.create(tmp_path / "a", fake_experiment())
    with alone(run.path, "3"):
        assert not (run.path / processes.RANKS_FOLDER).exists()  # one process needs no lock
    (run.path / processes.RANKS_FOLDER).mkdir()
    with alone(run.path, "3"), alone(run.path, "4"):  # of different things, two at a time
        other = FileLock(run.path / processes.RANKS_FOLDER / "3.lock")
        with pytest.raises(Timeout):
            other.acquire(timeout=0)
    other.acquire(timeout=0)
    other.release()
