"""The doctor: what is sound is said to be, what is broken is found and named, and one broken check hides no other."""

import shutil

import pytest
from fake_runs import make_finished_run

from delt_engine.files import file_digest
from delt_engine.paths import assets_dir, runs_dir
from delt_engine.pipeline import doctor, self_test, shipped_files
from delt_engine.pipeline.doctor import examine


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    return tmp_path


def found(**options):
    return {finding.name: finding for finding in examine(**options)}


def test_a_sound_installation(home):
    findings = found(self_test=False)
    assert [name for name, one in findings.items() if one.is_ok is False] == []
    assert {
        "Python",
        "torch",
        "free disk",
        "free memory",
        "shipped files",
        "device cpu",
        "bfloat16 on the processor",
    } <= {*findings}


def test_the_self_test_holds_here_and_fails_where_losses_differ(monkeypatch):
    assert self_test.self_test("cpu").is_sound
    broken = self_test.SelfTest("cpu", tuple(1.05 * loss for loss in self_test.EXPECTED))
    assert not broken.is_sound
    assert not self_test.SelfTest("cpu", self_test.EXPECTED[:3]).is_sound
    monkeypatch.setattr(self_test, "self_test", lambda: broken)
    (finding,) = doctor._self_test()
    assert finding.is_ok is False
    assert "cannot be trusted" in finding.advice


def test_shipped_files_are_those_of_the_list_and_a_changed_one_is_named(home):
    assert list(shipped_files.differences()) == []
    assert file_digest(assets_dir() / "teachers" / "digits.safetensors") in shipped_files.shipped_digests().values()
    copy = home / "assets"
    for name in ("teachers", "datasets"):
        shutil.copytree(assets_dir() / name, copy / name)
    assert list(shipped_files.differences(copy)) == [f"{copy / 'checksums.json'} is missing or damaged"]
    shipped_files.write_list(copy)
    (copy / "teachers" / "digits.safetensors").write_bytes(b"x")
    (copy / "datasets" / "imagenette.txt").unlink()
    assert list(shipped_files.differences(copy)) == [
        "datasets/imagenette.txt is missing",
        "teachers/digits.safetensors is not as it was shipped",
    ]


def test_damaged_runs_are_named_with_what_to_do(home):
    whole, torn = make_finished_run(runs_dir() / "whole"), make_finished_run(runs_dir() / "torn")
    torn.image_path(torn.classes[0], 0).write_bytes(b"")
    (runs_dir() / "odd").mkdir()
    (runs_dir() / "odd" / "run.json").write_text("{")
    findings = {one.name: one for one in doctor._runs()}
    assert f"run {whole.id}" not in findings
    assert findings["run torn"].value == "1 of its images are missing or empty"
    assert "run.json cannot be read" in findings["run odd"].value
    assert "Delete" in findings["run odd"].advice


def test_little_room_and_a_check_that_breaks_are_findings(monkeypatch):
    monkeypatch.setattr(doctor, "LEAST_DISK", 2**62)
    monkeypatch.setattr(doctor, "_runs", broken_check)
    findings = found(self_test=False)
    assert findings["free disk"].is_ok is False
    assert findings["broken check"].value == "ValueError: odd"
    assert "device cpu" in findings


def broken_check():
    raise ValueError("odd")
    yield


def test_a_home_that_cannot_be_written_is_a_finding(home, monkeypatch):
    (home / "file").touch()
    monkeypatch.setenv("DELT_HOME", str(home / "file" / "inside"))
    assert [one.is_ok for one in doctor._writable()] == [False, False]
