from __future__ import annotations

import math

import pytest

from delt_engine.config import SqueezeConfig
from delt_engine.config.students import EvaluateConfig
from delt_engine.models.networks import build_network
from delt_engine.training.trainer import learning_rate_at, student_optimizer, teacher_optimizer


def test_delt_recipe_ends_at_half_its_start():
    config = EvaluateConfig.for_recipe("delt")
    rates = [learning_rate_at(config, epoch, 0.001) for epoch in range(config.epochs + 1)]
    assert rates[0] == 0.001
    assert rates[-1] == pytest.approx(0.0005, rel=1e-12)
    assert rates[150] == pytest.approx(0.001 * 0.5 * (1 + math.cos(math.pi / 4)))
    assert all(later < earlier for earlier, later in zip(rates, rates[1:], strict=False))


def test_a_shortened_recipe_ends_there_as_well():
    config = EvaluateConfig.for_recipe("delt", epochs=30)
    assert learning_rate_at(config, 30, 0.2) == pytest.approx(0.1)
    assert learning_rate_at(config, 29, 0.2) > 0.1


def test_sre2l_recipe_ends_at_zero():
    config = EvaluateConfig.for_recipe("sre2l")
    assert learning_rate_at(config, 150, 1.0) == pytest.approx(0.5)
    assert learning_rate_at(config, 300, 1.0) == pytest.approx(0.0, abs=1e-15)


def test_edc_recipe_drops_at_800_900_and_950_of_1000():
    config = EvaluateConfig.for_recipe("edc")
    rates = {epoch: learning_rate_at(config, epoch, 1.0) for epoch in (0, 799, 800, 899, 900, 949, 950, 999)}
    expected = {0: 1.0, 799: 1.0, 800: 0.1, 899: 0.1, 900: 0.01, 949: 0.01, 950: 0.001, 999: 0.001}
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("network", ["convnet-3", "resnet18", "mobilenet_v3_small", "efficientnet_b0"])
def test_only_weights_of_more_than_one_dimension_decay_and_they_come_first(network, optimizer):
    model = build_network(network, 3, width=0.25 if network != "efficientnet_b0" else 1.0, image_size=32)
    wanted = [[w for w in model.parameters() if (w.ndim > 1) == is_first] for is_first in (True, False)]
    teacher = SqueezeConfig(optimizer=optimizer, weight_decay=0.3)
    student = EvaluateConfig(optimizer=optimizer, weight_decay=0.3, learning_rate=0.1)
    for made in (teacher_optimizer(model, teacher), student_optimizer(model, student)):
        assert [group["weight_decay"] for group in made.param_groups] == [0.3, 0.0]
        for group, weights in zip(made.param_groups, wanted, strict=True):
            assert [id(weight) for weight in group["params"]] == [id(weight) for weight in weights]
