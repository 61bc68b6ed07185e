"""The card of a teacher that is nowhere, and files with a card but no weights."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from delt_engine.models.card import CARD_KEY, TeacherCard, read_card
from delt_engine.paths import assets_dir

CARD = replace(
    read_card(assets_dir() / "teachers" / "photos.safetensors"),
    **{"name": "made", "num_classes": 2, "class_names": ("cat", "été"), "dataset_fingerprint": "d1", "accuracy": 94.5},
    **{"fingerprint": "f1", "source": "delt squeeze, seed 0"},
)


def write_card(path: Path, card: TeacherCard = CARD, **changes: Any) -> Path:
    """Write a safetensors file of no weights by the format's own rules."""
    values = json.loads(card.to_json()) | changes
    header = json.dumps({"__metadata__": {CARD_KEY: json.dumps(values)}}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    return path
