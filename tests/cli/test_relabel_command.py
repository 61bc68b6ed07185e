"""``delt relabel``: what is written, what is printed, and that students are trained on it."""

from __future__ import annotations

import shlex

import pytest

from delt_engine.jobs import ranks
from delt_engine.models.card import read_card
from delt_engine.training.soft_labels import LabelStore


@pytest.fixture
def folder(data) -> list[str]:
    return ["real", *data]


@pytest.fixture
def training() -> list[str]:
    return ["--epochs", "2", "--student-batch-size", "16", "--rand-augment", "m5-n2-mstd1"]


def test_labels_are_written_as_large_as_predicted_and_students_train_on_them(answer, folder, training, tmp_path):
    words, out = ["relabel", *folder, *training, "--form", "float32"], tmp_path / "labels"
    predicted = answer(*words, "--predict")
    assert not out.exists()
    found = answer(*words, "--out", out)
    on_disk = sum(file.stat().st_size for file in out.glob("*.safetensors"))
    assert on_disk == found["bytes"]["total"] == predicted["bytes"]["total"]
    assert found["float16_bytes"]["labels"] * 2 == found["bytes"]["labels"]
    students = ["--student", "convnet-3", "--student-width", "0.0625", "--student-stem", "stock", "--quiet"]
    stored = answer(*shlex.split(found["evaluate"])[1:], *students, "--device", "cpu")
    live = answer("evaluate", *folder, *training, *students)
    assert stored["labels"] == "stored"
    assert stored["label_epochs"] == stored["epochs"]
    assert [stored[name] for name in ("top1_last", "per_class")] == [live[name] for name in ("top1_last", "per_class")]


def test_going_on_says_the_same(delt, folder, training, tmp_path):
    words = ["relabel", *folder, *training, "--form", "float32", "--label-epochs", "2", "--out", tmp_path / "labels"]
    assert "2 epochs, every epoch's labels in float32" in delt(*words).stdout
    before = {path.name: path.read_bytes() for path in (tmp_path / "labels").iterdir()}
    (tmp_path / "labels" / "epoch-0002.safetensors").unlink()
    gone_on = delt(*words, "--progress-json")
    assert gone_on.exit_code == 0
    assert '{"what": "labels", "done": ' in gone_on.stderr
    assert {path.name: path.read_bytes() for path in (tmp_path / "labels").iterdir()} == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--recipe hard --predict", "there is nothing to store"),
        ("", "out: nothing given, but labels need a folder"),
        ("--form uint8 --predict", "'uint8' is not one of"),
        ("--label-epochs 301 --predict", "label_epochs: 301 given, but the training has 300 epochs"),
    ],
)
def test_what_cannot_be_is_said(refusal, folder, words, said):
    assert said in refusal("relabel", *folder, *words.split())


@pytest.fixture
def launched(monkeypatch):
    """Replace the start of ranks; what it was given, and the code it ends with."""
    found = {"code": 0}
    monkeypatch.setattr(
        ranks, "launch", lambda number, words: found.update(number=number, words=words) or found["code"]
    )
    return found


def test_several_ranks_are_given_the_same_question(delt, folder, training, launched, tmp_path):
    out = tmp_path / "labels"
    form = ["--form", "float32", "--label-epochs", "2", "--seed", "3"]
    words = ["relabel", *folder, *training, *form, "--out", out]
    assert delt(*words).exit_code == 0
    assert delt(*words, "--ranks", 2, "--json", "--quiet").exit_code == 0
    assert launched["number"] == 2
    assert launched["words"][-2:] == ["--json", "--quiet"]
    assert delt(*launched["words"]).exit_code == 0  # the store is of just these settings, or it would be refused
    (out / "epoch-0002.safetensors").unlink()
    assert delt(*words, "--ranks", 2).exit_code == 130  # all ended well, so they were asked to stop
    launched["code"] = 1
    assert delt(*words, "--ranks", 2).exit_code == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--device cuda:97", "device: 'cuda:97' given"),
        ("--dataset nowhere", "nowhere"),
        ("--recipe hard", "there is nothing to store"),
        ("--seed 8", "holds labels of seed 0, but 8 is asked for"),
        ("--form float32", "holds labels of form 'float16', but 'float32' is asked for"),
        ("--classes red,blue", "holds labels of images 48, but 32 is asked for"),
    ],
)
def test_what_cannot_be_is_said_before_ranks_are_started(
    delt, refusal, folder, training, launched, tmp_path, words, said
):
    relabel, out = ["relabel", *folder, *training], ["--out", tmp_path / "labels"]
    assert delt(*relabel, *out).exit_code == 0
    assert said in refusal(*relabel, *words.split(), *out, "--ranks", 2)
    assert "number" not in launched


def test_labels_of_another_teacher_are_refused_by_relabelling_and_by_training(
    delt, refusal, folder, training, launched, squeeze_options, tmp_path
):
    labels, other = tmp_path / "labels", tmp_path / "other.safetensors"
    assert delt("relabel", *folder, *training, "--out", labels).exit_code == 0
    assert delt("squeeze", *folder[1:], *squeeze_options, "--seed", 1, "--out", other, "--quiet").exit_code == 0
    for words in ((), ("--ranks", 2)):
        done = refusal("relabel", *folder, *training, "--teacher", other, "--out", labels, *words)
        assert f"out: {labels} holds labels of teacher fingerprint " in done
    students = ["--student", "convnet-3", "--student-width", "0.0625", "--labels", "stored", "--label-store", labels]
    done = refusal("evaluate", *folder, *training, *students, "--teacher", other, "--quiet")
    made_with, given = LabelStore.open(labels).facts.teacher_fingerprint, read_card(other).fingerprint
    assert f"label_store: {labels} has labels of teacher {made_with}, but {given} is asked for" in done
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    done = refusal("relabel", *folder, *training, "--out", tmp_path / "full", "--ranks", 2)
    assert "it must be a new folder, an empty one, or labels to go on with" in done
    assert "number" not in launched


def test_a_teacher_that_is_not_the_runs_any_more_is_said_before_ranks_are_started(
    delt, refusal, data, small, training, launched, squeeze_options, tmp_path
):
    own, run = tmp_path / "own.safetensors", tmp_path / "run"
    squeeze = ["squeeze", *data, *squeeze_options, "--out", own, "--quiet"]
    assert delt(*squeeze).exit_code == 0
    assert delt("recover", *small, "--teacher", own, "--out", run, "--quiet").exit_code == 0
    own.unlink()
    assert delt(*squeeze, "--seed", 1).exit_code == 0
    done = refusal("relabel", run, *training, "--out", tmp_path / "labels", "--ranks", 2, code=1)
    assert f"teacher: own is not the one any more that run {run} was made with" in done
    assert "number" not in launched
