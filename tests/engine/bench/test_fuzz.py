"""A few cases of every kind are taken or refused well; and what is not is found, whatever it is."""

from __future__ import annotations

import os
import random
import time

import pytest

from delt_engine.bench import fuzz
from delt_engine.bench.fuzz_cases import TARGETS, Case
from delt_engine.bench.odd_values import hostile_pickle, odd_bytes, odd_tree
from delt_engine.errors import DataError


def test_bad_input_is_taken_or_refused_in_one_sentence(tmp_path):
    found = fuzz.fuzz(tmp_path, 104, seed=7)
    assert found.cases == 104
    assert not found.findings, found.to_record()["findings"]
    assert set(found.taken + found.refused) == set(TARGETS)


def _refuses(text):
    def target(case, _subject):
        raise DataError(text)

    return target


def _writes_outside(case, _subject):
    (case.folder.parent.parent.parent / "out.txt").write_text("x")


def _removes_outside(case, _subject):
    os.remove(case.folder.parent.parent.parent / "other.txt")  # noqa: PTH107


def _starts(_case, _subject):
    os.system("true")


def _opens_pipe(case, _subject):
    os.mkfifo(case.folder / "pipe")
    (case.folder / "pipe").open("rb")


def _runs_code(case, _subject):
    import pickle

    pickle.loads(hostile_pickle(case.folder))  # noqa: S301


BAD = {
    "a traceback": (lambda case, _: {}["no"], "KeyError"),
    "an empty error": (_refuses(""), "without a text"),
    "our insides": (_refuses("<Foo object at 0x7f>"), "insides"),
    "a write": (_writes_outside, "writes outside its folder: open"),
    "a removal": (_removes_outside, "writes outside its folder: os.remove"),
    "a process": (_starts, "starts something: os.system"),
    "a hang": (_opens_pipe, "hangs"),
    "code": (_runs_code, "code ran"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_goes_wrong_is_found(name, tmp_path, monkeypatch):
    target, said = BAD[name]
    (tmp_path / "other.txt").write_text("stays")
    monkeypatch.setattr(fuzz, "PATIENCE_S", 0.2)
    monkeypatch.setitem(TARGETS, "settings", (target, lambda case: None))
    found = fuzz.fuzz(tmp_path / "home", 1, kinds=["settings"])
    assert any(said in what for what in found.findings), found.findings
    assert not (tmp_path / "out.txt").exists()
    assert (tmp_path / "other.txt").exists()


def test_a_case_is_the_same_whatever_was_tried_before(tmp_path):
    first, again = (Case.of(12, "settings", 3, tmp_path).draw for _ in range(2))
    assert first.random() == again.random()
    assert first.random() != Case.of(13, "settings", 3, tmp_path).draw.random()


def test_values_are_changed_and_the_given_ones_stay():
    draw, tree = random.Random(0), {"a": [1, {"b": 2}], "c": "text"}
    changed = [odd_tree(draw, tree) for _ in range(20)]
    assert all(one != tree for one in changed[:5])
    assert tree == {"a": [1, {"b": 2}], "c": "text"}
    assert odd_bytes(draw, b"some bytes of a file") != b"some bytes of a file"


def test_time_passes_without_an_alarm_after_a_case(tmp_path):
    fuzz.fuzz(tmp_path, 1, kinds=["settings"])
    assert time.monotonic() > 0
    import signal

    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_a_text_of_any_length_is_cut_to_what_can_be_shown():
    for length in (fuzz.MOST_LETTERS, fuzz.MOST_LETTERS + 1, 5000):
        assert len(str(DataError("x" * length))) == fuzz.MOST_LETTERS
