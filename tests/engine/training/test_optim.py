import copy
import math

import pytest
import timm
import torch
from torch import nn
from torchvision.models import get_model, list_models

from delt_engine.config import SqueezeConfig
from delt_engine.config.students import EvaluateConfig
from delt_engine.models.networks import build_network
from delt_engine.training.trainer import learning_rate_at, student_optimizer, teacher_optimizer


@pytest.mark.parametrize(
    ("recipe", "epochs", "expected"),
    [
        ("delt", 300, {0: 1.0, 150: 0.5 * (1 + math.cos(math.pi / 4)), 300: 0.5}),  # ends at half its start
        ("delt", 30, {0: 1.0, 30: 0.5}),
        ("sre2l", 300, {150: 0.5, 300: 0.0}),
        ("edc", 1000, {0: 1.0, 799: 1.0, 800: 0.1, 899: 0.1, 900: 0.01, 949: 0.01, 950: 0.001, 999: 0.001}),
    ],
)
def test_learning_rates_of_the_recipes(recipe, epochs, expected):
    config = EvaluateConfig.for_recipe(recipe, epochs=epochs)
    found = {epoch: learning_rate_at(config, epoch, 1.0) for epoch in expected}
    assert found == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("settings", "plain"),
    [
        ({"optimizer": "sgd", "momentum": 0.8, "nesterov": False}, lambda w: torch.optim.SGD(w, 0.1, momentum=0.8)),
        (
            {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
            lambda w: torch.optim.SGD(w, 0.1, momentum=0.9, nesterov=True),
        ),
        ({"optimizer": "sgd", "momentum": 0.0, "nesterov": True}, lambda w: torch.optim.SGD(w, 0.1)),
        ({"optimizer": "adam"}, lambda w: torch.optim.Adam(w, 0.1)),
        ({"optimizer": "adamw"}, lambda w: torch.optim.AdamW(w, 0.1)),
    ],
)
def test_every_optimiser_steps_as_torchs_own(settings, plain):
    """With the weight decay on the weights of two dimensions alone."""
    draws = torch.Generator().manual_seed(0)
    model = nn.Linear(3, 2)
    for kind, make in ((SqueezeConfig, teacher_optimizer), (EvaluateConfig, student_optimizer)):
        ours, theirs = copy.deepcopy(model), copy.deepcopy(model)
        groups = [{"params": [theirs.weight], "weight_decay": 0.3}, {"params": [theirs.bias], "weight_decay": 0.0}]
        pair = ((ours, make(ours, kind(learning_rate=0.1, weight_decay=0.3, **settings))), (theirs, plain(groups)))
        for _ in range(3):
            images = torch.randn(4, 3, generator=draws)
            for network, optimizer in pair:
                optimizer.zero_grad()
                network(images).square().sum().backward()
                optimizer.step()
        torch.testing.assert_close(list(ours.parameters()), list(theirs.parameters()))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
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


@pytest.mark.parametrize(
    ("network", "free"),
    [
        ("vit_b_16", {"class_token", "encoder.pos_embedding"}),
        ("deit_tiny_patch16_224", {"cls_token", "pos_embed"}),
        ("swin_v2_t", {f"features.1.{block}.attn.logit_scale" for block in (0, 1)}),
    ],
)
def test_what_is_no_weight_by_its_name_does_not_decay(network, free):
    with torch.device("meta"):
        model = get_model(network) if network in list_models() else timm.create_model(network)
    names = {id(weight): name for name, weight in model.named_parameters()}
    decaying, others = student_optimizer(model, EvaluateConfig(learning_rate=0.1, optimizer="sgd")).param_groups
    assert free <= {names[id(weight)] for weight in others["params"]}
    assert all("weight" in names[id(weight)] and weight.ndim > 1 for weight in decaying["params"])
    assert len(decaying["params"]) + len(others["params"]) == len(names)
