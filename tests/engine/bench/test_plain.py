"""The baseline of the benchmark ends in the images of the loop that reads like the paper."""

import pytest
import torch
from tiny_networks import batch, conv_net, prepared, teacher

from delt_engine.bench.plain import recover_as_published
from delt_engine.config import RecoverConfig
from delt_engine.recovery.reference import recover_plainly


def test_images_and_losses_are_those_of_the_reference_and_nothing_is_left_behind():
    config = RecoverConfig(ipc=4, iterations=12, round_iterations=3)
    plan, images, labels, rows = batch(config)
    arguments = (images.double(), labels, prepared(teacher(conv_net()).double()), plan, config, rows)
    before = arguments[0].clone()
    pairs = zip(recover_as_published(*arguments), recover_plainly(*arguments), strict=True)
    for number, (published, reference) in enumerate(pairs):
        assert published.joined == 3 * (number // 3 + 1)
        assert published.total_loss.item() == pytest.approx(reference.total_loss, rel=1e-9)
        torch.testing.assert_close(published.images, reference.images, rtol=0, atol=1e-8)
    assert torch.equal(arguments[0], before)
    assert not any(module._forward_hooks for module in arguments[2].network.modules())
