"""A teacher's answers for the classes of a set: those of its logits, in the set's order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from delt_engine.errors import CheckpointError


class SelectedClasses(nn.Module):
    """A network whose logits are those of some classes of another one.

    Softmax over them is the teacher's distribution given that the image is of one of these classes.
    """

    def __init__(self, network: nn.Module, columns: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        device = next(network.parameters()).device
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.int64, device=device), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(B, K)`` of images ``(B, 3, S, S)``."""
        return self.network(images)[:, self.columns]


def teacher_for(network: nn.Module, known: Sequence[str], wanted: Sequence[str]) -> nn.Module:
    """Return a teacher whose logits are those of ``wanted``, found by name.

    Args:
        network: the teacher; returned as it is when it has exactly these classes in this order.
        known: its classes, in order.
        wanted: the classes of the training images, in order; a run of some classes has fewer than its teacher.

    Raises:
        CheckpointError: a class the teacher does not know.
    """
    if tuple(known) == tuple(wanted):
        return network
    position = {name: number for number, name in enumerate(known)}
    unknown = [name for name in wanted if name not in position]
    if unknown:
        raise CheckpointError(f"teacher: it does not know the class {unknown[0]!r}, which the images have.")
    mode = network.training
    return SelectedClasses(network, [position[name] for name in wanted]).train(mode)
