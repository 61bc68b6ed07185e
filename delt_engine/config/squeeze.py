"""Settings of the squeeze: how a teacher is trained on the real data."""

from __future__ import annotations

from typing import Any, Literal

from delt_engine.config.settings import Settings, setting


class SqueezeConfig(Settings):
    """How a teacher is trained on the real data."""

    network: str = setting("resnet18", more=False)
    """Network of the teacher: a name of torchvision or timm, or convnet-3 to convnet-6."""
    width: float = setting(1.0, gt=0, le=4, more=False)
    """Share of the network's published width; 0.25 suits a CPU."""
    stem: Literal["auto", "small", "stock"] = setting("auto")
    """First layers: small is a 3x3 stem without max-pool, stock is as published; auto picks small up to 64 px."""
    epochs: int = setting(20, ge=1, le=2000, more=False)
    """Passes over the training images."""
    batch_size: int = setting(128, ge=2, le=8192)
    """Images in one training step."""
    optimizer: Literal["sgd", "adamw"] = setting("sgd", title="Optimiser")
    """sgd uses Nesterov momentum 0.9."""
    learning_rate: float = setting(0.1, gt=0, le=10)
    """Highest learning rate."""
    weight_decay: float = setting(5e-4, ge=0, le=1)
    """Weight decay."""
    schedule: Literal["one-cycle", "cosine"] = setting("one-cycle")
    """How the learning rate moves."""
    label_smoothing: float = setting(0.0, ge=0, lt=1)
    """Share of the label spread over all classes."""
    min_crop: float = setting(0.6, title="Smallest crop", gt=0, le=1)
    """Smallest area share of a random crop; 1 turns crops off."""
    flip: bool = setting(True, title="Flips")
    """Mirror half of the images."""
    precision: Literal["auto", "float32", "bfloat16"] = setting("auto")
    """Number format of the training step; auto is bfloat16 on a GPU, float32 elsewhere."""

    @property
    def checkpoint(self) -> dict[str, Any]:
        """Network, width and stem of a checkpoint that does not say them itself, as its loader takes them."""
        return {"network": self.network, "width": self.width, "stem": None if self.stem == "auto" else self.stem}
