import argparse
import errno
import os
import pickle
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from some_card import CARD
from torch import nn

from delt_engine.errors import CheckpointError
from delt_engine.models.card import read_card
from delt_engine.models.checkpoints import fit_state, load_state, save_teacher, weights_fingerprint


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


class Malicious:
    """Writes a file when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch '{self.target}'",)


def test_saved_teacher_comes_back_with_its_card(tmp_path):
    network = small().to(memory_format=torch.channels_last)
    path = save_teacher(tmp_path / "new" / "mine.safetensors", network, CARD)
    state = load_state(path)
    other = small()
    fit_state(other, state)
    for key, value in network.state_dict().items():
        assert torch.equal(other.state_dict()[key], value)
    card = read_card(path)
    assert (card.name, card.mean, card.fingerprint) == ("mine", CARD.mean, weights_fingerprint(network.state_dict()))
    assert [file.name for file in path.parent.iterdir()] == ["mine.safetensors"]


@pytest.mark.parametrize(
    ("number", "text"),
    [(errno.ENOSPC, "there is no space left on the disk"), (errno.EACCES, "there is no permission to write there")],
)
def test_no_room_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, number, text):
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"before")

    def refuse(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(CheckpointError, match=rf"mine\.safetensors cannot be written: {text}\.$"):
        save_teacher(path, small(), CARD)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("mine.safetensors", b"before")]


@pytest.mark.parametrize(
    "write",
    [
        lambda path, bad: torch.save({"model": {"weight": torch.zeros(2)}, "extra": bad}, path),
        lambda path, bad: torch.save({"extra": bad}, path, _use_new_zipfile_serialization=False),
        lambda path, bad: path.write_bytes(pickle.dumps(bad)),
        lambda path, bad: path.write_bytes(pickle.dumps(bad, protocol=2)),
    ],
    ids=["zip", "legacy", "pickle", "pickle 2"],
)
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_malicious_pickle_is_refused_and_does_not_run(tmp_path, write, suffix):
    target, path = tmp_path / "ran", tmp_path / f"bad.{suffix}"
    write(path, Malicious(target))
    with pytest.raises(
        CheckpointError, match="Python objects besides tensors, .* can run code, so it was refused"
    ) as caught:
        load_state(path)
    assert "\n" not in str(caught.value)
    assert not target.exists()


def test_the_malicious_pickle_is_a_real_one(tmp_path):
    target, path = tmp_path / "ran", tmp_path / "bad.pth"
    torch.save(Malicious(target), path)
    torch.load(path, weights_only=False)
    assert target.exists()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"model": state, "epoch": 3, "args": argparse.Namespace(lr=0.1)},
        lambda state: {"state_dict": {f"module.{key}": value for key, value in state.items()}},
        lambda state: {"net": {f"module._orig_mod.{key}": value for key, value in state.items()}, "acc": 90.0},
        lambda state: {"state_dict": {f"model.{key}": value for key, value in state.items()}},
        lambda state: {"model": {"state_dict": state}},
    ],
)
def test_usual_wrappers_are_unpacked(tmp_path, wrap):
    state = small().state_dict()
    torch.save(wrap(state), tmp_path / "a.pth")
    found = load_state(tmp_path / "a.pth")
    assert list(found) == list(state)
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_legacy_and_misnamed_files_are_read_by_content(tmp_path):
    state = small().state_dict()
    torch.save(state, tmp_path / "a.safetensors", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(state, tmp_path / "b.pth")
    assert load_state(tmp_path / "a.safetensors").keys() == state.keys()
    assert load_state(tmp_path / "b.pth").keys() == state.keys()


def test_header_length_that_looks_like_a_pickle_is_no_matter(tmp_path):
    """One header in 32 has a length that begins with the byte pickles begin with."""
    for filler in range(256):
        card = replace(CARD, source="x" * filler)
        path = save_teacher(tmp_path / "a.safetensors", small(), card)
        if path.read_bytes()[:1] == b"\x80":
            break
    assert path.read_bytes()[:1] == b"\x80"
    assert load_state(path).keys() == small().state_dict().keys()


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated_files_are_one_sentence(tmp_path, suffix, share):
    path = tmp_path / f"a.{suffix}"
    if suffix == "pth":
        torch.save({"model": small().state_dict()}, path)
    else:
        save_teacher(path, small(), CARD)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(CheckpointError, match=rf"a\.{suffix} is truncated or no checkpoint\.$"):
        load_state(path)


def test_what_holds_no_weights_is_one_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read .No such file"):
        load_state(tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="cannot be read .Is a directory"):
        load_state(tmp_path)
    torch.save({"epoch": 3}, tmp_path / "b.pth")
    torch.save([torch.zeros(2)], tmp_path / "c.pth")
    torch.save({"a": torch.zeros(2), "b": torch.tensor([1.0, float("nan")])}, tmp_path / "d.pth")
    torch.save(small(), tmp_path / "e.pth")
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "words.pth").write_bytes(b"PK\x03\x04hello")
    for name, words in (
        ("empty.pth", "is empty"),
        ("words.pth", "truncated or no checkpoint"),
        ("b.pth", "holds no weights"),
        ("c.pth", "holds no weights"),
        ("d.pth", "values that are not finite, first in b"),
        ("e.pth", r"save the network's state_dict\(\) alone"),
    ):
        with pytest.raises(CheckpointError, match=words):
            load_state(tmp_path / name)


def test_misfit_names_the_first_three(tmp_path):
    state = nn.Sequential(nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5)).state_dict() | {"fc.bias": torch.zeros(1)}
    del state["1.weight"]
    before = small()
    kept = {key: value.clone() for key, value in before.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        fit_state(before, state, "smallnet")
    assert str(caught.value) == (
        "teacher: the weights do not fit smallnet: 0.weight is 5x3x1x1 in the file but 4x3x3x3 in the network, "
        "0.bias is 5 in the file but 4 in the network, 1.weight is missing, and 4 more; network, width, stem and "
        "number of classes must be those of the checkpoint."
    )
    assert all(torch.equal(before.state_dict()[key], kept[key]) for key in kept)


def test_fingerprint_sees_values_names_and_shapes():
    values = torch.arange(4.0)
    states = [{"a": values}, {"b": values}, {"a": values.reshape(2, 2)}, {"a": values + 1e-7}, {"a": values.clone()}]
    prints = [weights_fingerprint(state) for state in states]
    assert len(set(prints)) == 4
    assert prints[0] == prints[-1]


def test_old_files_without_batch_counters_and_half_precision_fit():
    network, state = small(), {key: value.half() for key, value in small().state_dict().items()}
    del state["1.num_batches_tracked"]
    fit_state(network, state)
    assert network[0].weight.dtype == torch.float32
    assert torch.equal(network[0].weight, state["0.weight"].float())
