"""Settings of speed as they are typed: what a run says of them, and that packing changes no image."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from delt_engine.runs.events import StepEvent
from delt_engine.runs.store import Run

PLAN = ("--ipc", 4, "--mi", 6, "--ri", 3, "--batch-size", 4, "--device", "cpu", "--image-size", 8, "--json")


def recovered(delt, colours, out, *words) -> Run:
    result = delt("recover", "--dataset", colours, *PLAN, *words, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["run"] == str(out)
    return Run.open(out)


def images(run: Run) -> np.ndarray:
    files = sorted((run.path / "images").rglob("*.png"))
    assert len(files) == 12
    return np.stack([np.asarray(Image.open(file)) for file in files]).astype(int)


def test_a_run_keeps_how_it_was_computed(delt, colours, tmp_path) -> None:
    plain = recovered(delt, colours, tmp_path / "plain", "--fold", "off")
    fast = recovered(delt, colours, tmp_path / "fast", "--precision", "bfloat16", "--pack", 2)
    told = ("precision", "fold", "pack", "compile", "folded")
    assert [plain.record().speed[name] for name in told] == ["float32", False, 1, False, 0]
    assert [fast.record().speed[name] for name in told] == ["bfloat16", True, 2, False, 3]
    assert plain.record().notes == ()
    assert fast.record().notes == ("Computed in bfloat16, BatchNorm folded, 2 batches a step.",)
    assert "--pack 2" in " ".join(fast.record().command)


def test_packed_batches_end_in_the_same_images(delt, colours, tmp_path) -> None:
    alone, packed = recovered(delt, colours, tmp_path / "a"), recovered(delt, colours, tmp_path / "b", "--pack", 3)
    assert {event.batches for event in alone.events(StepEvent)} == {3}
    assert {event.batches for event in packed.events(StepEvent)} == {1}
    assert alone.rounds_written(2) == packed.rounds_written(2) == [0, 1, 2]
    assert (images(alone) != images(packed)).mean() < 0.01
    assert alone.record().image_iterations == packed.record().image_iterations
