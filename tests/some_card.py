"""The card of a teacher that is nowhere."""

from dataclasses import replace

from delt_engine.models.card import read_card
from delt_engine.paths import assets_dir

CARD = replace(
    read_card(assets_dir() / "teachers" / "photos.safetensors"),
    **{"name": "made", "num_classes": 2, "class_names": ("cat", "été"), "dataset_fingerprint": "d1", "accuracy": 94.5},
    **{"fingerprint": "f1", "source": "delt squeeze, seed 0"},
)
