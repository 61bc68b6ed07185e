"""Settings of pruning: which network, how its channels are chosen, and how long it is trained before and after.

Source: Liu et al., "Learning Efficient Convolutional Networks through Network Slimming" (2017); DELT Sec. 4.6 and
Table 7 take slimming of a VGG11-BN at 50 % and print no other setting.
"""

from __future__ import annotations

from typing import Literal

from delt_engine.config.settings import Settings, setting


class PruneConfig(Settings):
    """How a network is pruned with a set of images in place of its training data."""

    network: str = setting("vgg11_bn", more=False, source="DELT Table 7")
    """Network that is pruned, a chain of convolutions with BatchNorm: a VGG with BatchNorm, or convnet-3 to 6."""
    width: float | None = setting(None, gt=0, le=4, more=False)
    """Share of the network's published width; the one of the images' teacher when not given."""
    stem: Literal["auto", "small", "stock"] = setting("auto")
    """First layers of the network; auto picks small up to 64 px."""
    checkpoint: str = setting("")
    """Trained network to prune, a teacher by name or file; else one for the dataset that is there, else it is trained
    on the real data first and kept."""
    network_epochs: int = setting(20, ge=1, le=2000, source="ours")
    """Passes over the real data of a network that has to be trained first."""
    percent: float = setting(50.0, gt=0, lt=100, more=False, source="DELT Table 7")
    """Share of all channels that is cut, the smallest BatchNorm scales of the whole network first. Published slimming
    code counts channels; DELT writes "50% weights" and names no other way. A channel takes weights of two layers along,
    so the share of weights that stays is smaller; it is told beside."""
    least_percent: float = setting(10.0, title="Least kept of a layer", ge=0, lt=100, source="ours")
    """Share of each layer's channels that stays whatever its scales; 0 keeps one channel."""
    sparsity: float = setting(1e-4, ge=0, le=1, more=False, source="Liu et al. 2017 take 1e-4 for VGGs and ResNets")
    """Weight of the L1 norm of the BatchNorm scales in the sparsity training; 0 trains without it."""
    sparsity_epochs: int | None = setting(None, ge=0, le=100_000)
    """Passes over the images before channels are cut; as many as after when not given, 0 cuts at once."""
    epochs: int = setting(100, ge=1, le=100_000, more=False, source="ours")
    """Passes over the images of the fine-tuning, after channels are cut."""
    seeds: int = setting(1, ge=1, le=100, more=False)
    """Prunings, each from another seed; mean and spread are over them."""

    @property
    def epochs_before(self) -> int:
        """Epochs of the sparsity training.

        >>> PruneConfig(epochs=5).epochs_before, PruneConfig(epochs=5, sparsity_epochs=0).epochs_before
        (5, 0)
        """
        return self.epochs if self.sparsity_epochs is None else self.sparsity_epochs


TRAINING_SETTINGS = (
    "recipe",
    "batch_size",
    "optimizer",
    "momentum",
    "nesterov",
    "learning_rate",
    "weight_decay",
    "lr_schedule",
    "temperature",
    "loss",
    "cross_entropy_weight",
    "label_smoothing",
    "labels",
    "relabeller",
    "mix",
    "mix_alpha",
    "rand_augment",
    "cutout",
    "min_crop",
    "flip",
    "alternate_flips",
    "shuffle_patches",
    "precision",
    "graphs",
)
"""Settings of student training that both trainings of a pruning take: all but network, epochs, tests and stores."""
