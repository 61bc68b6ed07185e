import numpy as np
import pytest
import torch
from torch import nn

from delt_engine.errors import CheckpointError, DataError
from delt_engine.training.accuracy import accuracy_of, top_hits
from delt_engine.training.augmentation import DeviceImages
from delt_engine.training.image_table import ImageTable
from delt_engine.training.relabel import teacher_for

CPU = torch.device("cpu")


class Answers(nn.Module):
    """Answers with logits looked up by the value of the first red number, and counts how it was called."""

    def __init__(self, logits: list[list[float]]) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))
        self.modes: list[bool] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.modes.append(self.training)
        return self.logits[(images[:, 0, 0, 0] * 255).round().long()]


def images(labels: list[int], classes: int) -> DeviceImages:
    """Image n has the value n everywhere; statistics that leave pixels as they are."""
    pixels = np.broadcast_to(np.arange(len(labels), dtype=np.uint8)[:, None, None, None], (len(labels), 4, 4, 3))
    names = tuple(str(index) for index in range(classes))
    table = ImageTable(pixels, np.array(labels), names, (0.0,) * 3, (1.0,) * 3)
    return DeviceImages(table, CPU)


def test_accuracies_by_hand():
    # seven classes; image 0 right, image 1 right among five, image 2 last of all, image 3 right
    logits = [[9, 1, 2, 3, 4, 5, 6], [5, 1, 9, 8, 7, 0, 0], [9, 8, 7, 6, 5, 4, 3], [0, 9, 1, 1, 1, 1, 1]]
    found = accuracy_of(Answers([[float(x) for x in row] for row in logits]), images([0, 0, 6, 1], 7))
    assert (found.top1, found.top5) == (50.0, 75.0)
    assert found.per_class[:2] == (50.0, 100.0)
    assert found.per_class[6] == 0.0


def test_top_hits_are_torchs_own():
    draws = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(50, 9, generator=draws), torch.randint(9, (50,), generator=draws)
    hits = top_hits(logits, labels)
    assert torch.equal(hits[:, 0], logits.argmax(1) == labels)
    rank = (logits > logits.gather(1, labels[:, None])).sum(1)
    assert torch.equal(hits[:, 1], rank < 5)


def test_the_network_answers_in_eval_mode_and_goes_back():
    network = Answers([[1.0, 0.0]]).train()
    accuracy_of(network, images([0], 2))
    assert network.modes == [False]
    assert network.training
    assert network.logits.grad is None


def test_every_image_counts_once_over_many_batches(monkeypatch):
    monkeypatch.setattr("delt_engine.training.accuracy._BATCH_PIXELS", 4 * 4 * 3)
    network = Answers([[1.0, 0.0]] * 10)
    assert accuracy_of(network, images([0] * 7 + [1] * 3, 2)).top1 == 70.0
    assert len(network.modes) == 4  # 3 + 3 + 3 + 1


def test_wrong_number_of_classes_and_no_images_are_refused():
    with pytest.raises(DataError, match=r"the network has 2 classes, but the test images have 3"):
        accuracy_of(Answers([[1.0, 0.0]]), images([0], 3))
    with pytest.raises(DataError, match=r"there is no image to test on"):
        accuracy_of(Answers([[1.0, 0.0]]), images([], 2))


def test_a_teacher_answers_for_some_classes_by_name():
    network = Answers([[1.0, 2.0, 3.0]]).eval()
    some = teacher_for(network, ("a", "b", "c"), ("c", "a"))
    assert some(torch.zeros(1, 3, 2, 2)).tolist() == [[3.0, 1.0]]
    assert network.modes == [False]
    assert teacher_for(network, ("a", "b", "c"), ("a", "b", "c")) is network
    with pytest.raises(CheckpointError, match=r"teacher: it does not know the class 'd', which the images have"):
        teacher_for(network, ("a", "b", "c"), ("a", "d"))
