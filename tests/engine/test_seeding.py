import numpy as np
import pytest
import torch

from delt_engine.seeding import generator


def draw(*keys: int | str) -> list[float]:
    return torch.rand(4, generator=generator(*keys)).tolist()


def test_same_keys_draw_the_same_numbers():
    assert draw(3, "crops", 1) == draw(3, "crops", 1)


@pytest.mark.parametrize(
    "other", [(4, "crops", 1, 2), (3, "noise", 1, 2), (3, "crops", 2, 1), (3, "crops", 12), (3, "crops", "1", 2)]
)
def test_any_other_key_draws_other_numbers(other):
    assert draw(3, "crops", 1, 2) != draw(*other)


def test_numpy_integers_count_as_plain_ones():
    assert draw(3, "crops", np.int64(5)) == draw(3, "crops", 5)


def test_the_seed_is_stable_over_processes_and_versions():
    assert generator(0, "crops", 0).initial_seed() == 3157901974585818262
    assert generator(7, "noise", 1, 2).initial_seed() == 6570944281016753572


def test_the_global_generator_is_left_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    draw(0, "crops")
    assert torch.equal(torch.random.get_rng_state(), before)
