"""Events: one a line, whatever happened to the writer."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from delt_engine.errors import RunError
from delt_engine.runs import events


def test_events_come_back_in_order_and_by_kind(tmp_path) -> None:
    path = tmp_path / "events.jsonl"
    for number in range(3):
        events.append(path, {"kind": "step" if number else "note", "iteration": number})
    assert [event["iteration"] for event in events.read(path)] == [0, 1, 2]
    assert [event["iteration"] for event in events.read(path, "step")] == [1, 2]
    assert all(event["time"].endswith("Z") for event in events.read(path))
    assert events.latest(path, "note")["iteration"] == 0
    assert events.latest(path)["iteration"] == 2


def test_a_torn_last_line_is_left_out_and_the_next_event_is_whole(tmp_path) -> None:
    path = tmp_path / "events.jsonl"
    events.append(path, {"kind": "step", "iteration": 1})
    with path.open("ab") as file:
        file.write(b'{"kind":"step","iter')
    assert [event["iteration"] for event in events.read(path)] == [1]
    assert events.latest(path, "step")["iteration"] == 1
    events.append(path, {"kind": "step", "iteration": 2})
    assert [event["iteration"] for event in events.read(path)] == [1, 2]


def test_the_latest_event_is_found_far_from_the_end(tmp_path) -> None:
    path = tmp_path / "events.jsonl"
    events.append(path, {"kind": "round", "round": 1})
    filler = b'{"kind":"step","iteration":1}\n'
    with path.open("ab") as file:
        file.write(filler * (200_000 // len(filler)))
    assert events.latest(path, "round")["round"] == 1
    assert events.latest(path, "epoch") is None


def test_no_file_means_no_events(tmp_path) -> None:
    assert events.read(tmp_path / "events.jsonl") == []
    assert events.latest(tmp_path / "events.jsonl") is None


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch) -> None:
    def full(self, *args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(RunError, match="no space left on the disk"):
        events.append(tmp_path / "events.jsonl", {"kind": "note"})


def test_a_growing_file_is_read_on_and_a_new_one_from_its_beginning(tmp_path, monkeypatch) -> None:
    path = tmp_path / "events.jsonl"
    for number in range(50):
        events.append(path, {"kind": "step", "iteration": number})
    assert len(events.read(path)) == 50
    parsed, parse = [], events.json.loads
    monkeypatch.setattr(events.json, "loads", lambda line, **how: parsed.append(line) or parse(line, **how))
    events.append(path, {"kind": "step", "iteration": 50})
    assert [event["iteration"] for event in events.read(path, "step", last=2)] == [49, 50]
    assert len(parsed) == 1 + 2  # what was added, and what was asked for
    assert [event["iteration"] for event in events.read(path, "step")] == list(range(51))
    path.unlink()
    assert events.read(path) == []
    events.append(path, {"kind": "note", "text": "anew"})
    assert [event["kind"] for event in events.read(path)] == ["note"]


def test_a_longer_file_in_the_place_of_another_is_read_from_its_beginning(tmp_path) -> None:
    """Systems give the number of a deleted file to the next one."""
    path = tmp_path / "events.jsonl"
    events.append(path, {"kind": "note", "text": "an old one"})
    assert len(events.read(path)) == 1
    number = path.stat().st_ino
    path.write_bytes(b"")
    for text in ("new", "newer", "newest"):
        events.append(path, {"kind": "note", "text": text})
    assert path.stat().st_ino == number
    assert [event["text"] for event in events.read(path)] == ["new", "newer", "newest"]


def test_a_choice_of_events_is_even_and_holds_the_first_and_the_newest(tmp_path) -> None:
    path = tmp_path / "events.jsonl"
    for number in range(10):
        events.append(path, {"kind": "step", "iteration": number})
        events.append(path, {"kind": "note", "iteration": -1})

    def chosen(**how) -> list[int]:
        return [event["iteration"] for event in events.read(path, "step", **how)]

    assert chosen(most=4) == [0, 3, 6, 9]
    assert chosen(most=2) == [0, 9]
    assert chosen(most=10) == chosen(most=11) == chosen(last=11) == list(range(10))
    assert chosen(last=3) == [7, 8, 9]
    assert chosen(last=0) == []
    assert chosen(last=7, most=3) == [3, 6, 9]


def test_events_of_one_batch_and_a_torn_line_with_odd_bytes(tmp_path) -> None:
    path = tmp_path / "events.jsonl"
    events.append(path, {"kind": "step", "iteration": 0})
    with path.open("ab") as file:
        file.write(b'{"kind": "st\r\x00\xff\r\n')
    for batch in (1, 0, 1):
        events.append(path, {"kind": "step", "iteration": 9, "batch": batch})
    assert [event.get("batch") for event in events.read(path, "step")] == [None, 1, 0, 1]
    assert [event["iteration"] for event in events.read(path, "step", batch=0)] == [0, 9]
    assert len(events.read(path, batch=1)) == 2


def test_what_is_kept_of_a_followed_file_does_not_grow_with_its_events(tmp_path) -> None:
    path = tmp_path / "events.jsonl"
    with path.open("w") as file:
        file.writelines(f'{{"kind": "step", "text": "{number:01000d}"}}\n' for number in range(2000))
    assert len(events.read(path, "step", most=10)) == 10
    index = events._index_of(path)
    assert sum(sys.getsizeof(kept) for kept in vars(index).values()) < 100_000  # of two million bytes
    assert len({id(kind) for kind in index._kinds}) == 1
