"""Batches that take their steps together end where each alone would."""

import pytest
import torch
from safetensors.torch import load, save
from tiny_networks import SIZE, ResidualNet, conv_net, prepared, teacher

from delt_engine.config import RecoverConfig
from delt_engine.recovery.augment import apply_crop, crop_plan
from delt_engine.recovery.batches import pack_batches, plan_batches
from delt_engine.recovery.loop import BatchState, recover
from delt_engine.recovery.speed import FastPath, choose
from delt_engine.seeding import generator

CONFIG = RecoverConfig(ipc=4, iterations=10, round_iterations=5, batch_size=4, jitter=1)
CLASSES = 3
CARD = dict.fromkeys(("static", "graph", "channels_last", "fused_adam"), True)


def start(plan):
    return torch.stack(
        [
            torch.randn(
                3, SIZE, SIZE, generator=generator(0, "start", slot.class_index, slot.index), dtype=torch.float64
            )
            for slot in plan.slots
        ]
    )


def steps_of(plan, network, config=CONFIG, **values):
    rows = torch.stack([crop_plan(config, SIZE, generator(0, "crops", member)) for member in plan.members])
    labels = torch.tensor([slot.class_index for slot in plan.slots])
    return recover(start(plan), labels, prepared(network), plan, config, rows, **values)


def images_of(plans, network, **values):
    """Return the final image of each slot."""
    found = {}
    for plan in plans:
        *_, last = steps_of(plan, network, **values)
        found |= dict(zip(plan.slots, last.state.images, strict=True))
    return found


@pytest.mark.parametrize("folds", [False, True])
@pytest.mark.parametrize("changes", [{}, {"adam_counters": "per-image"}])
@pytest.mark.parametrize("network", [conv_net, ResidualNet])
def test_packed_batches_end_in_the_images_of_each_alone(network, changes, folds):
    config, network = CONFIG.replace(**changes), teacher(network()).double()
    plans = plan_batches(CLASSES, config)
    packed = pack_batches(plans, 2)
    assert [plan.members for plan in packed] == [(0, 1), (2,)]
    fast = FastPath(fold=folds)
    alone = images_of(plans, network, config=config, fast=fast)
    together = images_of(packed, network, config=config, fast=fast)
    assert alone.keys() == together.keys()
    for slot, image in alone.items():
        torch.testing.assert_close(together[slot], image, rtol=0, atol=1e-9)


def test_one_image_a_class_keeps_its_own_statistics_when_packed_and_not_when_filled():
    network = teacher(conv_net()).double()
    apart = CONFIG.replace(early_late=False, batching="one-per-class")
    plans = plan_batches(CLASSES, apart)
    (packed,) = pack_batches(plans, 4)
    assert all(slot.index == group for slot, group in zip(packed.slots, packed.groups, strict=True))
    first, *_ = steps_of(packed, network, config=apart, fast=FastPath())
    # plainly: each published batch through the layers alone
    expected = []
    for plan in plans:
        rows = crop_plan(apart, SIZE, generator(0, "crops", plan.batch_index))
        expected.append(plain_bn_loss(network, apply_crop(start(plan), rows[0])))
    assert first.bn_loss.item() == pytest.approx(sum(expected) / len(expected), rel=1e-9)
    alone, together = (images_of(which, network, config=apart, fast=FastPath()) for which in (plans, [packed]))
    for slot, image in alone.items():
        torch.testing.assert_close(together[slot], image, rtol=0, atol=1e-9)
    filled = apart.replace(batching="images", batch_size=CLASSES * CONFIG.ipc)
    (whole,) = plan_batches(CLASSES, filled)
    assert {(slot.class_index, slot.index) for slot in whole.slots} == {(s.class_index, s.index) for s in packed.slots}
    mixed, *_ = steps_of(whole, network, config=filled, fast=FastPath())
    assert mixed.bn_loss.item() != pytest.approx(first.bn_loss.item(), rel=1e-3)


def plain_bn_loss(network, images) -> float:
    """DELT Eq. 8 of one batch, layer by layer."""
    found = []

    def measure(layer, inputs, _output):
        values = inputs[0].transpose(0, 1).flatten(1)  # (N, C, H, W) -> (C, N*H*W)
        mean, var = values.mean(1) - layer.running_mean, values.var(1, unbiased=False) - layer.running_var
        found.append(mean.norm() + var.norm())

    hooks = [m.register_forward_hook(measure) for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    network.eval()(images)
    for hook in hooks:
        hook.remove()
    return (10 * found[0] + sum(found[1:])).item()


def test_losses_are_the_means_of_the_groups_and_each_image_has_its_own():
    network = teacher(conv_net()).double()
    plans = plan_batches(CLASSES, CONFIG)
    (packed,) = pack_batches(plans, 3)
    each = [list(steps_of(plan, network)) for plan in plans]
    for number, step in enumerate(steps_of(packed, network)):
        alone = torch.tensor([steps[number].losses() for steps in each]).mean(0)
        assert step.losses() == pytest.approx(tuple(alone.tolist()), rel=1e-6)
        told = dict(zip(packed.slots, step.ce_losses().tolist(), strict=False))
        for plan, steps in zip(plans, each, strict=True):
            for slot, loss in zip(plan.slots, steps[number].ce_losses().tolist(), strict=False):
                assert told[slot] == pytest.approx(loss, rel=1e-6)


def test_a_packed_batch_resumes_to_the_same_bits():
    network = teacher(ResidualNet()).double()
    (packed,) = pack_batches(plan_batches(CLASSES, CONFIG), 3)
    *_, whole = steps_of(packed, network)
    steps = steps_of(packed, network)
    for _ in range(7):
        kept = next(steps).state
    state = BatchState.from_tensors(load(save(kept.to_tensors())))
    *_, last = steps_of(packed, network, state=state)
    assert torch.equal(last.state.images, whole.state.images)


def test_batches_of_another_schedule_are_not_packed():
    config = CONFIG.replace(batch_size=8)  # two classes, then one
    packed = pack_batches(plan_batches(CLASSES, config), 4)
    assert [plan.members for plan in packed] == [(0,), (1,)]
    assert [plan.batch_index for plan in packed] == [0, 1]


@pytest.mark.parametrize(
    ("changes", "device", "size", "expected"),
    [
        ({}, "cpu", 32, FastPath("float32", True, 1)),
        ({}, "cuda", 32, FastPath("bfloat16", True, 10, **CARD)),
        ({}, "cuda", 224, FastPath("bfloat16", True, 1, **CARD)),
        ({"batch_size": 1, "ipc": 1}, "cuda", 8, FastPath("bfloat16", True, 16, **CARD)),
        ({}, "mps", 32, FastPath("float32", True, 1)),
        (
            {"precision": "bfloat16", "fold": "off", "pack": 3, "compile": "on"},
            "cpu",
            32,
            FastPath("bfloat16", False, 3, True),
        ),
    ],
)
def test_what_auto_means(changes, device, size, expected):
    chosen = choose(RecoverConfig(**changes), device, size)
    assert chosen == expected
    assert FastPath.from_record({**chosen.to_record(), "folded": 3}) == chosen


def test_batches_of_few_classes_share_a_step_on_every_device():
    cda = RecoverConfig.for_method("cda")
    assert [choose(cda, "cpu", 32, classes).pack for classes in (3, 10, 60, 100, 1000)] == [33, 10, 1, 1, 1]
    assert choose(cda, "cuda", 32, 10).pack == 100
    assert choose(cda.replace(pack=1), "cpu", 32, 10).pack == choose(cda.replace(batching="images"), "cpu", 32, 10).pack
    assert choose(RecoverConfig(ipc=1), "cpu", 32, 10).pack == 1


def test_less_memory_is_written_into_a_record_and_read_also_as_0_1_0_wrote_it():
    path = FastPath(low_memory=True)
    record = path.to_record()
    assert FastPath.from_record(record) == path
    older = {name: value for name, value in record.items() if name != "low_memory"}
    assert FastPath.from_record(older) == FastPath()
    assert FastPath.from_record({**older, "spare": True}) == path
    assert str(path).endswith("in less memory")
