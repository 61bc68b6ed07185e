import pytest
import torch

from delt_engine.config import RecoverConfig, field_specs
from delt_engine.recovery.curriculum import crop_scale_at, learning_rate_at


def test_cosine_bounds_at_the_start_of_the_eight_rounds() -> None:
    published = [1.0, 0.965, 0.865, 0.716, 0.54, 0.364, 0.215, 0.115]
    assert [crop_scale_at(s, 4000)[0] for s in range(0, 4000, 500)] == pytest.approx(published, abs=5e-4)


def test_learning_rate_equals_torch_cosine() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.25)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=40)
    for s in range(40):
        assert learning_rate_at(s, 40, 0.25) == pytest.approx(scheduler.get_last_lr()[0], abs=1e-9)
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize(
    ("curriculum", "iteration", "expected"),
    [
        ("linear", 0, (1.0, 1.0)),
        ("linear", 25, (0.54, 1.0)),
        ("linear", 50, (0.08, 1.0)),
        ("cosine", 25, (0.54, 1.0)),
        ("cosine", 99, (0.08, 1.0)),
        ("step", 49, (1.0, 1.0)),
        ("step", 50, (1.0, 1.0)),  # Algorithm 1: s <= T
        ("step", 51, (0.08, 1.0)),
        ("reverse", 50, (0.08, 1.0)),
        ("reverse", 51, (1.0, 1.0)),
        ("constant", 0, (0.08, 1.0)),
        ("constant", 99, (0.08, 1.0)),
    ],
)
def test_bounds_with_the_milestone_at_half(curriculum, iteration, expected) -> None:
    assert crop_scale_at(iteration, 100, curriculum, milestone=0.5) == pytest.approx(expected)


def test_a_milestone_that_floating_point_puts_below_its_iteration_is_still_reached() -> None:
    assert 0.29 * 100 < 29
    assert [crop_scale_at(s, 100, "step", milestone=0.29)[0] for s in (29, 30)] == [1.0, 0.08]
    assert crop_scale_at(29, 100, "linear", milestone=0.29) == (0.08, 1.0)


def test_constant_easy_and_hard_are_bounds_that_do_not_move() -> None:
    assert {crop_scale_at(s, 10, "constant", min_crop=0.6) for s in range(10)} == {(0.6, 1.0)}
    assert {crop_scale_at(s, 10, "constant", max_crop=0.4) for s in range(10)} == {(0.08, 0.4)}


CURRICULA = next(spec.choices for spec in field_specs(RecoverConfig) if spec.name == "curriculum")


@pytest.mark.parametrize("curriculum", CURRICULA)
@pytest.mark.parametrize("milestone", [0.1, 0.5, 1.0])
def test_bounds_stay_inside_the_range(curriculum, milestone) -> None:
    for s in range(50):
        low, high = crop_scale_at(s, 50, curriculum, milestone, 0.2, 0.9)
        assert 0.2 <= low <= high <= 0.9
