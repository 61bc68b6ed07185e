"""Class orders by hand, a memory of just the classes seen, tests of just those, and going on as if never stopped."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_data import tiny_dataset

from delt_engine.applications import continual
from delt_engine.applications.continual import LearnStep, StepResult, class_order, class_steps, learn, of_classes
from delt_engine.config.continual import ContinualConfig
from delt_engine.config.students import EvaluateConfig
from delt_engine.errors import ConfigError
from delt_engine.training import image_table

DATA = tiny_dataset()
TRAIN, TEST = image_table.real(DATA), image_table.test_table(DATA)
CLASSES = len(TRAIN.class_names)
CPU = torch.device("cpu")
HARD = EvaluateConfig.for_recipe(
    "hard", student="convnet-3", student_width=0.05, student_stem="stock", epochs=1, batch_size=64, learning_rate=0.01
).replace(rand_augment="none", min_crop=1.0)


def test_orders_follow_from_seeds_and_hold_every_class_once() -> None:
    orders = [class_order(10, seed) for seed in range(3)]
    assert [sorted(order) for order in orders] == [list(range(10))] * 3
    assert len(set(orders)) == 3
    assert class_order(10, 1) == orders[1]


@pytest.mark.parametrize(
    ("classes", "steps", "sizes"), [(10, 5, [2] * 5), (10, 3, [4, 3, 3]), (7, 7, [1] * 7), (200, 10, [20] * 10)]
)
def test_steps_share_the_classes(classes: int, steps: int, sizes: list[int]) -> None:
    order = tuple(reversed(range(classes)))
    groups = class_steps(order, steps)
    assert [len(group) for group in groups] == sizes
    assert [one for group in groups for one in group] == list(order)


@pytest.mark.parametrize("steps", [0, 4])
def test_more_steps_than_classes_are_refused(steps: int) -> None:
    with pytest.raises(ConfigError, match=f"steps: {steps} given, but it must be from 1 to 3"):
        class_steps((0, 1, 2), steps)
    with pytest.raises(ConfigError, match="steps: 4 given, but Three has 3 classes"):
        ContinualConfig(steps=4).check_steps(3, "Three")


def test_a_memory_holds_just_the_classes_seen() -> None:
    seen = [CLASSES - 1, 0]
    memory = of_classes(TRAIN, seen)
    assert memory.class_names == (TRAIN.class_names[-1], TRAIN.class_names[0])
    wanted = [TRAIN.image_u8[row] for row in range(len(TRAIN)) if TRAIN.labels[row] in seen]
    np.testing.assert_array_equal(memory.image_u8, np.stack(wanted))
    assert memory.labels.tolist() == [seen.index(label) for label in TRAIN.labels.tolist() if label in seen]
    assert set(memory.all_class_names) == set(TRAIN.class_names)


def learned(**how) -> list[StepResult]:
    records = learn(TRAIN, TEST, None, HARD, steps=CLASSES, seed=3, device=CPU, **how)
    return [one for one in records if not isinstance(one, LearnStep)]


def test_each_step_is_trained_and_tested_on_the_classes_so_far(monkeypatch) -> None:
    shown = []
    real = continual.evaluate

    def spied(train, test, teacher, config, **how):
        shown.append((train.class_names, test.class_names, config.batch_size, teacher))
        return real(train, test, teacher, config, **how)

    monkeypatch.setattr(continual, "evaluate", spied)
    found = learned()
    names = [TRAIN.class_names[one] for one in class_order(CLASSES, 3)]
    assert [one.classes for one in found] == [(name,) for name in names]
    assert [one.seen for one in found] == list(range(1, CLASSES + 1))
    assert found[0].top1 == 100.0  # a single class needs no student
    assert [own[0] for own in shown] == [own[1] for own in shown] == [tuple(names[:n]) for n in range(2, CLASSES + 1)]
    counts = np.bincount(TRAIN.labels)
    order = class_order(CLASSES, 3)
    assert [one.images for one in found] == np.cumsum(counts[list(order)]).tolist()
    assert [own[2] for own in shown] == [min(64, one.images) for one in found[1:]]
    tests = np.bincount(TEST.labels)
    for one in found[1:]:  # the accuracy is the mean over the test images of the classes seen
        weights = tests[list(order[: one.seen])]
        assert one.top1 == pytest.approx(float(np.average(one.per_class, weights=weights)))


def test_going_on_gives_the_same_as_never_stopping() -> None:
    whole, rest = learned(), learned(done=CLASSES - 1)
    assert len(rest) == 1
    assert (rest[0].step, rest[0].top1, rest[0].per_class) == (CLASSES, whole[-1].top1, whole[-1].per_class)


def test_labels_are_chosen_by_one_word() -> None:
    soft, hard = EvaluateConfig(), EvaluateConfig.for_recipe("hard")
    assert ContinualConfig(labels="hard").trained(soft).labels == "hard"
    assert ContinualConfig().trained(hard) == hard
    with pytest.raises(ConfigError, match="labels: soft given, but the recipe is one for hard labels"):
        ContinualConfig(labels="soft").trained(hard)
