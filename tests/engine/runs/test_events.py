"""Events: one a line, whatever happened to the writer, and whatever else stands in the file."""

import json
from pathlib import Path

import events_of_runs
import pytest

from delt_engine.paths import assets_dir
from delt_engine.runs import events
from delt_engine.runs.events import (
    NoteEvent,
    RoundEvent,
    SqueezeEpochEvent,
    StatusEvent,
    StepEvent,
    TimedEvent,
)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "events.jsonl"


def write_steps(path: Path, *iterations: int, **values) -> None:
    for iteration in iterations:
        events.append(path, events_of_runs.step(iteration=iteration, **values))


def iterations_of(path: Path, **how) -> list[int]:
    return [event.iteration for event in events.read(path, StepEvent, **how)]


def test_events_come_back_in_order_and_by_kind(path) -> None:
    assert (events.read(path), events.latest(path)) == ([], None)
    written = [
        *(StatusEvent(status="running"), events_of_runs.step(), events_of_runs.round_written(classes=[0, 2])),
        *(events_of_runs.squeeze_step(), events_of_runs.student_step()),
        *(events_of_runs.squeeze_epoch(), events_of_runs.student_epoch()),
    ]
    for event in written:
        events.append(path, event)
    found = events.read(path)
    assert [event.model_copy(update={"time": ""}) for event in found] == written
    assert all(event.time.endswith("Z") for event in found)
    assert events.read(path, StepEvent) == [found[1]]
    assert events.read(path, TimedEvent) == found[1:]
    assert events.latest(path, StatusEvent) == found[0]
    assert events.latest(path) == found[-1]
    assert (events.latest(path, NoteEvent), found[2].classes) == (None, (0, 2))


def test_a_line_holds_the_kind_what_was_said_and_the_time(path) -> None:
    events.append(path, events_of_runs.student_epoch(top1=None))
    (line,) = path.read_text().splitlines()
    told = json.loads(line)
    assert (told["kind"], told["top1"], "rank" in told, "top5" in told) == ("epoch", None, False, False)
    events.append(path, events_of_runs.student_epoch().model_copy(update={"rank": 1}))
    assert [event.rank for event in events.read(path)] == [0, 1]


@pytest.mark.parametrize(
    "example", sorted(assets_dir().glob("examples/*/events.jsonl")), ids=lambda path: path.parent.name
)
def test_every_line_of_runs_made_before_is_read_as_it_was_written(example) -> None:
    for line in example.read_bytes().splitlines(keepends=True):
        event = events.from_line(line)
        assert event is not None
        assert {**json.loads(events.to_line(event)), "time": event.time} == json.loads(line)


STEP = json.loads(events.to_line(events_of_runs.step()))


@pytest.mark.parametrize(
    "line",
    [
        '{"kind":"step","batch":"abc"}',
        "[1, 2]",
        "{}",
        '{"kind":["step"]}',
        '{"kind":"later","x":1}',
        '{"kind":"note"}',
        "[" * 100_000,
        *(
            json.dumps({**STEP, name: value})
            for name, value in (
                *(("batch", "abc"), ("batch", -1), ("batch", 10**30), ("rounds", 0), ("iterations", None)),
                *(("t", float("inf")), ("ce_loss", float("nan")), ("image_iterations_total", 0), ("start_rounds", 5)),
            )
        ),
    ],
)
def test_lines_of_others_and_odd_values_are_passed_over(path, line) -> None:
    write_steps(path, 1)
    assert iterations_of(path) == [1]
    with path.open("a") as file:
        file.write(line + "\n")
    write_steps(path, 2)
    assert iterations_of(path) == iterations_of(path, batch=0) == [1, 2]
    assert events.latest(path, StepEvent).iteration == 2
    assert len(events.read(path)) == 2


def test_a_torn_last_line_is_left_out_and_the_next_event_is_whole(path) -> None:
    write_steps(path, 1)
    for torn in (b'{"kind":"step","iter', b'{"kind": "st\r\x00\xff\r\n'):
        with path.open("ab") as file:
            file.write(torn)
        assert iterations_of(path)[-1] == events.latest(path, StepEvent).iteration
        write_steps(path, 2)
    assert iterations_of(path) == [1, 2, 2]


def test_the_latest_event_is_found_far_from_the_end(path) -> None:
    events.append(path, events_of_runs.round_written(round=1))
    filler = events.to_line(events_of_runs.step())
    with path.open("ab") as file:
        file.write(filler * (200_000 // len(filler)))
    assert events.latest(path, RoundEvent).round == 1
    assert events.latest(path, SqueezeEpochEvent) is None


def test_a_growing_file_is_read_on_and_a_new_one_from_its_beginning(path, monkeypatch) -> None:
    write_steps(path, *range(50))
    assert len(events.read(path)) == 50
    parsed, parse = [], events.from_line
    monkeypatch.setattr(events, "from_line", lambda line: parsed.append(line) or parse(line))
    write_steps(path, 50)
    assert iterations_of(path, last=2) == [49, 50]
    assert len(parsed) == 1 + 2  # what was added, and what was asked for
    assert iterations_of(path) == list(range(51))
    path.unlink()
    assert events.read(path) == []
    events.append(path, NoteEvent(text="anew"))
    assert [event.text for event in events.read(path)] == ["anew"]


def test_a_longer_file_in_the_place_of_another_is_read_from_its_beginning(path) -> None:
    """Systems give the number of a deleted file to the next one."""
    events.append(path, NoteEvent(text="an old one"))
    assert len(events.read(path)) == 1
    number = path.stat().st_ino
    path.write_bytes(b"")
    for text in ("new", "newer", "newest"):
        events.append(path, NoteEvent(text=text))
    assert path.stat().st_ino == number
    assert [event.text for event in events.read(path)] == ["new", "newer", "newest"]


def test_a_choice_of_events_is_even_and_holds_the_first_and_the_newest(path) -> None:
    for number in range(10):
        write_steps(path, number, batch=number % 2)
        events.append(path, NoteEvent(text="between"))
    assert iterations_of(path, most=4) == [0, 3, 6, 9]
    assert iterations_of(path, most=2) == [0, 9]
    assert iterations_of(path, most=10) == iterations_of(path, most=11) == iterations_of(path, last=11)
    assert iterations_of(path, last=3) == [7, 8, 9]
    assert iterations_of(path, last=0) == []
    assert iterations_of(path, last=7, most=3) == [3, 6, 9]
    assert iterations_of(path, batch=1) == [1, 3, 5, 7, 9]
    assert len(events.read(path, batch=0)) == 15  # notes name no batch
