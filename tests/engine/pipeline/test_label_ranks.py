"""Epochs of stored labels in the hands of several ranks: the same bytes, and nothing left of what was stopped."""

from __future__ import annotations

import json

import pytest
import torch
from delt_engine.pipeline.helping import STOP, RankLabels, help_first

from delt_engine.config.students import EvaluateConfig, RelabelConfig
from delt_engine.errors import RunCancelled, RunError
from delt_engine.jobs import ranks
from delt_engine.jobs.ranks import Rank
from delt_engine.jobs.worker import Wishes, claimed_folder
from delt_engine.pipeline import label_ranks, sharing
from delt_engine.pipeline.label_ranks import SharedLabels, _Labels, relabel_share, write_labels
from delt_engine.pipeline.relabel import relabel_job
from delt_engine.runs import locks
from delt_engine.runs.processes import this_process
from delt_engine.runs.sources import REAL, Source

pytest_plugins = ["tiny_world"]
EPOCHS = 5


class Orders(list):
    """What the first rank said, and what another hears."""

    say = list.append

    def hear(self, check):
        check()
        return self.pop(0)

    def leave(self) -> None:
        self.append({"do": "left"})

    def left(self) -> set[int]:
        return set()


@pytest.fixture
def experiment(world, settings):
    evaluate = EvaluateConfig(epochs=EPOCHS, batch_size=16, rand_augment="m5-n2-mstd1")
    return settings("random", evaluate=evaluate).replace(relabel=RelabelConfig(form="float32", directions=2))


@pytest.fixture
def job(experiment):
    return relabel_job(experiment, Source(REAL))


@pytest.fixture
def orders(monkeypatch) -> Orders:
    """Two ranks, this process being the first."""
    orders = Orders()
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(ranks, "channel", lambda: orders)
    return orders


@pytest.fixture
def whole(job, tmp_path) -> dict[str, bytes]:
    """The files of a store that one process wrote."""
    list(write_labels(job, tmp_path / "whole"))
    return files_of(tmp_path / "whole")


def files_of(path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}


def begun(path, **process) -> RankLabels:
    """The second rank, at work in this process."""
    other = RankLabels({"run": str(path)}, Rank(1, 2, 1))
    told = this_process().model_copy(update=process).model_dump()
    other.event({"kind": "rank", "state": "working", "process": told})
    return other


def first_steps(job, path, number: int = 1):
    """Begin as the first rank does, and take some batches."""
    steps = write_labels(job, path)
    for _ in range(number):
        next(steps)
    return steps


def test_one_process_writes_everything_and_counts_batches(job, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(ranks, "channel", lambda: pytest.fail("told"))
    events = list(write_labels(job, tmp_path / "a"))
    assert [event["done"] for event in events] == list(range(1, EPOCHS * job.steps + 1))
    assert {(event["kind"], event["stage"], event["total"]) for event in events} == {
        ("stage", "relabel", EPOCHS * job.steps)
    }
    names = [f"epoch-{epoch:04d}.safetensors" for epoch in range(1, EPOCHS + 1)]
    assert sorted(files_of(tmp_path / "a")) == ["basis.safetensors", *names, "manifest.json"]
    assert not list(write_labels(job, tmp_path / "a"))
    (tmp_path / "a" / names[1]).unlink()
    again = list(write_labels(job, tmp_path / "a"))
    assert [event["done"] for event in again] == list(range((EPOCHS - 1) * job.steps + 1, EPOCHS * job.steps + 1))


def test_two_ranks_write_the_bytes_of_one_process(job, whole, orders, tmp_path, monkeypatch) -> None:
    steps = first_steps(job, tmp_path / "two")
    (order,) = orders
    assert order["shares"] == [[1, 3, 5], [2, 4]]
    assert json.loads(json.dumps(order)) == order
    assert order["threads"] == torch.get_num_threads()
    with monkeypatch.context() as second:
        second.setenv("RANK", "1")
        orders.append({"do": "end"})
        help_first()
    assert orders == [{"do": "left"}]
    told = list(steps)
    assert [event["rank"] for event in told if "rank" in event]
    assert told[-1]["done"] == told[-1]["total"] == EPOCHS * job.steps
    assert files_of(tmp_path / "two") == whole
    assert not (tmp_path / "two" / locks.FOLDER).exists()


def test_what_killed_processes_left_is_cleared_away_and_the_rest_goes_on(job, whole, tmp_path) -> None:
    path = tmp_path / "cut"
    (path / locks.FOLDER).mkdir(parents=True)
    (path / ".manifest.json-x1y2").write_bytes(b"{")
    (path / locks.FOLDER).rmdir()
    first_steps(job, path, job.steps + 1).close()  # the second epoch is begun
    assert sorted(files_of(path)) == ["basis.safetensors", "epoch-0001.safetensors", "manifest.json"]
    (path / ".epoch-0002.safetensors-a1b2").write_bytes(b"half")
    (path / locks.FOLDER).mkdir()
    (path / locks.FOLDER / "1.jsonl").write_text("{")
    list(write_labels(job, path))
    assert files_of(path) == whole
    assert not (path / locks.FOLDER).exists()


def test_a_stop_reaches_the_other_rank_and_whole_epochs_stay(job, orders, tmp_path, monkeypatch) -> None:
    path = tmp_path / "a"
    steps = first_steps(job, path, job.steps)
    other = begun(path)
    assert other.requested() is None
    seen = []

    def stopped() -> None:  # as the other rank, when the first one waits for it
        seen.append((other.requested(), (path / locks.FOLDER / STOP).is_file()))
        other.event({"kind": "rank", "state": "stopped"})

    monkeypatch.setattr(sharing.time, "sleep", lambda seconds: stopped())
    monkeypatch.setattr(Wishes, "asked", lambda self: "cancel")
    with pytest.raises(RunCancelled, match=f"labels {path}: whole epochs are kept, and the same command goes on"):
        list(steps)
    assert seen == [("cancel", True)]
    assert sorted(files_of(path)) == ["basis.safetensors", "epoch-0001.safetensors", "manifest.json"]
    assert not (path / locks.FOLDER).exists()
    assert other.requested() == "cancel"  # whoever is still there sees that nobody waits for it


def test_a_rank_that_is_gone_is_told_and_its_half_file_is_removed(job, orders, tmp_path) -> None:
    path = tmp_path / "a"
    steps = first_steps(job, path)
    begun(path, created=1.0)  # a process of that number began at another time
    (path / ".epoch-0002.safetensors-a1b2").write_bytes(b"half")
    with pytest.raises(RunError, match=f"labels {path}: the process of rank 1 is gone; the same command goes on"):
        list(steps)
    assert not [name for name in files_of(path) if name.startswith(".")]
    assert not (path / locks.FOLDER).exists()


def test_a_rank_that_does_not_see_the_store_says_so(job, orders, tmp_path) -> None:
    SharedLabels(_Labels(make(tmp_path / "a")), job, [1, 2], 0)
    (order,) = orders
    elsewhere = RankLabels({**order, "run": str(tmp_path / "elsewhere")}, Rank(1, 2, 1))
    assert elsewhere.requested() is None
    with pytest.raises(RunError, match="does not see them; all ranks need the same disk"):
        list(relabel_share(elsewhere, [2], Wishes(elsewhere)))


def test_a_rank_uses_its_own_card(job, orders, tmp_path) -> None:
    other = RankLabels({"run": str(tmp_path), "device": "cuda:0"}, Rank(3, 4, 3))
    assert (other.device, other.held_device) == ("cuda:3", "cpu")


def test_one_process_at_a_time_writes_and_other_folders_are_not_touched(job, tmp_path) -> None:
    path = make(tmp_path / "a")
    (path / locks.FOLDER).mkdir()
    (path / locks.FOLDER / "mine.txt").write_text("precious")
    with pytest.raises(label_ranks.DataError, match="must be a new folder"):
        list(write_labels(job, path))
    assert (path / locks.FOLDER / "mine.txt").read_text() == "precious"
    with claimed_folder(path), pytest.raises(RunError, match=f"labels {path}: another process is at work on it"):
        list(write_labels(job, path))


def make(path):
    path.mkdir()
    return path
