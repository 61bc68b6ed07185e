"""DM and DC against plain implementations written from their papers, and what their loops go on from."""

import pytest
import torch
from torch.nn import functional as F

from delt_engine.config import RecoverConfig
from delt_engine.errors import ConfigError
from delt_engine.models.convnet import ConvNet
from delt_engine.recovery.augment import apply_crop, crop_plan
from delt_engine.recovery.batch_objectives import feature_distance, gradient_distance
from delt_engine.recovery.batch_to_batch import match_batches, random_network
from delt_engine.recovery.batches import plan_batches
from delt_engine.recovery.loop import BatchState
from delt_engine.recovery.memory import predict
from delt_engine.recovery.speed import FastPath, choose
from delt_engine.seeding import generator

pytestmark = pytest.mark.usefixtures("one_thread")
SIZE, CLASSES, MEAN, STD = 16, (2, 5), (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def config(method: str, **changes) -> RecoverConfig:
    small = {"ipc": 3, "iterations": 6, "round_iterations": 3, "matching_width": 4, "real_batch": 7}
    return RecoverConfig.for_method(method, **{**small, **changes})


def real(iteration: int, class_index: int) -> torch.Tensor:
    return torch.randn(7, 3, SIZE, SIZE, generator=generator(1, "real", iteration, class_index))


def start(plan) -> torch.Tensor:
    return 0.5 * torch.randn(len(plan.slots), 3, SIZE, SIZE, generator=generator(1, "start"))


def recovered(settings: RecoverConfig, state=None, plan=None):
    plan = plan or plan_batches(CLASSES, settings)[0]
    labels = torch.tensor([slot.class_index for slot in plan.slots])
    rows = crop_plan(settings, SIZE, generator(1, "crops"))
    about = {"seed": 9, "mean": MEAN, "std": STD, "state": state}
    return match_batches(start(plan), labels, real, plan, settings, rows, **about)


def plain_features(network: ConvNet, images: torch.Tensor) -> torch.Tensor:
    """Convolve, normalise every channel of every image by itself, rectify and halve, block by block."""
    weights = list(network.parameters())[:-2]
    for block in range(0, len(weights), 4):
        kernel, bias, scale, shift = weights[block : block + 4]
        images = F.conv2d(images, kernel, bias, padding=1)
        mean, var = images.mean((2, 3), keepdim=True), images.var((2, 3), unbiased=False, keepdim=True)
        images = (images - mean) / (var + 1e-5).sqrt() * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)
        images = F.avg_pool2d(images.clamp(min=0), 2)
    return images.flatten(1)


def plain_dm(network: ConvNet, shown: torch.Tensor, images: torch.Tensor, _label: int) -> torch.Tensor:
    wanted = sum(plain_features(network, one[None])[0] for one in shown) / len(shown)
    return ((wanted - plain_features(network, images).mean(0)) ** 2).sum()


def plain_dc(network: ConvNet, shown: torch.Tensor, images: torch.Tensor, label: int) -> torch.Tensor:
    weights, total = list(network.parameters()), torch.zeros(())

    def gradients(batch: torch.Tensor):
        logits = plain_features(network, batch) @ weights[-2].T + weights[-1]
        loss = (logits.logsumexp(1) - logits[:, label]).mean()
        return torch.autograd.grad(loss, weights, create_graph=True)

    for wanted, own in zip(gradients(shown), gradients(images), strict=True):
        if wanted.dim() > 1:
            for row, column in zip(wanted.detach(), own, strict=True):
                row, column = row.flatten(), column.flatten()
                total = total + 1 - row @ column / (row.norm() * column.norm() + 1e-6)
    return total


PLAIN = {"dm": plain_dm, "dc": plain_dc}


@pytest.mark.parametrize("method", ["dm", "dc"])
def test_distance_and_its_gradient_are_those_of_the_paper(method):
    network = random_network(config(method), SIZE, 2, seed=0, number=4)
    images, shown = start(plan_batches(CLASSES, config(method))[0])[:3], real(0, 2)
    found = []
    for measure in (
        PLAIN[method],
        gradient_distance if method == "dc" else lambda *three: feature_distance(*three[:3]),
    ):
        leaf = images.clone().requires_grad_()
        distance = measure(network, shown, leaf, 1)
        found.append((distance.detach(), torch.autograd.grad(distance, leaf)[0]))
    (expected, gradient), (distance, ours) = found
    torch.testing.assert_close(distance, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours, gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max()))
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("method", ["dm", "dc"])
def test_the_loop_is_the_published_one(method):
    """One SGD over all images; a network serves once in DM, in DC for three steps with training between them."""
    settings = config(method, sgd_rate=0.5, network_epochs=2, siamese=True, pad=2)
    plan = plan_batches(CLASSES, settings)[0]
    rows = crop_plan(settings, SIZE, generator(1, "crops"))
    images, labels = start(plan).requires_grad_(), torch.tensor([0, 0, 0, 1, 1, 1])
    optimizer = torch.optim.SGD([images], lr=0.5, momentum=0.5)
    steps = 3 if method == "dc" else 1
    for step in recovered(settings):
        number, inner = divmod(step.iteration, steps)
        if inner == 0:
            network = random_network(settings, SIZE, 2, seed=9, number=number)
            trained = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.5)
        else:
            for epoch in range(2):
                order = torch.randperm(6, generator=generator(9, "network batches", step.iteration, epoch))
                trained.zero_grad()
                F.cross_entropy(network(images.detach()[order]), labels[order]).backward()
                trained.step()
        seen = apply_crop(images, rows[step.iteration])
        parts = [
            PLAIN[method](network, apply_crop(real(step.iteration, c), rows[step.iteration]), seen[labels == k], k)
            for k, c in enumerate(CLASSES)
        ]
        optimizer.zero_grad()
        sum(parts).backward()
        optimizer.step()
        for channel, (mean, std) in enumerate(zip(MEAN, STD, strict=True)):
            images.data[:, channel].clamp_(-mean / std, (1 - mean) / std)
        torch.testing.assert_close(step.total_loss, sum(parts).detach() / 2, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(step.state.images, images.detach(), rtol=1e-4, atol=1e-4)
    assert step.iteration == 5
    assert torch.isnan(step.ce_loss)


@pytest.mark.parametrize("method", ["dm", "dc"])
def test_a_loop_goes_on_to_the_same_bytes(method):
    settings = config(method, network_epochs=2)
    kept = {step.state.iteration: step.state.to_tensors() for step in recovered(settings)}
    for at in (2, 3, 4):
        *_, last = recovered(settings, BatchState.from_tensors(kept[at]))
        assert torch.equal(last.state.images, kept[6]["images"])


def test_dm_makes_the_same_images_however_they_are_batched_and_late_ones_wait():
    settings = config("dm", early_late=True)
    *_, whole = recovered(settings)
    plan = plan_batches(CLASSES, settings)[0]
    alone = plan_batches(CLASSES, settings.replace(batch_size=3))[1]
    places = [place for place, slot in enumerate(plan.slots) if slot.class_index == CLASSES[1]]
    about = {"seed": 9, "mean": MEAN, "std": STD}
    rows = crop_plan(settings, SIZE, generator(1, "crops"))
    *_, one = match_batches(start(plan)[places], torch.full((3,), 5), real, alone, settings, rows, **about)
    torch.testing.assert_close(one.state.images, whole.state.images[places], rtol=1e-5, atol=1e-5)
    third = next(iter(recovered(settings)))
    assert third.joined == 4
    assert torch.equal(third.state.images[4:], start(plan)[4:])


def test_settings_are_the_published_ones_and_wrong_ones_are_named():
    dm, dc = RecoverConfig.for_method("dm"), RecoverConfig.for_method("dc", ipc=50)
    assert (dm.sgd_rate, dm.real_batch, dm.matching_depth, dm.iterations, dm.beta1) == (1.0, 256, 3, 20_000, 0.5)
    assert (dc.sgd_rate, dc.network_loop, dc.initialization) == (0.1, (50, 10), "noise")
    assert RecoverConfig.for_method("dc", ipc=1).network_loop == (1, 1)
    assert RecoverConfig.for_method("dm", size=64).matching_depth == 4
    assert len(plan_batches(10, dc)) == 1
    assert choose(dm, "cuda", 32) == FastPath()
    with pytest.raises(ConfigError, match="batching: 'classes' given, but dc trains its networks on all images"):
        dc.replace(batching="classes")
    with pytest.raises(ConfigError, match="precision: 'bfloat16' given, but dm computes in float32"):
        dm.replace(precision="bfloat16")


def test_memory_grows_with_the_real_images_of_a_class_and_not_with_the_classes():
    device, few, many = torch.device("cpu"), config("dc"), config("dc", real_batch=70)
    steps = [predict(None, one, FastPath(), SIZE, 30, device).step for one in (few, many)]
    assert steps[1] > 5 * steps[0] > 0
    assert predict(None, few, FastPath(), SIZE, 300, device).step == steps[0]
