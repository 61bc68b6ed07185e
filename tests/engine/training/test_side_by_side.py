"""Students beside each other are, bit for bit, those trained alone; how many follows from settings and memory."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from delt_engine.training import side_by_side
from delt_engine.training.records import StudentStep
from delt_engine.training.side_by_side import Places, by_turns, places, shared_images, student_bytes
from delt_engine.training.students import TrainedEpoch, evaluate
from tests.tiny_students import TEST, TRAIN, ColourTeacher, config, same

CPU, CARD = torch.device("cpu"), torch.device("cuda")
SETTINGS = config(augmented=True, epochs=3, seeds=3)


def student(number: int, teacher, **how):
    return evaluate(TRAIN, TEST, teacher, SETTINGS, seed=number, number=number, device="cpu", **how)


def taken(record):
    """A record without its times, and the state after an epoch."""
    if isinstance(record, TrainedEpoch):
        return vars(record) | {"_capture": None}, record.state
    return replace(record, seconds=0.0) if hasattr(record, "seconds") else record, None


@pytest.mark.parametrize("resumed", [False, True])
def test_students_side_by_side_are_to_the_bit_those_trained_alone(resumed) -> None:
    alone = {number: [taken(record) for record in student(number, ColourTeacher())] for number in range(3)}
    states = {number: None for number in alone}
    if resumed:  # stopped after different epochs
        kept = {number: [state for record, state in records if state] for number, records in alone.items()}
        states = {0: kept[0][0], 1: None, 2: kept[2][1]}
    teacher, shared = ColourTeacher(), shared_images(TRAIN, TEST, CPU)
    trainings = {number: student(number, teacher, shared=shared, state=state) for number, state in states.items()}
    beside = {number: [] for number in alone}
    order = []
    for number, record in by_turns(trainings, CPU):
        order.append(number)
        beside[number].append(taken(record))
    assert order[:6] == [0, 1, 2, 0, 1, 2]
    for number, records in beside.items():
        expected = alone[number][-len(records) :]
        for (mine, state), (other, other_state) in zip(records, expected, strict=True):
            if not (resumed and isinstance(mine, StudentStep)):  # of those the loss is the one before, as last read
                assert mine == other
            assert state is None or same(state, other_state)
    assert len(beside[2]) < len(beside[0]) < len(beside[1]) if resumed else len({*map(len, beside.values())}) == 1


def test_one_that_is_taken_out_has_no_more_turns() -> None:
    trainings = {number: iter(range(3)) for number in "abc"}
    found = []
    for number, record in by_turns(trainings, CPU):
        found.append(f"{number}{record}")
        if found[-1] == "a1":
            del trainings["b"]
    assert found == ["a0", "b0", "c0", "a1", "c1", "a2", "c2"]
    assert trainings == {}


def test_each_has_a_stream_of_its_own_on_a_card(monkeypatch) -> None:
    class Stream:
        def __init__(self, _device):
            self.after = []

        def wait_stream(self, other):
            self.after.append(other)

    entered = []
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _device: "current")
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: entered.append(stream) or nullcontext())
    list(by_turns({0: iter("ab"), 1: iter("ab")}, CARD))
    first, second = entered[:2]
    assert first is not second
    assert entered[2:4] == [first, second]
    assert (first.after, second.after) == (["current"], ["current"])
    entered.clear()
    list(by_turns({0: iter("ab")}, CARD))
    assert entered == []


def test_only_the_first_step_and_the_end_of_an_epoch_are_read_where_others_use_the_card(monkeypatch) -> None:
    from delt_engine.training import students

    reads = []
    monkeypatch.setattr(
        students._Student, "read", lambda self, sums, step: reads.append(step) or setattr(self, "loss", 1.0)
    )
    settings = config(batch_size=2, epochs=2)
    images, labels = shared_images(TRAIN, TEST, CPU), students.TeacherLabels(ColourTeacher())
    trained = students._Student(TRAIN, images, settings, 0, CPU, labels, 0, students.ALONE, None)
    trained.reads_at_end = True
    assert trained.steps == 12
    list(trained.records(None))
    assert reads == [1, 12, 12]


def test_seconds_of_others_are_left_out(monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("delt_engine.training.trainer.time.perf_counter", lambda: clock[0])
    seconds = []
    for record in student(0, ColourTeacher()):
        clock[0] += 1.0  # somebody else's step
        seconds.append(getattr(record, "seconds", None))
    assert seconds[-1] == 0.0


def test_how_many_follows_from_the_settings_the_device_and_what_is_left(monkeypatch) -> None:
    monkeypatch.setattr(side_by_side, "student_bytes", lambda *_: 100)
    monkeypatch.setattr(side_by_side, "free_memory", lambda _: 10_000)
    assert places(SETTINGS, TRAIN, CPU, 20) == Places(1)
    assert places(SETTINGS, TRAIN, CARD, 1) == Places(1)
    assert places(SETTINGS, TRAIN, CARD, 3) == Places(3, 3, 100, 10_000)
    assert places(SETTINGS, TRAIN, CARD, 20).students == side_by_side.MOST
    four = SETTINGS.replace(students_at_once=4)
    assert (places(four, TRAIN, CPU, 20).students, places(four, TRAIN, CARD, 2).students) == (4, 2)
    monkeypatch.setattr(side_by_side, "free_memory", lambda _: 300)
    assert places(four, TRAIN, CARD, 20) == Places(2, 4, 100, 300)  # 80 % of 300
    monkeypatch.setattr(side_by_side, "free_memory", lambda _: 0)
    assert places(four, TRAIN, CARD, 20).students == 1


def test_a_students_memory_grows_with_its_batch_and_its_optimisers() -> None:
    before = torch.default_generator.get_state()
    few, many = (student_bytes(SETTINGS.replace(batch_size=size), TRAIN, CPU) for size in (8, 16))
    sgd = student_bytes(SETTINGS.replace(batch_size=8, optimizer="sgd"), TRAIN, CPU)
    network = side_by_side.initial_student(SETTINGS, TRAIN, 0)
    weights = 4 * sum(weight.numel() for weight in network.parameters())
    assert torch.equal(before, torch.default_generator.get_state())
    assert few - sgd == weights
    steps = [size - 4 * weights - 4 * 6 * 3 * 8**2 * batch for size, batch in ((few, 8), (many, 16))]
    assert steps[1] == pytest.approx(2 * steps[0], rel=0.1)
    assert steps[0] > 0
    averaged = student_bytes(config("edc", ema_decay=0.9, batch_size=8), TRAIN, CPU)
    assert averaged > student_bytes(config("edc", ema_decay=0.0, batch_size=8), TRAIN, CPU)


@pytest.mark.parametrize(("ahead", "more"), [(100, 100), (8, 0)])
def test_images_that_are_augmented_together_take_memory_too(monkeypatch, ahead, more) -> None:
    settings = SETTINGS.replace(batch_size=8)
    alone = student_bytes(settings, TRAIN, CPU)
    monkeypatch.setattr(side_by_side, "images_ahead", lambda *_: ahead)
    assert student_bytes(settings, TRAIN, CPU) - alone == 4 * 6 * 3 * 8**2 * more
