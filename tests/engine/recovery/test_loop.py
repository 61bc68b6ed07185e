import pytest
import torch
from safetensors.torch import load, save
from tiny_networks import ResidualNet, batch, conv_net, prepared, teacher
from torch import nn

from delt_engine.config import RecoverConfig
from delt_engine.errors import ShapeError
from delt_engine.recovery.batches import plan_batches
from delt_engine.recovery.curriculum import crop_scale_at, learning_rate_at
from delt_engine.recovery.loop import BatchState, recover, start_noise

CONFIG = RecoverConfig(ipc=4, iterations=12, round_iterations=3)  # each class: one image a round, batch of 12


def steps_of(config=CONFIG, network=None, *, images=None, state=None, seed=0):
    plan, start, labels, rows = batch(config, seed)
    images = start if images is None else images
    network = teacher(conv_net()) if network is None else network
    return recover(images, labels, prepared(network), plan, config, rows, state=state)


def final(config=CONFIG, **values):
    *_, last = steps_of(config, **values)
    return last.state.images


def test_records_follow_the_schedule():
    steps = list(steps_of())
    assert [step.iteration for step in steps] == list(range(12))
    assert [step.round_number for step in steps] == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
    assert [step.joined for step in steps] == [3, 3, 3, 6, 6, 6, 9, 9, 9, 12, 12, 12]
    assert [step.iteration for step in steps if step.ends_round] == [2, 5, 8, 11]
    assert [step.learning_rate for step in steps] == [learning_rate_at(s, 12, 0.25) for s in range(12)]
    assert [step.crop_scale for step in steps] == [crop_scale_at(s, 12) for s in range(12)]


def test_each_image_s_cross_entropy_is_told_and_its_mean_is_the_loss():
    network, rows = teacher(conv_net()), batch(CONFIG)[3]
    start, labels = batch(CONFIG)[1:3]
    for step in steps_of(network=network):
        each = step.ce_losses()
        assert each.shape == (step.joined,)
        assert not each.requires_grad
        assert each.mean().item() == pytest.approx(step.ce_loss.item(), rel=1e-5)
        if step.iteration == 0:
            crops = start[:3].flip(-1) if rows[0, 4] else start[:3]
            expected = [nn.functional.cross_entropy(network(crops)[i], labels[i]).item() for i in range(3)]
            assert each.tolist() == pytest.approx(expected, rel=1e-5)


def test_late_images_do_not_move_before_their_round_and_joined_ones_do():
    start, seen = 3 * batch(CONFIG)[1], []  # noise may lie outside the valid range, and waits there unclipped
    for step in steps_of(images=start):
        assert torch.equal(step.state.images[step.joined :], start[step.joined :])
        assert step.state.exp_avg_sq[step.joined :].abs().sum() == 0
        seen.append((step.state.images[: step.joined] != start[: step.joined]).flatten(1).any(1).all().item())
    assert all(seen)
    assert torch.equal(start, 3 * batch(CONFIG)[1])


def test_total_loss_falls():
    config = CONFIG.replace(early_late=False, iterations=30, round_iterations=30, min_crop=1.0)
    losses = [step.losses()[2] for step in steps_of(config, teacher(ResidualNet()))]
    assert losses[-1] < 0.6 * losses[0]


@pytest.mark.parametrize("network", [conv_net, ResidualNet])
def test_same_seed_same_images(network):
    network = teacher(network())
    assert torch.equal(final(network=network), final(network=network))
    assert not torch.equal(final(network=network), final(network=network, seed=1))


CHANGES = [{}, {"adam_counters": "per-image"}, {"restart_rounds": True, "jitter": 2}, {"remix": 0.25}]


@pytest.mark.parametrize("changes", CHANGES)
@pytest.mark.parametrize("stop", range(13))
def test_resuming_at_any_iteration_gives_the_same_bits(changes, stop):
    config, network = CONFIG.replace(**changes), teacher(ResidualNet())
    whole = final(config, network=network)
    state = BatchState.start(batch(config)[1])
    steps = steps_of(config, network)
    for _ in range(stop):
        state = next(steps).state
    steps.close()
    assert state.iteration == stop
    kept = BatchState.from_tensors(load(save(state.to_tensors())))
    before = kept.images.clone()
    start = batch(config)[1] if config.remix else torch.zeros_like(before)  # else they are in the state
    again = [step.state.images for step in steps_of(config, network, images=start, state=kept)]
    assert torch.equal(again[-1] if again else kept.images, whole)
    assert torch.equal(kept.images, before)
    assert len(again) == 12 - stop


def test_a_state_does_not_change_with_the_next_steps_nor_with_a_loop_that_is_given_it():
    steps = steps_of()
    live = next(steps).state
    kept = live.to_tensors()
    before = {name: tensor.clone() for name, tensor in kept.items()}
    next(steps_of(state=live))
    assert all(torch.equal(tensor, before[name]) for name, tensor in live.to_tensors().items())
    next(steps)
    assert all(torch.equal(kept[name], before[name]) for name in kept)
    assert all(tensor.is_contiguous() for tensor in kept.values())


def test_remix_gives_back_the_start_image_when_a_round_begins_and_nowhere_else(monkeypatch):
    monkeypatch.setattr("delt_engine.recovery.loop._adam_step", lambda *_: None)  # all that moves is what is mixed
    start = torch.zeros_like(batch(CONFIG)[1])
    begun = BatchState.start(start)
    begun.images[:3] = 0.5  # of round 1
    steps = steps_of(CONFIG.replace(remix=0.25), images=start, state=begun)
    for step in steps:
        images, left = step.state.images, 0.5 * 0.75 ** (step.iteration // 3)  # mixed before 3, 6, 9, not at the end
        assert torch.equal(images[3:], start[3:])
        torch.testing.assert_close(images[:3], torch.full_like(images[:3], left))
    assert all(torch.equal(step.state.images, begun.images) for step in steps_of(images=start, state=begun))


def test_a_batch_that_starts_late_keeps_the_numbers_of_the_run():
    config = CONFIG.replace(batching="images", batch_size=6)
    early, late = plan_batches(3, config)
    _, images, labels, rows = batch(config)
    steps = list(recover(images, labels, prepared(teacher(conv_net())), late, config, rows))
    assert [step.iteration for step in steps] == list(range(6, 12))
    assert [step.joined for step in steps] == [3, 3, 3, 6, 6, 6]
    assert steps[0].round_number == 3
    assert steps[0].learning_rate == learning_rate_at(6, 12, 0.25)


def first_move(config: RecoverConfig, image: int) -> float:
    """Return how far an image goes in its first step, in units of that step's learning rate (median pixel)."""
    start = batch(config)[1]
    for step in steps_of(config):
        if step.joined > image:
            moved = (step.state.images[image] - start[image]).abs()
            return (moved[moved > 0] / step.learning_rate).median().item()
    raise AssertionError


def test_late_images_start_with_larger_steps_as_published_or_with_their_own_counter():
    published, own = CONFIG, CONFIG.replace(adam_counters="per-image")
    # Without bias correction a first step is (1 - beta1) / sqrt(1 - beta2) = 1.58 times lr, less what t = 4 corrects.
    late = (1 - 0.5) / (1 - 0.5**4) / ((1 - 0.9) / (1 - 0.9**4)) ** 0.5
    assert first_move(published, 0) == pytest.approx(1.0, abs=0.01)
    assert first_move(published, 3) == pytest.approx(late, abs=0.01)
    assert first_move(own, 3) == pytest.approx(1.0, abs=0.01)


def test_closing_the_loop_puts_the_teacher_back():
    network = teacher(conv_net()).train().requires_grad_()
    steps = steps_of(network=network)
    next(steps)
    assert not network.training
    steps.close()
    assert network.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_wrong_shapes_are_named():
    plan, images, labels, rows = batch(CONFIG)
    network = prepared(teacher(conv_net()))
    with pytest.raises(ShapeError, match=r"images: shape \(11, 3, 8, 8\) given, but the batch needs \(12, 3, H, W\)"):
        next(recover(images[1:], labels, network, plan, CONFIG, rows))
    with pytest.raises(ShapeError, match=r"labels: shape \(11,\) given"):
        next(recover(images, labels[1:], network, plan, CONFIG, rows))
    with pytest.raises(ShapeError, match=r"crop_rows: shape \(11, 7\) given, but MI = 12"):
        next(recover(images, labels, network, plan, CONFIG, rows[1:]))
    with pytest.raises(ShapeError, match=r"state: images of shape \(6, 3, 8, 8\) given"):
        next(recover(images, labels, network, plan, CONFIG, rows, state=BatchState.start(images[:6])))


def test_a_broken_state_is_named():
    tensors = BatchState.start(torch.zeros(2, 3, 4, 4)).to_tensors()
    with pytest.raises(ShapeError, match="state: exp_avg missing"):
        BatchState.from_tensors({name: tensor for name, tensor in tensors.items() if name != "exp_avg"})
    with pytest.raises(ShapeError, match=r"exp_avg_sq: shape \(1, 3, 4, 4\) given, but it must be \(2, 3, 4, 4\)"):
        BatchState.from_tensors({**tensors, "exp_avg_sq": torch.zeros(1, 3, 4, 4)})


def test_start_noise_is_normal_and_the_same_however_it_is_batched():
    config = CONFIG.replace(batch_size=4)
    small, (whole,) = plan_batches(3, config), plan_batches(3, CONFIG)
    noise = start_noise(whole, 16, seed=5)
    by_slot = dict(zip(whole.slots, noise, strict=True))
    for plan in small:
        for slot, image in zip(plan.slots, start_noise(plan, 16, seed=5), strict=True):
            assert torch.equal(image, by_slot[slot])
    assert noise.shape == (12, 3, 16, 16)
    assert abs(noise.mean().item()) < 0.05
    assert abs(noise.std().item() - 1) < 0.05
    assert len({image.sum().item() for image in noise}) == 12
    assert not torch.equal(noise, start_noise(whole, 16, seed=6))
