"""Checkpoints come back bit for bit, or count as none."""

import pytest
import torch
from fake_runs import fake_experiment

from delt_engine.runs import checkpoint
from delt_engine.runs.checkpoint import Position, positions, read_checkpoint, remove_checkpoint, write_checkpoint
from delt_engine.runs.store import Run


@pytest.fixture
def run(tmp_path) -> Run:
    return Run.create(tmp_path / "a", fake_experiment())


def test_tensors_and_position_come_back_to_the_bit(run) -> None:
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    tensors = {"images": images.to(memory_format=torch.channels_last), "iteration": torch.tensor(7)}
    write_checkpoint(run, tensors, Position(batch=3, iteration=7, seconds=1.25))
    found, position = read_checkpoint(run, 3)
    assert position == Position(3, 7, 1.25)
    assert found["images"].equal(images)
    assert int(found["iteration"]) == 7


def test_each_batch_has_its_own_checkpoint_until_it_is_done(run) -> None:
    for batch in (4, 2):
        write_checkpoint(run, {"images": torch.full((2,), float(batch))}, Position(batch, batch + 1, 0.5))
    assert positions(run) == {2: Position(2, 3, 0.5), 4: Position(4, 5, 0.5)}
    assert read_checkpoint(run, 4)[0]["images"].tolist() == [4.0, 4.0]
    remove_checkpoint(run, 4)
    checkpoint.checkpoint_path(run, 3).write_bytes(b"torn")
    assert list(positions(run)) == [2]
    for _ in range(2):
        remove_checkpoint(run)
        assert not (run.path / "checkpoint").exists()


def test_a_torn_or_absent_checkpoint_counts_as_none(run) -> None:
    assert read_checkpoint(run, 0) is None
    write_checkpoint(run, {"images": torch.zeros(2)}, Position(0, 1, 0.0))
    path = checkpoint.checkpoint_path(run, 0)
    path.write_bytes(path.read_bytes()[:-4])
    assert read_checkpoint(run, 0) is None
    path.write_bytes(b"")
    assert read_checkpoint(run, 0) is None


def test_one_other_bit_in_a_checkpoint_counts_as_none(run) -> None:
    write_checkpoint(
        run, {"images": torch.zeros(8), "scale": torch.tensor(2.0, dtype=torch.bfloat16)}, Position(0, 1, 0.0)
    )
    path = checkpoint.checkpoint_path(run, 0)
    whole = path.read_bytes()
    for at in (len(whole) - 1, len(whole) - 20, whole.find(b"iteration") + 15):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert read_checkpoint(run, 0) is None
    path.write_bytes(whole)
    assert read_checkpoint(run, 0)[1] == Position(0, 1, 0.0)
