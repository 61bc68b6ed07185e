"""Training a student as published code runs it: what the engine's training is measured against.

Written for reading: every image of a batch is cropped, resized and mirrored by itself, the batch is stacked,
normalised and mixed, the teacher says its logits of it, and torch.optim.AdamW goes over the weights one by one. The
order in memory is PyTorch's own. What is random comes from a plan drawn before, so both trainings see the same.

Source: DELT evaluation/validation/main.py ``train``.
Differs: images lie in memory, where published code opens a file for each; the training accuracy, for which published
code runs the student a second time, is left out on both sides.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from delt_engine.config.students import EvaluateConfig
from delt_engine.training.draws import EpochDraws
from delt_engine.training.image_table import ImageTable


def train_as_published(
    network: nn.Module,
    teacher: nn.Module | None,
    table: ImageTable,
    config: EvaluateConfig,
    draws: EpochDraws,
    device: torch.device,
) -> Iterator[Tensor]:
    """Train a student, which is in train mode, for an epoch, and yield the loss of every step.

    Args:
        teacher: gives soft labels; None for hard ones.
        config: resolved, without RandAugment.
        draws: what happens to each image.
    """
    assert config.learning_rate is not None, "the settings are resolved"
    assert config.batch_size is not None, "the settings are resolved"
    weights = list(network.parameters())
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},  # biases and BatchNorm
    ]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.999), foreach=False)
    mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (table.mean, table.std))
    for batch in draws.batches(config.batch_size):
        shown = []
        for row, index in enumerate(batch.order.tolist()):
            pixels = torch.from_numpy(table.image_u8[index]).permute(2, 0, 1).float() / 255
            top, left, height, width = batch.crop[row].tolist()
            pixels = pixels[:, top : top + height, left : left + width]
            pixels = F.interpolate(pixels[None], (table.image_size, table.image_size), mode="bilinear")[0]
            shown.append(pixels.flip(-1) if batch.flip[row] else pixels)
        images = (torch.stack(shown).to(device) - mean) / std
        labels = torch.from_numpy(table.labels)[batch.order].to(device)
        partner = batch.partner.to(device)
        top, left, height, width = batch.box
        mixed = images.clone()
        box = (..., slice(top, top + height), slice(left, left + width))
        mixed[box] = images[partner][box]
        logits = network(mixed)
        if teacher is None:
            own, other = F.cross_entropy(logits, labels), F.cross_entropy(logits, labels[partner])
            loss = batch.share * own + (1 - batch.share) * other
        else:
            with torch.no_grad():
                soft = F.log_softmax(teacher(mixed) / config.temperature, dim=1)
            student = F.log_softmax(logits / config.temperature, dim=1)
            loss = F.kl_div(student, soft, reduction="batchmean", log_target=True)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.detach()
