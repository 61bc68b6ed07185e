"""Two real ranks that train one network: the weights of one process where nothing but the order of sums differs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from waiting import PATIENCE_S

from delt_engine.training.distributed import ALONE
from tests import two_ranks

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
    losses, _, accuracies = of_rank(folder, "squeezed", 0)["told"].T
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
