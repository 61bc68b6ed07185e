"""What the documents name is there: files, pictures, commands and their options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from delt_engine.cli import main

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "assets").glob("**/*.md"))]
COMMAND = re.compile(r"(?:^|\s)(?:delt|python -m delt_engine)\s(.+)$")
"""A command as it is typed, behind a prompt, a variable or a launcher."""


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


def typed(document: Path) -> list[list[str]]:
    """Return the words of every ``delt`` command in the document's blocks of code."""
    blocks = re.findall(r"^```(?:bash|console)\n(.*?)^```", document.read_text(encoding="utf-8"), re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(found[1], comments=True) for line in lines if (found := COMMAND.search(line.strip()))]


@pytest.fixture(scope="module")
def context() -> click.Context:
    return click.Context(main)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_commands_and_their_options_exist(document: Path, context: click.Context) -> None:
    for name, *words in typed(document):
        command = main.get_command(context, name)
        assert command is not None, f"there is no delt {name}"
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        own = words[: words.index("--")] if "--" in words else words
        given = {word.split("=")[0] for word in own if word.startswith("--")}
        assert given <= known | {"--help"}, f"delt {name} has no {', '.join(sorted(given - known))}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_and_files_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    linked = [document.parent / link for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)]
    named = [ROOT / path for path in re.findall(r"`((?:assets|delt_engine|pages|tests)/[\w./-]+)`", text)]
    missing = [str(path) for path in (*linked, *named) if not path.exists()]
    assert not missing


def test_the_readme_fits_on_150_lines_and_names_every_document() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    documents = {path.name for path in (ROOT / "assets" / "docs").glob("*.md")}
    assert documents <= set(re.findall(r"[\w-]+\.md", text))


def test_every_command_has_a_row(context: click.Context) -> None:
    text = (ROOT / "assets" / "docs" / "commands.md").read_text(encoding="utf-8")
    missing = [name for name in main.list_commands(context) if f"| `delt {name}" not in text]
    assert not missing
