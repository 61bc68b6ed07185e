"""Numbers that come with the package belong to an experiment, stand where nothing was measured, and are kept whole."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from delt_engine.config import Experiment
from delt_engine.errors import DataError
from delt_engine.papers import kept as module_of_kept
from delt_engine.papers.cells import Scale, paper_cell
from delt_engine.papers.kept import Kept, kept_key, kept_number, read_kept, write_kept
from delt_engine.papers.laptop import laptop_cell
from delt_engine.papers.paper_tables import TABLES, find_table
from delt_engine.paths import assets_dir
from delt_engine.pipeline.image_measures import judge_fingerprint
from delt_engine.pipeline.keep_numbers import keep_numbers, machine_words
from delt_engine.pipeline.table_records import Measured
from delt_engine.pipeline.table_view import cells_of, table_view
from delt_engine.runs.record import RunRecord

ONE = Kept("k", "DELT Table 4c, MI 1,000, RI 500, laptop scale", 41.0, 1.5, 3, "a processor", "2026-01-01", 40.0, 2.0)


WORDS = json.dumps({"schema_version": 1, "numbers": [vars(ONE) | {"value": "41"}]})
"""A number that is none."""


def _shipped() -> list[Kept]:
    return read_kept(assets_dir() / "measured" / "numbers.json")


@pytest.fixture
def brought(tmp_path, monkeypatch):
    """A package that brings one number, that of the first cell of a table at laptop scale."""
    _, cell, _ = cells_of(find_table("delt-4c"), "laptop")[0]
    folder = _folder(tmp_path / "assets", replace(ONE, key=kept_key(cell)))
    monkeypatch.setattr(module_of_kept, "assets_dir", lambda: folder)
    return cell


def _folder(root: Path, *numbers: Kept) -> Path:
    """Return a folder of assets with these numbers."""
    write_kept(root / "measured" / "numbers.json", numbers)
    return root


def test_every_number_that_ships_is_of_an_experiment_of_today() -> None:
    scales: tuple[Scale, ...] = ("paper", "laptop")
    cells = [cell for scale in scales for table in TABLES for _, cell, _ in cells_of(table, scale) if cell]
    keys = {kept_key(cell, judge_fingerprint(cell)) for cell in cells}
    shipped = _shipped()
    assert [one.what for one in shipped if one.key not in keys] == []
    assert len({one.key for one in shipped}) == len(shipped) > 100
    for one in shipped:
        assert one.n >= 1
        assert (one.std is None) == (one.n == 1)
        assert "torch" in one.on


def test_another_setting_is_another_experiment(brought) -> None:
    other = brought.experiment.recover.replace(r_bn=0.5)
    assert kept_number(brought).value == 41.0
    assert kept_number(replace(brought, experiment=brought.experiment.replace(recover=other))) is None
    assert kept_key(paper_cell(brought.value)) != kept_key(brought)
    assert kept_key(brought, "another judge") != kept_key(brought)
    assert kept_key(replace(brought, relabeller=brought.experiment.teacher)) != kept_key(brought)
    how = brought.experiment.recover.replace(precision="bfloat16")
    same = brought.experiment.replace(recover=how, evaluate=brought.experiment.evaluate.replace(validate_every=7))
    assert kept_key(replace(brought, experiment=same)) == kept_key(brought)  # computed in another way


def test_a_network_counts_by_its_weights_wherever_its_file_is(brought, tmp_path) -> None:
    copy = shutil.copy(brought.experiment.teacher, tmp_path / "copied.safetensors")
    moved = replace(brought, experiment=brought.experiment.replace(teacher=str(copy)))
    assert kept_key(moved) == kept_key(brought)
    others = (path for path in (assets_dir() / "teachers").iterdir() if str(path) != brought.experiment.teacher)
    other = next(path for path in others if path.suffix == ".safetensors")
    assert kept_key(replace(brought, experiment=brought.experiment.replace(teacher=str(other)))) != kept_key(brought)


def test_steps_of_the_classes_are_told_apart() -> None:
    keys = [kept_key(cell) for _, cell, _ in cells_of(find_table("cda-14"), "laptop") if cell]
    assert len(set(keys)) == len(keys) == 10
    assert len({cell.key for _, cell, _ in cells_of(find_table("cda-14"), "laptop") if cell}) < len(keys)


def test_a_kept_number_stands_in_its_cell_which_is_still_missing(brought) -> None:
    first, *others = table_view("delt-4c", "laptop", runs=()).cells
    assert (first.kept.shown, first.measured, first.state) == ((41.0, 1.5), None, "missing")
    assert first.known is first.kept
    assert first.is_known
    assert first.is_open
    assert first.price.seconds > 0
    assert first.gap is None  # of the laptop only the order may be compared
    assert not any(one.is_known for one in others)
    partly = replace(first, measured=Measured(50.0, None, 1), state="stopped")
    assert partly.known is first.kept  # until it is finished here
    assert replace(first, measured=Measured(50.0, 1.0, 3), kept=None).known == Measured(50.0, 1.0, 3)
    assert kept_number(laptop_cell(paper_cell(brought.value), ("MI", "RI"))) is not None


def test_at_paper_scale_it_has_a_gap(tmp_path, monkeypatch) -> None:
    _, cell, _ = cells_of(find_table("delt-4c"), "paper")[0]
    folder = _folder(tmp_path / "assets", replace(ONE, key=kept_key(cell)))
    monkeypatch.setattr(module_of_kept, "assets_dir", lambda: folder)
    asked = table_view("delt-4c", runs=(), validate_every=100)  # it is the same question
    assert asked.cells[0].gap == pytest.approx(41.0 - 44.87)
    assert asked.cells[1].gap is None


def test_a_damaged_file_that_ships_stops_nothing(tmp_path, monkeypatch) -> None:
    path = _folder(tmp_path / "assets", ONE) / "measured" / "numbers.json"
    path.write_text("{broken")
    monkeypatch.setattr(module_of_kept, "assets_dir", lambda: path.parents[1])
    assert not any(one.kept for one in table_view("delt-4c", "laptop", runs=()).cells)
    path.unlink()
    assert not any(one.kept for one in table_view("delt-4c", "laptop", runs=()).cells)


def test_the_order_is_of_all_numbers_that_stand_there() -> None:
    assert table_view("delt-4c", "laptop", runs=()).order.pairs == 15
    assert table_view("cda-14", "laptop", runs=()).order.pairs == 5


def test_what_is_written_is_read_again(tmp_path) -> None:
    path = tmp_path / "numbers.json"
    other = replace(ONE, key="j", what="CDA Table 1", std=None, n=1, last=None, last_std=None)
    write_kept(path, [ONE, other])
    assert read_kept(path) == [other, ONE]  # by what they are
    assert len(path.read_text().splitlines()) == 7  # one a line


@pytest.mark.parametrize(
    "text", ["", "[]", '{"schema_version": 1, "numbers": [{"key": "a"}]}', '{"numbers": []}', WORDS]
)
def test_a_damaged_file_is_refused(tmp_path, text) -> None:
    path = tmp_path / "numbers.json"
    path.write_text(text)
    with pytest.raises(DataError, match="holds no kept numbers .*remove it or name another file"):
        read_kept(path)
    path.write_text(json.dumps({"schema_version": 9, "numbers": []}))
    with pytest.raises(DataError, match="schema_version 9, but it must be 1"):
        read_kept(path)


def test_what_was_measured_is_kept_beside_what_is_there(tmp_path, brought) -> None:
    path, view = tmp_path / "own.json", table_view("delt-4c", "laptop", runs=())
    write_kept(path, [ONE])
    first, second = view.cells[:2]
    here = Measured(28.123, 1.257, 3, 29.456, 0.5)
    done = replace(second, measured=here, state="finished")
    measured = replace(view, cells=(first, done, *view.cells[2:]))
    assert keep_numbers(path, [measured]) == 1
    assert keep_numbers(path, [measured]) == 0
    ours = next(one for one in read_kept(path) if one.key != "k")
    assert (ours.value, ours.std, ours.n, ours.last, ours.last_std) == (29.46, 0.5, 3, 28.12, 1.26)
    assert ours.what == "DELT Table 4c, MI 1,000, RI 1,000, laptop scale"
    assert ours.key == kept_key(second.cell)
    assert "torch" in ours.on
    assert ONE in read_kept(path)
    fewer = replace(done, measured=replace(here, best=35.0, n=1))
    begun = replace(done, measured=replace(here, best=35.0), state="stopped")
    assert keep_numbers(path, [replace(view, cells=(fewer, begun))]) == 0
    again = replace(measured, cells=(replace(done, measured=replace(here, best=30.0)),))
    assert keep_numbers(path, [again]) == 1
    assert {one.value for one in read_kept(path)} == {41.0, 30.0}


def test_what_needs_no_run_and_what_comes_as_a_run_is_not_kept(tmp_path) -> None:
    path = tmp_path / "own.json"
    assert keep_numbers(path, [table_view("cda-20", "laptop"), table_view("delt-1")]) == 0
    assert read_kept(path) == []


@pytest.mark.parametrize(
    ("kind", "precision", "device", "words"),
    [
        ("recover", "bfloat16", "cpu", "AMD EPYC, AVX2, torch 2.14.1, bfloat16, 2 threads"),
        ("recover", "auto", "cpu", "AMD EPYC, AVX2, torch 2.14.1, 2 threads"),
        ("recover", "auto", "cuda", "H200, torch 2.14.1, bfloat16"),
        ("evaluate", "float32", "cuda", "H200, torch 2.14.1"),
        ("squeeze", "bfloat16", "cpu", "AMD EPYC, AVX2, torch 2.14.1, bfloat16, 2 threads"),
    ],
)
def test_the_machine_is_told_with_its_number_format(kind, precision, device, words) -> None:
    plain = Experiment()
    experiment = plain.replace(**{kind: getattr(plain, kind).replace(precision=precision)})
    machine = {"processor": "AMD EPYC", "instructions": "AVX2", "torch": "2.14.1", "threads": 2}
    about = {"device": device, "device_name": "CPU" if device == "cpu" else "H200", "machine": machine}
    record = RunRecord(id="a", kind=kind, experiment=experiment, created="2026-01-01T00:00:00Z", **about)
    assert machine_words(record) == words
