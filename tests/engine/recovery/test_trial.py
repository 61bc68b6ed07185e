"""The trial doubles the number of batches while the rate rises, with the real loop, and leaves nothing behind."""

import pytest
import torch
from tiny_networks import SIZE, conv_net, prepared, teacher

from delt_engine.config import RecoverConfig
from delt_engine.recovery import trial
from delt_engine.recovery.speed import FastPath

CONFIG = RecoverConfig(ipc=2, iterations=400, round_iterations=100, batch_size=4)
CPU = torch.device("cpu")


def rates(most: int, seconds=None, config: RecoverConfig = CONFIG, network=None, fast=None) -> dict[int, float]:
    """Measure; each number of batches takes the next of ``seconds`` where they are given."""
    clock = {}
    if seconds is not None:
        ends = iter([moment for each in seconds for moment in (10.0, 10.0 + each)])
        clock = {"clock": lambda: next(ends)}
    return trial.pack_rates(
        prepared(network or teacher(conv_net())),
        config,
        fast or FastPath(fold=True),
        image_size=SIZE,
        device=CPU,
        most=most,
        num_classes=2,
        **clock,
    )


def test_the_number_is_doubled_until_the_rate_stays() -> None:
    # three iterations of 4, 8, 16 and 32 images
    found = rates(16, (1.0, 1.0, 1.92, 99.0))
    assert found == {1: 12.0, 2: 24.0, 4: pytest.approx(25.0)}
    assert trial.best_pack(found) == 2
    assert list(rates(16, (1.0, 1.0, 1.0, 1.0, 1.0))) == [1, 2, 4, 8, 16]
    assert list(rates(3, (1.0, 1.0))) == [1, 2]  # no more batches than there are


@pytest.mark.parametrize(
    ("found", "best"),
    [
        ({}, 1),
        ({1: 5.0}, 1),
        ({1: 100.0, 2: 50.0}, 1),
        ({1: 100.0, 2: 104.0}, 1),
        ({1: 100.0, 2: 106.0, 4: 110.0}, 2),
    ],
)
def test_the_smallest_number_wins_unless_another_is_clearly_faster(found, best) -> None:
    assert trial.best_pack(found) == best


def test_a_number_that_memory_does_not_hold_is_left_out(monkeypatch) -> None:
    loop = trial.recover

    def short_of_memory(images, *args, **values):
        if len(images) > 4:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return loop(images, *args, **values)

    monkeypatch.setattr(trial, "recover", short_of_memory)
    assert list(rates(8)) == [1]


@pytest.mark.parametrize(("batching", "each"), [("classes", 4), ("images", 4), ("one-per-class", 2)])
def test_full_batches_are_measured_with_all_images_joined(monkeypatch, batching, each) -> None:
    loop, seen = trial.recover, []

    def watched(images, labels, network, plan, config, rows, **values):
        seen.append((len(images), len(plan.members), values["fast"].pack))
        for step in loop(images, labels, network, plan, config, rows, **values):
            seen.append((step.joined, step.iteration))
            yield step

    monkeypatch.setattr(trial, "recover", watched)
    rates(2, (1.0, 0.5), CONFIG.replace(batching=batching))
    taken = range(trial.PREPARED + trial.TIMED)
    both = [(each, 1, 1), *((each, at) for at in taken), (2 * each, 2, 2), *((2 * each, at) for at in taken)]
    assert seen == both
