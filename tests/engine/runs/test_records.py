"""The record in run.json: read back as written, refused as a whole when it is damaged."""

from __future__ import annotations

import json

import pytest
from fake_runs import fake_experiment

from delt_engine.errors import RunError
from delt_engine.runs.record import ProcessRecord, RunRecord, now, read_record, versions


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


def test_times_are_utc_and_sort_as_text() -> None:
    first, second = now(), now()
    assert first.endswith("Z")
    assert len(first) == len("2026-01-02T03:04:05.678Z")
    assert first <= second


def test_versions_of_what_is_missing_say_so(monkeypatch) -> None:
    from delt_engine.runs import record as records

    def missing(name):
        raise records.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(records.metadata, "version", missing)
    assert versions()["torch"] == "not installed"
