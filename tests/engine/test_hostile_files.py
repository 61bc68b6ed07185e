"""No code of a file runs, whatever reads it; and odd names and files are one sentence."""

from __future__ import annotations

import ast
import contextlib
import os
import random
import re
import zipfile
from pathlib import Path

import pytest
import torch
from small_pictures import folder

from delt_engine.cli.output import say, say_table
from delt_engine.config import Experiment
from delt_engine.data import unpack
from delt_engine.data.available import add_folder, place_of
from delt_engine.data.catalogue import load_dataset
from delt_engine.data.tensor_files import read_tensors
from delt_engine.errors import CheckpointError, ConfigError, DataError, DeltError
from delt_engine.models.card import TeacherCard, find_teacher, read_card
from delt_engine.models.checkpoints import load_state, safetensors

ROOT = Path(__file__).resolve().parents[2]

NEVER = {"eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "pickle.load", "pickle.loads"} | {
    "joblib.load",
    "torch.hub.load",
    "shutil.unpack_archive",
    "tarfile.TarFile.extractall",
}

SUSPECT = re.compile(r"eval\(|exec\(|os\.|yaml|pickle|load\(|unpack|tarfile|shell|unsafe")
"""What the call stands in; files without any are not parsed."""


def calls(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}


def test_nothing_here_runs_what_a_file_says() -> None:
    found = []
    for path in [ROOT / "app.py", *(ROOT / "pages").rglob("*.py"), *(ROOT / "delt_engine").rglob("*.py")]:
        if not SUSPECT.search(path.read_text(encoding="utf-8")):
            continue
        for name, words in calls(path):
            unsafe = name in NEVER or words.get("shell") == "True" or words.get("allow_pickle", "False") != "False"
            unsafe |= name == "torch.load" and words.get("weights_only") != "True"
            unsafe |= words.get("unsafe_allow_html") == "True" or words.get("unsafe_allow_javascript") == "True"
            found += [(path.name, name)] if unsafe else []
    assert found == []


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_float8_is_read_and_what_is_not_finite_in_it_is_refused(tmp_path, suffix) -> None:
    path, weights = tmp_path / f"net{suffix}", {"w": torch.tensor([1.0, 2.0]).to(torch.float8_e4m3fn)}
    save = torch.save if suffix == ".pt" else safetensors.torch.save_file
    save(weights, path)
    assert load_state(path)["w"].dtype == torch.float8_e4m3fn
    save({"w": torch.tensor([1.0, float("nan")]).to(torch.float8_e4m3fn)}, path)
    with pytest.raises(CheckpointError, match="not finite, first in w"):
        load_state(path)


def test_damaged_legacy_pickles_are_one_sentence(tmp_path) -> None:
    path, draws = tmp_path / "net.pt", random.Random(1)
    torch.save({"w": torch.ones(5, 5), "x": torch.ones(3)}, path, _use_new_zipfile_serialization=False)
    good = path.read_bytes()
    for _ in range(80):  # among these: struct.error, AssertionError, TypeError
        bad = bytearray(good)
        for _ in range(draws.randint(1, 8)):
            bad[draws.randrange(len(bad))] = draws.randrange(256)
        path.write_bytes(bad[: draws.randrange(len(bad))] if draws.random() < 0.2 else bad)
        with contextlib.suppress(CheckpointError):
            load_state(path)


def test_a_card_that_is_nested_without_end_is_one_sentence() -> None:
    for text in ("[" * 100_000, '{"a":' * 100_000):
        with pytest.raises(CheckpointError, match="the card cannot be read"):
            TeacherCard.from_json(text)


@pytest.mark.parametrize("name", ["x" * 300, "/" + "x" * 300, "~nobody/x", "a\0b/c"])
def test_names_that_no_system_takes_are_one_sentence(name) -> None:
    assert place_of(name).state in ("missing", "unusable")
    for look in (load_dataset, add_folder, find_teacher, read_card):
        with pytest.raises(DeltError) as caught:
            look(name)
        assert len(str(caught.value)) <= 602


def test_a_pipe_among_the_pictures_is_left_out(tmp_path) -> None:
    root = folder(tmp_path / "set", 2)
    os.mkfifo(root / "train" / "class 0" / "a.png")
    data = load_dataset(str(root))  # without a size: the usual one is looked for in the files
    assert (len(data.train), data.counts["skipped"]) == (4, 1)


def test_a_tensor_that_repeats_one_number_without_end_is_refused(tmp_path) -> None:
    many = torch.zeros(1).expand(4, 3, 10**5, 10**5)
    torch.save({"w": many}, tmp_path / "net.pt")
    torch.save(many, tmp_path / "images.pt")
    torch.save([many[0]] * 4, tmp_path / "list.pt")
    with pytest.raises(CheckpointError, match="far more numbers than it has bytes for"):
        load_state(tmp_path / "net.pt")
    for name in ("images.pt", "list.pt"):
        with pytest.raises(DataError, match="far more numbers than it has bytes for"):
            read_tensors(tmp_path / name, 2, ((0.0,) * 3, (1.0,) * 3), "auto")


def test_a_zip_that_swells_beyond_what_pictures_do_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(unpack, "_SMALL", 10**5)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a/1.png", "b/1.png"):
            archive.writestr(name, bytes(10**6))
    with pytest.raises(DataError, match=r"bomb.zip unpacks to 0.0 GB, more than 100 times its size"):
        unpack.unpack_zip(tmp_path / "bomb.zip")


@pytest.mark.parametrize("setting", ["seed", "dataset", "classes", "recover: {method", "recover: {ipc"])
def test_a_few_lines_of_yaml_that_stand_for_billions_are_one_sentence(tmp_path, setting) -> None:
    path, names = tmp_path / "laughs.yaml", "abcdefghijk"
    lines = ["squeeze: &a [x, x, x, x, x, x, x, x, x]"]
    for stage, (before, after) in zip(
        ("rank", "select", "relabel", "evaluate"), zip(names, names[1:], strict=False), strict=False
    ):
        lines.append(f"{stage}: &{after} [{', '.join([f'*{before}'] * 90)}]")
    path.write_text("\n".join([*lines, f"{setting}: *e{'}' if '{' in setting else ''}"]))
    with pytest.raises(ConfigError) as caught:
        Experiment.read(path)
    assert len(str(caught.value)) <= 602


def test_names_give_a_terminal_no_orders(capsys) -> None:
    say("class \x1b]52;c;x\x07\u009b2J\nnext line")
    say_table(["class"], [["a\x1b[2Jb"]])
    said = capsys.readouterr().out
    assert "class ?]52;c;x??2J\nnext line" in said
    assert "a?[2Jb" in said
    assert "\x1b" not in said
