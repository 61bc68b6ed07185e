"""Settings of the squeeze: how a teacher is trained on the real data."""

from __future__ import annotations

from typing import Any, Literal

from delt_engine.config.settings import Settings, setting


class SqueezeConfig(Settings):
    """How a teacher is trained on the real data."""

    network: str = setting(
        "resnet18",
        "Network of the teacher: a name of torchvision or timm, or convnet-3 to convnet-6.",
        title="Network",
        more=False,
    )
    width: float = setting(
        1.0, "Share of the network's published width; 0.25 suits a CPU.", title="Width", gt=0, le=4, more=False
    )
    stem: Literal["auto", "small", "stock"] = setting(
        "auto",
        "First layers: small is a 3x3 stem without max-pool, stock is as published; auto picks small up to 64 px.",
        title="Stem",
    )
    epochs: int = setting(20, "Passes over the training images.", title="Epochs", ge=1, le=2000, more=False)
    batch_size: int = setting(128, "Images in one training step.", title="Batch size", ge=2, le=8192)
    optimizer: Literal["sgd", "adamw"] = setting("sgd", "sgd uses Nesterov momentum 0.9.", title="Optimiser")
    learning_rate: float = setting(0.1, "Highest learning rate.", title="Learning rate", gt=0, le=10)
    weight_decay: float = setting(5e-4, "Weight decay.", title="Weight decay", ge=0, le=1)
    schedule: Literal["one-cycle", "cosine"] = setting("one-cycle", "How the learning rate moves.", title="Schedule")
    label_smoothing: float = setting(
        0.0, "Share of the label spread over all classes.", title="Label smoothing", ge=0, lt=1
    )
    min_crop: float = setting(
        0.6, "Smallest area share of a random crop; 1 turns crops off.", title="Smallest crop", gt=0, le=1
    )
    flip: bool = setting(True, "Mirror half of the images.", title="Flips")
    precision: Literal["auto", "float32", "bfloat16"] = setting(
        "auto", "Number format of the training step; auto is bfloat16 on a GPU, float32 elsewhere.", title="Precision"
    )

    @property
    def checkpoint(self) -> dict[str, Any]:
        """Network, width and stem of a checkpoint that does not say them itself, as its loader takes them."""
        return {"network": self.network, "width": self.width, "stem": None if self.stem == "auto" else self.stem}
