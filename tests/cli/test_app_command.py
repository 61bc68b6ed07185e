"""`delt app`: what the server is started with, and the warning before others can reach it."""

from __future__ import annotations

import os
import sys

import pytest
from click.testing import CliRunner

from delt_engine.cli.app import app


@pytest.fixture
def started(monkeypatch) -> list[list[str]]:
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _program, words: commands.append(words))
    return commands


OPEN = ["--host 0.0.0.0", "--server.address=0.0.0.0", "--server.address 0.0.0.0", "--host 192.168.1.7"]


@pytest.mark.parametrize("words", [text.split() for text in OPEN])
def test_an_open_address_is_warned_of_with_what_visitors_can_do(started, words) -> None:
    said, address = CliRunner().invoke(app, words).stderr, words[-1].rpartition("=")[2]
    assert said.startswith(f"Warning: whoever reaches {address} can see every run, start, stop and")
    assert "assets/docs/trust.md" in said
    assert f"--server.address={address}" in (started[0][-1], "=".join(started[0][-2:]))


def test_an_open_address_of_the_environment_is_warned_of(started, monkeypatch) -> None:
    monkeypatch.setenv("STREAMLIT_SERVER_ADDRESS", "0.0.0.0")
    assert "whoever reaches 0.0.0.0 can see" in CliRunner().invoke(app).stderr


@pytest.mark.parametrize("words", [[], ["--host", "127.0.0.1"], ["--host", "localhost", "--port", "8600"]])
def test_this_machine_alone_is_no_matter(started, words) -> None:
    assert CliRunner().invoke(app, words).stderr == ""
    assert started[0][:5] == [sys.executable, "-P", "-m", "streamlit", "run"]
    assert ("--server.address=127.0.0.1" in started[0]) == ("127.0.0.1" in words)
