"""Results as tables: what a name holds is shown, whatever it looks like."""

from __future__ import annotations

from delt_engine.cli.output import say_table


def test_brackets_in_names_are_shown_and_not_read_as_markup(capsys) -> None:
    say_table(("class", "patches"), [["[/b]", 1], ["[red]cat", 2]], "set [bold]")
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("[/b]", "[red]cat", "set [bold]"))
