"""Which images of a batch a rank takes, what is added up, and two real ranks that train one network."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from timm.layers import BatchNormAct2d
from timm.layers.norm_act import SyncBatchNormAct
from torch import nn
from waiting import PATIENCE_S

from delt_engine.errors import RanksLost
from delt_engine.training import distributed as module
from delt_engine.training.distributed import ALONE, Team
from tests import two_ranks

CASES = list(itertools.product((1, 2, 3, 5), (1, 2, 3, 4, 7, 10, 16)))


def ranks(size: int) -> list[Team]:
    return [Team(number, size) for number in range(size)]


@pytest.fixture
def twice(monkeypatch) -> list[int]:
    """Two ranks with the same numbers: a sum doubles them; return how many numbers were sent each time."""
    sent = []

    def all_reduce(tensor, op=None):
        sent.append(tensor.numel())
        tensor.mul_(2)

    monkeypatch.setattr(module.dist, "all_reduce", all_reduce)
    return sent


@pytest.mark.parametrize(("size", "count"), CASES)
def test_the_ranks_share_a_batch_by_two_rows_at_least_and_add_up_to_it(size, count) -> None:
    rows = [list(range(count))[team.rows(count)] for team in ranks(size)]
    if size > 1 and count < 2 * size:
        assert rows == [list(range(count))] * size
    else:
        assert sum(rows, []) == list(range(count))
        lengths = [len(part) for part in rows]
        assert max(lengths) - min(lengths) <= 1
        assert size == 1 or min(lengths) >= 2
    values = torch.rand(count, generator=torch.Generator().manual_seed(count), dtype=torch.float64)
    parts = [(team, values[own]) for team, own in zip(ranks(size), rows, strict=True)]
    torch.testing.assert_close(sum(team.weighted(part.mean(), count) for team, part in parts), values.mean())
    found = sum(team.counted((part > 0.5).sum().double(), count) for team, part in parts)
    torch.testing.assert_close(found, (values > 0.5).sum().double())


def test_one_rank_sends_nothing_and_changes_nothing(monkeypatch) -> None:
    for name in ("all_reduce", "broadcast_object_list"):
        monkeypatch.setattr(module.dist, name, lambda *a, **k: pytest.fail("sent"))
    network, value = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), torch.tensor(3.0)
    ALONE.backward(ALONE.parallel(network)(torch.rand(2, 3, 8, 8)).sum())
    before = [each.clone() for each in network.buffers()]
    ALONE.average_statistics(network)
    assert all(torch.equal(*pair) for pair in zip(before, network.buffers(), strict=True))
    assert all(weight.grad is not None for weight in network.parameters())
    assert ALONE.weighted(value, 7) is ALONE.total(value) is ALONE.counted(value, 1) is value
    assert (ALONE.first(lambda: 5), ALONE.highest(2, 0), ALONE.is_first) == (5, (2, 0), True)
    assert ALONE.synchronised(network, torch.device("cuda")) is network


def test_running_statistics_become_their_mean_and_counts_stay(twice) -> None:
    network = nn.BatchNorm2d(4)
    network(torch.rand(2, 4, 8, 8))
    before = {name: value.clone() for name, value in network.named_buffers()}
    Team(1, 2).average_statistics(network)
    assert twice == [4, 4]
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
    Team(1, 4).average_statistics(network)  # twice one's own is half of what four ranks have
    torch.testing.assert_close(network.running_mean, before["running_mean"] / 2)
    assert network.num_batches_tracked == 1


def test_a_total_leaves_what_was_given(twice) -> None:
    given = torch.tensor([1.0, 3.0])
    assert Team(0, 2).total(given).tolist() == [2.0, 6.0]
    assert given.tolist() == [1.0, 3.0]


def test_batchnorm_is_synchronised_on_cards_alone_and_keeps_weights_and_activations() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), BatchNormAct2d(4, act_layer=nn.SiLU))
    weights = list(network.parameters())
    assert Team(0, 2).synchronised(network, torch.device("cpu")) is network
    found = Team(0, 2).synchronised(network, torch.device("cuda"))
    assert isinstance(found[1], nn.SyncBatchNorm)
    assert isinstance(found[2], SyncBatchNormAct)
    assert isinstance(found[2].act, nn.SiLU)
    assert all(one is other for one, other in zip(found.parameters(), weights, strict=True))


def test_a_lost_rank_is_one_sentence(monkeypatch) -> None:
    def broken(*args, **kwargs):
        raise RuntimeError("[gloo/transport/tcp/pair.cc:525] Connection closed by peer\nand more")

    monkeypatch.setattr(module.dist, "all_reduce", broken)
    monkeypatch.setattr(module.dist, "broadcast_object_list", broken)
    team, network = Team(1, 3), nn.BatchNorm2d(2)
    for talk in (
        lambda: team.highest(1),
        lambda: team.first(lambda: 1),
        lambda: team.total(torch.ones(1)),
        lambda: team.average_statistics(network),
    ):
        with pytest.raises(RanksLost, match=r"^rank 1: one of the 3 ranks that train together is gone; [^\n]*$"):
            talk()


pytestmark = pytest.mark.usefixtures("one_thread")
ROOT = Path(two_ranks.__file__).resolve().parent.parent
EXACT = ["squeezed_without_batchnorm", "student_without_batchnorm", "student_of_stored_labels"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where two ranks left what they ended with."""
    path = tmp_path_factory.mktemp("ranks")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "tests" / "two_ranks.py")]
    processes = [
        subprocess.Popen([*command, str(number), str(path)], env=environment, stderr=subprocess.PIPE, text=True)
        for number in range(2)
    ]
    try:
        for process in processes:
            _, said = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, said
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return path


def of_rank(folder: Path, case: str, number: int) -> dict[str, torch.Tensor]:
    return load_file(folder / f"{case}-{number}.safetensors")


@pytest.mark.parametrize("case", EXACT)
def test_two_ranks_train_what_one_trains(folder, case) -> None:
    """Sums in another order differ by some of float32's last digits: by 4e-7 in numbers below 2, as measured."""
    expected, found = two_ranks.CASES[case](ALONE), of_rank(folder, case, 0)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            found[name], value, rtol=1e-6, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("case", ["squeezed", "student", "averaged", *EXACT])
def test_all_ranks_end_with_the_same(folder, case) -> None:
    first, second = of_rank(folder, case, 0), of_rank(folder, case, 1)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_running_statistics_are_the_mean_of_both(folder) -> None:
    layers = [two_ranks.normalised(number) for number in range(2)]
    found = of_rank(folder, "averaged", 0)
    for name in ("running_mean", "running_var"):
        torch.testing.assert_close(found[name], (getattr(layers[0], name) + getattr(layers[1], name)) / 2)
    assert found["num_batches_tracked"] == 2


def test_a_teacher_with_batchnorm_learns(folder) -> None:
    losses, _, accuracies = of_rank(folder, "squeezed", 0)["numbers"].T
    assert losses[-1] < losses[0]
    assert accuracies[-1] > 60


def test_what_one_wants_all_do_and_what_the_first_knows_all_know(folder) -> None:
    for number in range(2):
        found = of_rank(folder, "agreed", number)
        assert found["highest"].tolist() == [1, 5]
        assert found["known"].tolist() == [0.0, 1.0, 2.0]


def test_no_thread_of_the_group_is_left_when_it_is_taken_down(folder) -> None:
    """One that is left may end its process with an abort."""
    for number in range(2):
        assert json.loads((folder / f"threads-{number}.json").read_text()) == []
