from __future__ import annotations

import math

import pytest

from delt_engine.config.students import EvaluateConfig
from delt_engine.training.rates import learning_rate_at


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
