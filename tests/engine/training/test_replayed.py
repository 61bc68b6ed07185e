"""Steps that a graph may replay: their buffers give what the batches give, and what is random is left alone."""

import pytest
import torch
from torch import nn
from torchvision.models import efficientnet_b0

from delt_engine.training import replayed
from delt_engine.training.replayed import ReplayedSteps, buffers_of, can_replay, fill
from delt_engine.training.trainer import Batch


def batches(number: int) -> list[Batch]:
    draw = torch.Generator().manual_seed(0)
    sizes = [4] * number + [3]
    images = [torch.randn(size, 3, generator=draw) for size in sizes]
    targets = [(None, torch.randn(size, 2, generator=draw), size / 10 + step) for step, size in enumerate(sizes)]
    return [Batch(image, target, len(image), 0) for image, target in zip(images, targets, strict=True)]


class Graph:
    """Stands in for a CUDA graph: replays the step on its buffers."""

    def replay(self):
        self.owner._measured = self.owner._step(self.owner._buffers)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_replayed_steps_train_as_plain_ones(kind, monkeypatch):
    def trained(is_replayed):
        torch.manual_seed(0)
        network = nn.Linear(3, 2)
        optimizer = kind(network.parameters(), lr=0.1, fused=True)
        seen = []

        def step(batch):
            seen.append(isinstance(batch.target[2], torch.Tensor))
            _, wanted, share = batch.target
            loss = ((network(batch.images) - wanted) ** 2).mean() * share
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            return loss.detach()

        steps = ReplayedSteps(step, optimizer)
        losses = []
        for number, batch in enumerate(batches(6)):
            optimizer.param_groups[0]["lr"] = 0.1 / (number + 1)
            losses.append((steps.take(batch) if is_replayed else step(batch)).item())
        return losses, network.weight.detach(), seen

    def capture(self, batch):
        self._buffers, self._graph = buffers_of(batch), Graph()
        self._rates = [torch.tensor(0.0) for _ in self._optimizer.param_groups]
        self._graph.owner = self

    monkeypatch.setattr(ReplayedSteps, "_beside", lambda self, batch: self._step(batch))
    monkeypatch.setattr(ReplayedSteps, "_capture", capture)
    (losses, weights, seen), (expected, plain, _) = trained(True), trained(False)
    assert losses == expected
    assert torch.equal(weights, plain)
    assert seen == [False] * replayed.WARM_UPS + [True] * 3 + [False]  # a batch of another size is taken as it is


def test_what_cannot_be_captured_goes_on_and_says_why(monkeypatch, caplog):
    def refuse(self, batch):
        raise RuntimeError("operation not permitted\nmore")

    monkeypatch.setattr(ReplayedSteps, "_beside", lambda self, batch: self._step(batch))
    monkeypatch.setattr(ReplayedSteps, "_capture", refuse)
    steps = ReplayedSteps(lambda batch: batch.images.sum(), torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.1))
    given = batches(6)
    assert [steps.take(batch).item() for batch in given] == [batch.images.sum().item() for batch in given]
    assert steps.reason == "operation not permitted"
    assert "Training steps are taken one by one, without a CUDA graph: operation not permitted" in caplog.text


def test_buffers_take_every_part_of_a_batch():
    first, other = batches(2)[:2]
    buffers = buffers_of(first)
    fill(buffers, other)
    assert torch.equal(buffers.images, other.images)
    assert buffers.target[0] is None
    assert torch.equal(buffers.target[1], other.target[1])
    assert buffers.target[2].item() == pytest.approx(other.target[2])
    assert not torch.equal(buffers.images, first.images)


def test_only_small_images_on_a_card_and_networks_without_chance():
    card, plain = torch.device("cuda"), nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.0))
    assert can_replay(plain, card, 64)
    assert not can_replay(plain, torch.device("cpu"), 32)
    assert not can_replay(plain, card, 224)
    assert not can_replay(nn.Sequential(plain, nn.Dropout(0.1)), card, 32)
    assert not can_replay(efficientnet_b0(), card, 32)  # stochastic depth
    assert not can_replay(nn.MultiheadAttention(4, 2, dropout=0.1), card, 32)
