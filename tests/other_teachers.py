"""Teachers beside the tiny world's own: with moved weights, and with more classes than the tiny data has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from tiny_data import tiny_dataset

from delt_engine.models.card import TeacherCard, read_card
from delt_engine.models.checkpoints import save_teacher
from delt_engine.models.networks import build_network
from delt_engine.models.teachers import load_teacher
from delt_engine.paths import teachers_dir


def moved(name: str, by: float = 0.05) -> TeacherCard:
    """Save the tiny teacher with other weights."""
    teacher = load_teacher("colours", dataset=tiny_dataset())
    torch.manual_seed(5)
    with torch.no_grad():
        for weight in teacher.network.parameters():
            weight.add_(by * torch.randn_like(weight))
    return _saved(name, teacher.network, teacher.card)


def of_more_classes(name: str) -> TeacherCard:
    """Save the tiny teacher with its classes in another order and one more among them."""
    teacher = load_teacher("colours", dataset=tiny_dataset())
    card = replace(teacher.card, num_classes=4, class_names=("blue", "white", "red", "green"))
    network = build_network(card.network, 4, width=card.width, stem=card.stem, image_size=card.image_size)
    state = dict(teacher.network.state_dict())
    for key, value in state.items():
        if value.dim() and value.shape[0] == 3 and network.state_dict()[key].shape[0] == 4:
            state[key] = torch.stack([value[2], value[0] - 1, value[0], value[1]])
    network.load_state_dict(state)
    return _saved(name, network, card)


def _saved(name: str, network: torch.nn.Module, card: TeacherCard) -> TeacherCard:
    path = teachers_dir() / f"{name}.safetensors"
    save_teacher(Path(path), network, card)
    return read_card(path)
