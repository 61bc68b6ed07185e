"""Settings of speed as they are typed: what a run says of them."""

from __future__ import annotations

from delt_engine.runs.events import StepEvent
from delt_engine.runs.store import Run

PLAN = ("--ipc", 4, "--mi", 6, "--ri", 3, "--batch-size", 4, "--device", "cpu", "--image-size", 8)


def test_a_run_says_how_it_was_computed(answer, colours, tmp_path) -> None:
    def recovered(name: str, *words) -> Run:
        answer("recover", "--dataset", colours, *PLAN, *words, "--out", tmp_path / name)
        return Run.open(tmp_path / name)

    plain = recovered("plain", "--fold", "off")
    fast = recovered("fast", "--precision", "bfloat16", "--pack", 3)
    names = ("precision", "fold", "pack", "compile", "folded")
    assert [plain.record().speed[name] for name in names] == ["float32", False, 1, False, 0]
    assert [fast.record().speed[name] for name in names] == ["bfloat16", True, 3, False, 3]
    assert plain.record().notes == ()
    # before it stands a warning where the processor has no instructions for bfloat16
    assert fast.record().notes[-1] == "Computed in bfloat16, BatchNorm folded, 3 batches a step."
    assert "--pack 3" in " ".join(fast.record().command)
    assert [{event.batches for event in run.events(StepEvent)} for run in (plain, fast)] == [{3}, {1}]
    assert plain.rounds_written(2) == fast.rounds_written(2) == [0, 1, 2]
    assert plain.record().image_iterations == fast.record().image_iterations
