"""Signing in: a stranger sees nothing, who may look changes nothing, who may run does; see also tests/e2e."""

from __future__ import annotations

from typing import Any

import pytest
import streamlit as st
from page_helpers import keys
from streamlit.runtime.secrets import Secrets

from delt_engine import access
from delt_engine.errors import AccessError
from delt_engine.jobs import space, start
from pages.shared import sign_in, streamlit_internals


class User(dict):
    @property
    def is_logged_in(self) -> bool:
        return self.get("is_logged_in", False)


@pytest.fixture
def visitor(home, monkeypatch):
    """Let the next page be opened by somebody."""
    roles = {"run": ["ann@lab.org"], "look": ["bob@lab.org"]}
    monkeypatch.setenv(access.SWITCH, "")
    monkeypatch.setattr(streamlit_internals, "secrets", lambda: {"auth": {}, "roles": roles})
    monkeypatch.setattr(sign_in, "_was_asked_for", False)

    def be(**claims: Any) -> None:
        monkeypatch.setattr(st, "user", User(claims))

    yield be
    access.set_guard(None)


def test_a_stranger_sees_nothing_but_the_door(visitor, open_page, finished) -> None:
    visitor()
    app = open_page("manage/runs")
    assert keys(app) == {"sign_in/in"}
    assert finished.id not in str(app.main)
    visitor(is_logged_in=True, email="eve@evil.com", name="E*e")
    app = open_page("manage/runs")
    assert [error.value for error in app.error] == [r"E\*e has no role on this server; ask who runs it."]
    assert keys(app) == {"sign_in/out"}
    assert finished.id not in str(app.main)


def test_who_may_look_sees_runs_and_changes_nothing(visitor, open_page, home, finished) -> None:
    visitor(is_logged_in=True, email="bob@lab.org")
    refusal = "takes the role 'run'; ask who runs this server."
    app = open_page("manage/runs", run=finished.id)
    can_press = {button.key.split("/")[1]: not button.disabled for button in app.button if "/" in (button.key or "")}
    assert [can_press[name] for name in ("open", "rerun", "delete", "free", "save")] == [True, True, *[False] * 3]
    assert app.button(key=f"runs/delete/{finished.id}").help.endswith(refusal)
    assert open_page().button(key="home/start").disabled
    for deed in (lambda: space.delete(finished), lambda: start.start(finished.experiment)):  # and not by buttons alone
        with pytest.raises(AccessError, match=refusal):
            deed()
    assert finished.path.is_dir()
    assert [path.name for path in (home / "runs").iterdir()] == [finished.id]
    assert access.is_shared()  # whoever signs in is a visitor


def test_who_may_look_drops_no_file_that_would_be_kept(visitor, open_page, home) -> None:
    visitor(is_logged_in=True, email="bob@lab.org")
    (field,) = open_page("distill/patches").get("file_uploader")
    assert (field.proto.disabled, field.proto.help.split(",")[0]) == (True, "Your role is to look")
    visitor(is_logged_in=True, email="ann@lab.org")
    (field,) = open_page("distill/patches").get("file_uploader")
    assert not field.proto.disabled


def test_who_may_run_starts(visitor, open_page, started) -> None:
    visitor(is_logged_in=True, email="ann@lab.org")
    app = open_page()
    assert not app.button(key="home/start").disabled
    app.button(key="home/start").click().run()
    assert len(started.runs) == 1


@pytest.mark.parametrize("secrets", [None, {}])
def test_a_slip_in_the_secrets_lets_nobody_in(visitor, open_page, finished, monkeypatch, secrets) -> None:
    visitor(is_logged_in=True, email="ann@lab.org")
    assert sign_in.is_asked_for()
    monkeypatch.setattr(streamlit_internals, "secrets", lambda: secrets)  # damaged, or half written
    app = open_page("manage/runs", run=finished.id)
    assert [error.value.split(",")[0] for error in app.error] == ["The server's secrets.toml cannot be read"]
    assert keys(app) == set()
    with pytest.raises(AccessError, match="takes the role 'run'"):
        access.check_change("start a run")


def test_damaged_secrets_are_not_taken_for_none(tmp_path, monkeypatch) -> None:
    path = tmp_path / "secrets.toml"
    for module in (st, st.config):
        monkeypatch.setattr(module, "get_option", {"secrets.files": [str(path)]}.get)
    monkeypatch.setattr(st, "secrets", Secrets())
    monkeypatch.setattr(sign_in, "_was_asked_for", False)
    assert (streamlit_internals.secrets(), sign_in.is_asked_for()) == ({}, False)
    path.write_text("[auth\n")
    assert (streamlit_internals.secrets(), sign_in.is_asked_for()) == (None, True)
    assert sign_in.role_of({"is_logged_in": True, "email": "ann@lab.org"}) == ""
