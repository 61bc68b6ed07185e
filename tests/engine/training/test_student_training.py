import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from delt_engine.config.students import EvaluateConfig
from delt_engine.errors import CheckpointError, ConfigError, DataError
from delt_engine.training import image_table, students
from delt_engine.training.draws import draw_epoch
from delt_engine.training.records import StudentEpoch, StudentResult, StudentStep
from delt_engine.training.relabel import TeacherLabels
from delt_engine.training.state import TrainingState
from delt_engine.training.students import TrainedEpoch, evaluate, is_tested, student_loss
from tests.tiny_data import tiny_dataset
from tests.tiny_students import TEST, TRAIN, ColourTeacher, config, same


def trained(settings: EvaluateConfig, train=TRAIN, test=TEST, seed: int = 0, **more) -> list:
    teacher = None if settings.labels == "hard" else ColourTeacher()
    return list(evaluate(train, test, teacher, settings, seed=seed, device="cpu", **more))


def epochs(records: list) -> list[TrainedEpoch]:
    return [record for record in records if isinstance(record, StudentEpoch)]


def states(settings: EvaluateConfig, seed: int = 0, **more) -> list[TrainingState]:
    run = evaluate(TRAIN, TEST, ColourTeacher(), settings, seed=seed, device="cpu", **more)
    return [record.state for record in run if isinstance(record, TrainedEpoch)]


def test_records_come_in_order_and_hold_together():
    records = trained(config(seeds=3), number=1)
    kinds = [type(record) for record in records]
    assert kinds == ([StudentStep] * 3 + [TrainedEpoch]) * 4 + [StudentResult]
    first = records[0]
    assert (first.student, first.students, first.epoch, first.epochs, first.step, first.steps) == (1, 3, 1, 4, 1, 3)
    assert [epoch.top1 is not None for epoch in epochs(records)] == [True, False, True, True]
    result = records[-1]
    assert [epoch for epoch, _ in result.curve] == [1, 3, 4]
    assert result.top1_last == result.curve[-1][1] == epochs(records)[-1].top1
    assert result.top1_best == max(top1 for _, top1 in result.curve)
    assert dict(result.curve)[result.best_epoch] == result.top1_best
    assert np.mean(result.per_class) == pytest.approx(result.top1_last)  # as many test images in every class
    assert (result.top5_last, result.top1_ema, result.ema_curve) == (100.0, None, ())
    assert json.loads(json.dumps(asdict(epochs(records)[0])))["epoch"] == 1
    rates = [epoch.learning_rate for epoch in epochs(records)]
    assert rates == pytest.approx([0.02 * 0.5 * (1 + np.cos(np.pi * epoch / 8)) for epoch in range(4)])
    again = trained(config(seeds=3), number=1, state=epochs(records)[-1].state)
    assert [replace(each, seconds=0.0) for each in again] == [replace(result, seconds=0.0)]  # no epoch is left


@pytest.mark.parametrize("recipe", ["delt", "hard"])
def test_a_student_learns_what_is_there_to_learn(recipe):
    result = trained(config(recipe, epochs=10))[-1]
    assert result.top1_last > 90


def test_the_same_seed_gives_the_same_bits_and_another_one_others():
    settings = config(augmented=True, epochs=2)
    first, second, other = states(settings), states(settings), states(settings, seed=1)
    assert same(first[-1], second[-1])
    assert not same(first[-1], TrainingState(other[-1].tensors, first[-1].facts))


@pytest.mark.parametrize(
    "settings",
    [
        config(augmented=True),
        config("edc", ema_decay=0.9, epochs=4),
        config(optimizer="sgd", student="resnet10t", student_width=1.0, student_stem="small", epochs=3),
    ],
    ids=["delt", "edc", "sgd"],
)
def test_going_on_from_a_state_gives_the_same_bits(settings):
    whole = states(settings)
    for epoch in (1, settings.epochs - 1):
        kept = TrainingState(whole[epoch - 1].tensors, json.loads(json.dumps(whole[epoch - 1].facts)))
        assert kept.facts["epoch"] == epoch
        assert same(states(settings, state=kept)[-1], whole[-1])


def test_dropout_goes_on_to_the_same_bits_and_leaves_the_generator_alone():
    settings = config(student="mobilenet_v3_small", student_width=0.25, student_stem="small", epochs=2)
    before = torch.default_generator.get_state()
    whole = states(settings)
    assert torch.equal(before, torch.default_generator.get_state())
    torch.rand(3)
    assert same(states(settings, state=whole[0])[-1], whole[-1])


def test_a_state_of_another_training_is_refused():
    state = states(config(epochs=1))[-1]
    with pytest.raises(CheckpointError, match=r"state: it is of seed 0, but this training has seed 5\."):
        trained(config(epochs=1), seed=5, state=state)
    with pytest.raises(CheckpointError, match=r"state: it is of a training with other settings"):
        trained(config(epochs=2), state=state)


def test_the_teacher_answers_in_eval_mode_and_is_not_changed():
    teacher = ColourTeacher().train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    list(evaluate(TRAIN, TEST, teacher, config(epochs=1), seed=0, device="cpu"))
    assert set(teacher.modes) == {False}
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert teacher.scale.grad is None


def test_averaged_weights_follow_by_their_decay_and_are_tested():
    result = trained(config("edc", epochs=4))[-1]
    assert [epoch for epoch, _ in result.ema_curve] == [1, 3, 4]
    assert result.top1_ema == result.ema_curve[-1][1]
    assert result.top1_ema_best == max(top1 for _, top1 in result.ema_curve)
    settings = config(epochs=2, batch_size=24, ema_decay=0.75)  # one step an epoch
    first, second = states(settings)
    name = next(name for name in first.tensors if name.startswith("network/") and name.endswith("weight"))
    averaged = name.replace("network/", "ema/module.")
    assert torch.equal(first.tensors[averaged], first.tensors[name])
    expected = 0.75 * first.tensors[averaged] + 0.25 * second.tensors[name]
    torch.testing.assert_close(second.tensors[averaged], expected)


def test_bfloat16_computes_in_bfloat16_and_keeps_float32_weights():
    settings = config(precision="bfloat16", epochs=1)
    low, high = states(settings)[-1], states(config(epochs=1))[-1]
    assert all(tensor.dtype in (torch.float32, torch.int64) for tensor in low.tensors.values())
    assert not same(low, TrainingState(high.tensors, low.facts))


def test_recorded_draws_are_replayed():
    settings = config(augmented=True, epochs=2)

    class FromAnotherSeed(TeacherLabels):
        def draws(self, epoch):
            return draw_epoch(settings, len(TRAIN), 8, seed=9, epoch=epoch)

    replayed, drawn = states(settings, labels=FromAnotherSeed(ColourTeacher())), states(settings)
    assert not torch.equal(*(each[-1].tensors["network/features.0.weight"] for each in (replayed, drawn)))
    again = states(settings, labels=FromAnotherSeed(ColourTeacher()))
    assert same(replayed[-1], again[-1])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"config": EvaluateConfig()}, ConfigError, r"batch_size: it is left open, but students are trained with"),
        ({"config": config(batch_size=1)}, ConfigError, r"batch_size: 1 given, but BatchNorm needs at least 2"),
        (
            {"config": config("edc", learning_rate=10.0, optimizer="sgd", cross_entropy_weight=100.0, epochs=30)},
            ConfigError,
            r"learning_rate: 10 given, but the loss is not finite any more in step",
        ),
        ({"teacher": None}, CheckpointError, r"teacher: none given, but labels on the fly need one"),
        ({"config": config(labels="stored", label_store="kept")}, ConfigError, r"no label store was opened"),
        (
            {"test": replace(TEST, class_names=("red", "green", "violet"))},
            DataError,
            r"All training images of Colours has 'blue', which Test images of Colours has not; .* has 'violet', which",
        ),
        ({"test": replace(TEST, class_names=("green", "red", "blue"))}, DataError, r"in another order than those of"),
        ({"test": image_table.real(tiny_dataset(size=16))}, DataError, r"have 8 px, but the test images 16 px"),
        (
            {"train": replace(TRAIN, image_u8=TRAIN.image_u8[:1], labels=TRAIN.labels[:1])},
            DataError,
            r"has 1 images, but a student needs at least 2",
        ),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(changes, error, message):
    values = {"train": TRAIN, "test": TEST, "teacher": ColourTeacher(), "config": config(epochs=30), **changes}
    with pytest.raises(error, match=message) as caught:
        list(evaluate(*values.values(), seed=0, device="cpu"))
    assert "\n" not in str(caught.value)


def test_which_epochs_are_tested():
    def tested(**values) -> list[int]:
        settings = EvaluateConfig(**values)
        return [epoch for epoch in range(1, settings.epochs + 1) if is_tested(settings, epoch)]

    assert tested(epochs=25) == [1, 11, 21, 25]  # DELT's and SRe2L's epochs 0, 10, 20 and the last
    assert tested(epochs=100, validate_from=0.8) == [1, 90, 100]  # RDED's 89 and 99, and our first
    assert tested(epochs=1) == [1]


def test_a_step_runs_on_cudnn_and_deterministically(monkeypatch):
    seen = []

    def loss(*arguments):
        flags = torch.backends.cudnn
        seen.append((flags.enabled, flags.deterministic, flags.benchmark))
        return student_loss(*arguments)

    monkeypatch.setattr(students, "student_loss", loss)
    trained(config(epochs=1))
    assert set(seen) == {(True, True, False)}
    assert not torch.backends.cudnn.deterministic
