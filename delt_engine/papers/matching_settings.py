"""Settings of DM and DC: those of their published code, for CDA's tables print their accuracies alone.

Source: main_DM.py, main.py and evaluate_synset of DatasetCondensation.
"""

from __future__ import annotations

from delt_engine.config import RecoverConfig
from delt_engine.config.methods import recover_settings
from delt_engine.papers.code_settings import put_pictures
from delt_engine.papers.gathered import Asked, Gathered

_SCRIPT = {"dm": "DM's published code (main_DM.py)", "dc": "DC's published code (main.py)"}
_NETWORKS = 1000
"""Networks that DC takes one after the other."""


def student(image_size: int) -> str:
    """Return the ConvNet that students of DM and DC are.

    >>> student(32), student(64)
    ('convnet-3', 'convnet-4')
    """
    return "convnet-3" if image_size <= 32 else "convnet-4"


def recover(into: Gathered, asked: Asked) -> None:
    """Take what is matched, from which start, and for how long.

    Differs: DM's accuracies are of images matched under Siamese augmentation with colour, cutout, scale and rotation;
    here without, see :attr:`delt_engine.config.RecoverConfig.siamese`. Nothing is matched with a teacher, but a run has
    one here: it says what it thinks of the pictures of each round.
    """
    settings = recover_settings(asked.method, asked.image_size)
    iterations = settings["iterations"]
    if asked.method == "dc":
        iterations = _NETWORKS * RecoverConfig.for_method("dc", ipc=asked.ipc).network_loop[0]
    into.assume("recover", _SCRIPT[asked.method], **{**settings, "iterations": iterations, "beta1": 0.5})
    put_pictures(into)
    if asked.method == "dm":
        into.assume("select", f"{_SCRIPT['dm']} starts from random real images", criterion="random")


def evaluate(into: Gathered, asked: Asked) -> None:
    """Take the training of the students: the class itself as the label, by SGD.

    Differs: their code trains DM's students with Siamese augmentation too, and takes a tenth of the rate after half of
    the epochs, where steps here come at 80, 90 and 95 %.
    """
    sgd = {"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.9, "weight_decay": 5e-4, "lr_schedule": "steps"}
    epochs = 1000 if asked.method == "dm" else 300
    plain = {"mix": "none", "rand_augment": "none", "min_crop": 1.0, "flip": False}
    where = "published code of DM and DC (evaluate_synset)"
    into.assume("evaluate", where, recipe="hard", batch_size=256, epochs=epochs, **sgd, **plain)
    into.assume("evaluate", "ours: as many as DELT trains", seeds=3)
