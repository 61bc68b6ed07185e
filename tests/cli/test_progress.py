"""What a person sees while a run is worked on, and results as tables."""

from __future__ import annotations

import io

from events_of_runs import round_written, squeeze_epoch, squeeze_step, step
from rich.console import Console

from delt_engine.cli.output import say_table
from delt_engine.cli.progress import Bars, Lines, display
from delt_engine.runs.events import NoteEvent, StageEvent, StatusEvent

STEP, ROUND = step(batches=2), round_written(batches=2)
EPOCH, SQUEEZE_STEP = squeeze_epoch(), squeeze_step(epoch=1, epochs=2, train_accuracy=50.0)
STAGE, NOTE = StageEvent(stage="rank", done=1000, total=5000), NoteEvent(text="a [word]")


def said(*events, seconds_each: float = 0.0) -> list[str]:
    lines, now = [], [0.0]
    shown = Lines(lines.append, clock=lambda: now[0])
    for event in events:
        now[0] += seconds_each
        shown.show(event)
    return lines


def test_rounds_epochs_and_notes_are_said_at_once() -> None:
    assert said(STEP, ROUND, EPOCH, NOTE) == [
        "batch 1 of 2, round 1 of 4, 50 image-iterations/s",
        "epoch 2 of 3: loss 0.500, train 90.0 %, test 88.5 %",
        "a [word]",
    ]
    assert said(squeeze_epoch(test_accuracy=None)) == ["epoch 2 of 3: loss 0.500, train 90.0 %"]
    assert said(round_written(partial=True)) == ["round 1 of 4 (stopped in it)"]


def test_steps_and_stages_are_said_only_when_they_take_long() -> None:
    assert said(STEP, STAGE, SQUEEZE_STEP) == []
    assert said(STAGE, STEP, SQUEEZE_STEP, seconds_each=11) == [
        "rank patches: 1,000 of 5,000",
        "iteration 10 of 40, 50 image-iterations/s",
        "epoch 1 of 2, step 5 of 10",
    ]
    assert said(StatusEvent(status="running"), seconds_each=11) == []


def test_bars_show_share_rate_and_time_left() -> None:
    text = io.StringIO()
    bars = Bars(Console(file=text, force_terminal=True, width=140))
    with bars.progress:
        for event in (STAGE, STEP, ROUND, SQUEEZE_STEP, EPOCH, NOTE, StatusEvent(status="finished")):
            bars.show(event)
    expected = ("rank patches", "20 %", "25 %", "round 1/4, 50 image-iterations/s", "epoch 1/2", "88.5 %", "a [word]")
    assert [words for words in expected if words not in text.getvalue()] == []


def test_without_a_terminal_there_are_lines_and_quiet_is_silent(capsys) -> None:
    for quiet in (False, True):
        with display(quiet=quiet) as shown:
            assert isinstance(shown, Lines)
            shown.show(ROUND)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "batch 1 of 2, round 1 of 4\n")


def test_brackets_in_names_are_shown_in_tables_and_not_read_as_markup(capsys) -> None:
    say_table(("class", "patches"), [["[/b]", 1], ["[red]cat", 2]], "set [bold]")
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("[/b]", "[red]cat", "set [bold]"))
