import math

import pytest
import torch
from torch.nn import functional

from delt_engine.config.students import EvaluateConfig
from delt_engine.errors import ConfigError
from delt_engine.training.students import student_loss


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    draws = torch.Generator().manual_seed(0)
    return {
        "student_logits": torch.randn(6, 4, generator=draws).mul(5).requires_grad_(),
        "soft_logits": torch.randn(6, 4, generator=draws).mul(5).requires_grad_(),
        "labels": torch.tensor([0, 1, 2, 3, 0, 1]),
        "partner_labels": torch.tensor([3, 2, 1, 0, 0, 2]),
        "share": torch.tensor(0.3),
    }


def torchs_own(student: torch.Tensor, soft: torch.Tensor, temperature: float) -> torch.Tensor:
    log_student = torch.log(torch.softmax(student / temperature, 1))
    return functional.kl_div(log_student, torch.softmax(soft / temperature, 1), reduction="batchmean")


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_kl_is_torchs_own_at_the_temperature(batch, temperature):
    loss = student_loss(EvaluateConfig(temperature=temperature), **batch)
    expected = torchs_own(batch["student_logits"], batch["soft_logits"], temperature)
    torch.testing.assert_close(loss, expected)
    scaled = student_loss(EvaluateConfig(temperature=temperature, loss="kl-t2"), **batch)
    torch.testing.assert_close(scaled, expected * temperature**2)


@pytest.mark.parametrize(
    ("config", "soft", "expected"),
    [
        # teacher 3/4 and 1/4, student 1/2 and 1/2: 3/4 ln(3/2) + 1/4 ln(1/2)
        (EvaluateConfig(temperature=1.0), [math.log(3), 0.0], 0.75 * math.log(1.5) + 0.25 * math.log(0.5)),
        # squared error (1 + 9) / 2; both classes at even odds: ln 2
        (EvaluateConfig.for_recipe("edc"), [1.0, 3.0], 5 + 0.025 * math.log(2)),
    ],
)
def test_losses_by_hand(config, soft, expected):
    loss = student_loss(config, torch.zeros(1, 2), torch.tensor([soft]), torch.tensor([1]), torch.tensor([0]), 0.6)
    assert loss.item() == pytest.approx(expected)


def test_gradients_reach_the_student_alone_and_are_torchs_own(batch):
    student_loss(EvaluateConfig(), **batch).backward()
    twin = batch["student_logits"].detach().requires_grad_()
    torchs_own(twin, batch["soft_logits"].detach(), 20.0).backward()
    torch.testing.assert_close(batch["student_logits"].grad, twin.grad)
    assert batch["soft_logits"].grad is None


def test_hard_labels_weigh_both_classes_by_their_share(batch):
    loss = student_loss(EvaluateConfig.for_recipe("hard"), **{**batch, "soft_logits": None})
    own = functional.cross_entropy(batch["student_logits"], batch["labels"])
    other = functional.cross_entropy(batch["student_logits"], batch["partner_labels"])
    torch.testing.assert_close(loss, 0.3 * own + 0.7 * other)


def test_smoothed_labels_are_mixed_with_equal_shares(batch):
    student, soft = batch["student_logits"], batch["soft_logits"].detach()
    hard = EvaluateConfig.for_recipe("hard", label_smoothing=0.2)
    own, other = (
        functional.cross_entropy(student, batch[name], label_smoothing=0.2) for name in ("labels", "partner_labels")
    )
    torch.testing.assert_close(student_loss(hard, **{**batch, "soft_logits": None}), 0.3 * own + 0.7 * other)
    loss = student_loss(EvaluateConfig(temperature=4.0, label_smoothing=0.2), **batch)
    wanted = 0.8 * torch.softmax(soft / 4, 1) + 0.2 / 4
    expected = functional.kl_div(torch.log_softmax(student / 4, 1), wanted, reduction="batchmean")
    torch.testing.assert_close(loss, expected)


def test_half_precision_is_summed_in_float32(batch):
    loss = student_loss(EvaluateConfig(), **{**batch, "student_logits": batch["student_logits"].bfloat16()})
    assert loss.dtype == torch.float32


def test_soft_losses_need_soft_labels(batch):
    with pytest.raises(ConfigError, match=r"loss: 'kl' given, but it needs soft labels"):
        student_loss(EvaluateConfig(), **{**batch, "soft_logits": None})
