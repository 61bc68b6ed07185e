"""The lesson on batch-to-batch and batch-to-global matching: the runs it holds beside each other, and its words.

Source: DELT Fig. 3, Eq. 1-2, Sec. 3.1 and the introduction's account of both mechanisms.
"""

from __future__ import annotations

from delt_engine.config import Experiment, RecoverConfig

METHODS = ("sre2l-init", "dm", "dc")
"""What stands side by side: batch to global first. All start from the same real patches."""

DATASET, CLASSES, IPC = "photos", ("astronaut", "cat", "coffee"), 2
ITERATIONS, PICTURED, REAL_BATCH = 40, 10, 64

MATCHED = {
    "sre2l-init": "The teacher's BatchNorm statistics of the whole dataset, and its cross-entropy",
    "dm": "Mean features of a real batch of the class, under a new random ConvNet each iteration",
    "dc": "Weight gradients of a real batch of the class, under a ConvNet that is trained along",
}
"""What each of the methods compares its synthetic images with."""

TO_BATCH = (
    "**Batch to batch.** A batch of real images and the synthetic ones of their class go through the same random "
    "network, and what the two leave there is brought together. Every iteration needs real images again."
)
TO_GLOBAL = (
    "**Batch to global.** A teacher was trained once, and its BatchNorm layers remember mean and variance of the whole "
    "dataset. The synthetic images are fitted to these numbers, and no real image is needed any more."
)


def lesson_experiment(method: str) -> Experiment:
    """Return the run of a method: three photographs, two images each, so that it takes seconds.

    Image learning rates, networks and loops are the published ones; iterations and real images are few.
    """
    size = {"iterations": ITERATIONS, "round_iterations": PICTURED}
    config = RecoverConfig.for_method(method, ipc=IPC, initialization="patches", **size)
    if config.is_batch_to_batch:
        config = config.replace(real_batch=REAL_BATCH)
    return Experiment(dataset=DATASET, classes=CLASSES, recover=config)


def real_images(config: RecoverConfig, num_classes: int) -> int:
    """Return how many real images an iteration over all classes shows to a network.

    >>> real_images(RecoverConfig.for_method("dm"), 1000), real_images(RecoverConfig(), 1000)
    (256000, 0)
    """
    return config.real_batch * num_classes if config.is_batch_to_batch else 0


def why_not_large() -> str:
    """Return why one of the two cannot go to ImageNet-1K while the other can, in numbers that follow from settings."""
    published = RecoverConfig.for_method("dm")
    shown = real_images(published, 1000)
    pixels = (224 // 32) ** 2
    return (
        f"At 1,000 classes and {published.real_batch} real images of each, an iteration shows {shown:,} real images to "
        f"the network; at 224 px each has {pixels} times the pixels of one at 32 px, and DM takes "
        f"{published.iterations:,} iterations. DC keeps the features of a whole real batch for its gradients as well, "
        "and its network has to see all classes' images between two steps. Batch to global shows 0 real images in "
        "recovery, at any number of classes: its batches of synthetic images know nothing of each other. Source: DELT "
        "Sec. 1 on both mechanisms; the products are counted here from the published settings."
    )
