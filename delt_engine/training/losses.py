"""What a student is trained towards: the teacher's soft labels, or the class itself.

Shapes: B images in a batch, K classes. Sums are taken in float32 whatever the network computed in.

Source: published evaluation code of SRe2L, RDED and DELT (Kullback-Leibler divergence at a temperature, averaged over
the batch, not multiplied by the temperature's square); Hinton et al., "Distilling the Knowledge in a Neural Network"
Sec. 2 (the square keeps the gradient's size); EDC (squared error of the logits and a little cross-entropy).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from delt_engine.config.students import EvaluateConfig
from delt_engine.errors import ConfigError


def student_loss(
    config: EvaluateConfig,
    student_logits: Tensor,
    soft_logits: Tensor | None,
    labels: Tensor,
    partner_labels: Tensor,
    share: float | Tensor,
) -> Tensor:
    """Return the loss of one batch.

    Args:
        config: which loss, its temperature and weights.
        student_logits: (B, K).
        soft_logits: (B, K) what the teacher says of the same mixed images; None for hard labels.
        labels: int64 (B,), the class of each image.
        partner_labels: int64 (B,), the class of the image it is mixed with.
        share: how much of each mixed image is its own, in [0, 1].

    Returns:
        A scalar in float32; gradients go to the student alone.

    Raises:
        ConfigError: the loss needs soft labels and there are none.
    """
    student = student_logits.float()
    if config.loss == "ce":
        return mixed_cross_entropy(student, labels, partner_labels, share)
    if soft_logits is None:
        raise ConfigError(f"loss: {config.loss!r} given, but it needs soft labels; hard labels go with 'ce'.")
    soft = soft_logits.detach().float()
    if config.loss == "mse-ce":
        cross_entropy = mixed_cross_entropy(student, labels, partner_labels, share)
        return functional.mse_loss(student, soft) + config.cross_entropy_weight * cross_entropy
    divergence = soft_divergence(student, soft, config.temperature)
    return divergence * config.temperature**2 if config.loss == "kl-t2" else divergence


def soft_divergence(student_logits: Tensor, soft_logits: Tensor, temperature: float) -> Tensor:
    """Return the mean over the batch of KL(teacher || student), both softened by ``temperature``."""
    log_student = functional.log_softmax(student_logits / temperature, dim=1)
    log_teacher = functional.log_softmax(soft_logits / temperature, dim=1)
    return functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)


def mixed_cross_entropy(logits: Tensor, labels: Tensor, partner_labels: Tensor, share: float | Tensor) -> Tensor:
    """Return the mean cross-entropy with both classes of a mixed image, each by its share.

    Source: Yun et al., "CutMix" Eq. 1.
    """
    log_probs = functional.log_softmax(logits, dim=1)
    own = log_probs.gather(1, labels[:, None])
    other = log_probs.gather(1, partner_labels[:, None])
    return -(torch.as_tensor(share, device=logits.device) * own + (1 - share) * other).mean()
