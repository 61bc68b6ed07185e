import pytest
import torch

from delt_engine.config import RecoverConfig
from delt_engine.lab.iteration import signed_u8, take_apart
from delt_engine.models.teachers import load_teacher
from delt_engine.recovery.augment import crop_plan
from delt_engine.recovery.batches import plan_batches
from delt_engine.recovery.folding import PreparedTeacher
from delt_engine.recovery.loop import BatchState, recover
from delt_engine.seeding import generator

pytest_plugins = ["tiny_world"]

MEAN, STD = (0.4, 0.4, 0.4), (0.3, 0.3, 0.3)


@pytest.fixture
def network(tiny_teacher) -> torch.nn.Module:
    return load_teacher(str(tiny_teacher)).network


def setup(**values):
    config = RecoverConfig(ipc=2, iterations=6, round_iterations=3, **values)
    (plan,) = plan_batches(3, config)
    images = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([slot.class_index for slot in plan.slots])
    rows = crop_plan(config, 8, generator(0, "crops", 0))
    return config, plan, images, labels, rows


@pytest.mark.parametrize("counters", ["shared", "per-image"])
def test_every_iteration_ends_as_the_loop_ends_it(counters, network) -> None:
    config, plan, images, labels, rows = setup(adam_counters=counters)
    state = BatchState.start(images)
    for step in recover(images, labels, PreparedTeacher(network, MEAN, STD), plan, config, rows):
        apart = take_apart(state, labels, network, plan, config, rows, mean=MEAN, std=STD)
        assert len(apart.after) == step.joined
        torch.testing.assert_close(apart.after, step.state.images[: step.joined], atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(apart.ce_loss, step.ce_loss)
        torch.testing.assert_close(apart.bn_loss, step.bn_loss)
        torch.testing.assert_close(apart.ce_each.mean(), step.ce_loss)
        assert (apart.learning_rate, apart.crop_scale) == (step.learning_rate, step.crop_scale)
        state = BatchState.from_tensors(step.state.to_tensors())


def test_the_gradients_stay_inside_the_crop_and_add_up(network) -> None:
    config, plan, images, labels, rows = setup(curriculum="constant", max_crop=0.5)
    before = images.clone()
    apart = take_apart(BatchState.start(images), labels, network, plan, config, rows, mean=MEAN, std=STD)
    top, left, height, width = apart.crop_row[:4]
    outside = apart.gradient.clone()
    outside[:, :, top : top + height, left : left + width] = 0
    assert outside.abs().max() == 0
    assert apart.gradient.abs().max() > 0
    torch.testing.assert_close(apart.gradient, apart.ce_gradient + apart.bn_gradient)
    assert torch.equal(images, before)
    assert not network._forward_hooks
    assert not network._forward_pre_hooks


def test_clipped_values_are_those_that_left_the_valid_pixels(network) -> None:
    config, plan, images, labels, rows = setup(learning_rate=10.0)
    apart = take_apart(BatchState.start(images), labels, network, plan, config, rows, mean=MEAN, std=STD)
    beyond = apart.before + apart.update
    assert apart.clipped.any()
    assert torch.equal(apart.clipped, beyond != apart.after)
    assert torch.equal(apart.after[~apart.clipped], beyond[~apart.clipped])


def test_signed_pictures_have_grey_at_zero_and_the_same_reach_both_ways() -> None:
    values = torch.zeros(1, 3, 2, 2)
    values[0, 0, 0, 0], values[0, 1, 0, 0] = 2.0, -1.0
    image_u8, scale = signed_u8(values)
    assert scale.tolist() == [2.0]
    assert image_u8[0, 0, 0].tolist() == [255, 64, 128]
    assert signed_u8(torch.zeros(1, 3, 2, 2))[0].max() == 128
