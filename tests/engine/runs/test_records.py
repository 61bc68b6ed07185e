"""The record in run.json: read back as written, refused as a whole when it is damaged."""

import json

import pytest
from fake_runs import fake_experiment

from delt_engine.errors import RunError
from delt_engine.runs.record import ProcessRecord, RunRecord, now, read_record


def record() -> RunRecord:
    return RunRecord(id="a", experiment=fake_experiment("cda", classes=("cat", "coffee")), created=now())


def test_a_record_is_read_back_as_it_was_written() -> None:
    written = record().changed(process=ProcessRecord(pid=1, created=2.5, hostname="here"), notes=("one",), threads=2)
    assert read_record(written.to_json(), "a") == written


def test_names_of_a_later_version_are_left_aside() -> None:
    values = {**json.loads(record().to_json()), "colour": "red"}
    assert read_record(json.dumps(values), "a") == record().changed(created=values["created"])


def test_changes_are_checked() -> None:
    assert record().changed(status="paused").status == "paused"
    with pytest.raises(RunError, match="no entry named 'colour'"):
        record().changed(colour="red")
    with pytest.raises(RunError, match="seconds"):
        record().changed(seconds="long")
