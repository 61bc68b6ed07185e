"""The doors of the server: names it answers to, what it tells browsers, who may upload, and defaults that hold."""

from __future__ import annotations

import configparser
import contextlib
import itertools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from streamlit import runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import UploadedFileRec

from delt_engine import access
from pages.shared import server, sign_in, streamlit_internals

ROOT = Path(__file__).resolve().parents[2]


def asked(path: str = "/", host: str = "localhost:8501", method: str = "GET", kind: str = "http") -> tuple[int, dict]:
    """Status and headers of an answer that has passed the doors; 200 is the app's, 1008 a refused socket."""
    said: list[dict[str, Any]] = []

    async def app(_scope, _receive, send) -> None:
        if kind == "websocket":
            await send({"type": "websocket.accept"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Frame-Options", b"ALLOW")]})

    async def receive() -> dict[str, str]:
        return {"type": f"{kind}.connect"}

    async def send(message) -> None:
        said.append(message)

    headers = [(b"host", host.encode())] if host else []
    scope = {"type": kind, "method": method, "path": path, "query_string": b"", "headers": headers}
    with contextlib.suppress(StopIteration):  # nothing in it waits, and a browser of another test may have the loop
        server.Doors(app)(scope, receive, send).send(None)
    answer = said[0]
    return answer.get("status", answer.get("code", 200)), dict(answer.get("headers", ()))


OWN = ("localhost", "localhost:8501", "LOCALHOST", "127.0.0.1:8501", "[::1]:8501", "192.168.1.7")
STRANGE = (
    "",
    "evil.example",
    "localhost.evil.example",
    "x@localhost",
    "localhost:x",
    "localhost/",
    "127.0.0.1.evil.com",
)


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_only_own_names_are_answered(kind) -> None:
    assert {host: asked(host=host, kind=kind)[0] for host in OWN} == dict.fromkeys(OWN, 200)
    refused = {"http": 400, "websocket": 1008}[kind]
    assert {host: asked(host=host, kind=kind)[0] for host in STRANGE} == dict.fromkeys(STRANGE, refused)


def test_further_names_are_configured_and_a_shared_machine_has_its_own(monkeypatch) -> None:
    options = {"server.allowedHosts": ["studio.example.org", "*.lab.org"]}
    monkeypatch.setattr(st, "get_option", options.get)
    monkeypatch.setattr(server.socket, "gethostname", lambda: "bench")
    hosts = ("studio.example.org:443", "a.lab.org", "lab.org", "bench")
    assert [server.is_own_name(host) for host in hosts] == [True, True, False, False]
    monkeypatch.setenv(access.SWITCH, "1")
    assert server.is_own_name("bench")


def test_every_answer_forbids_guessing_framing_and_loading_from_elsewhere() -> None:
    for host in ("localhost", "evil.example"):
        headers = asked(host=host)[1]
        assert headers[b"x-content-type-options"] == b"nosniff"
        assert headers[b"x-frame-options"] == b"SAMEORIGIN"
        assert headers[b"cross-origin-resource-policy"] == b"same-origin"
        assert b"X-Frame-Options" not in headers  # the app's own word does not stand beside it


@pytest.mark.parametrize(("address", "shared"), [("localhost", False), ("0.0.0.0", True), ("", True)])
def test_a_server_that_others_reach_is_shared(monkeypatch, address, shared) -> None:
    monkeypatch.setenv(access.SWITCH, "")
    monkeypatch.setattr(st, "get_option", {"server.address": address}.get)
    doors = server.doors()
    assert access.is_shared() is shared
    assert [made.cls for made in doors["middleware"]] == [server.Doors]


def test_images_and_uploads_ask_for_a_role_where_there_is_sign_in(monkeypatch) -> None:
    user: dict[str, Any] = {}
    monkeypatch.setattr(sign_in, "_was_asked_for", False)
    monkeypatch.setattr(streamlit_internals, "secrets", lambda: {"auth": {}, "roles": {"look": ["a"], "run": ["b"]}})
    monkeypatch.setattr(streamlit_internals, "signed_in_user", lambda _cookies: user)
    doors = [("/strips/a/b.png", "GET"), ("/exports/x.zip", "GET"), ("/_stcore/upload_file/a/b", "PUT"), ("/", "GET")]

    def answers(**claims: Any) -> list[int]:
        user.clear()
        user.update(claims)
        return [asked(path, method=method)[0] for path, method in doors]

    assert answers() == [401, 401, 401, 200]
    assert answers(is_logged_in=True, email="c") == [401, 401, 401, 200]
    assert answers(is_logged_in=True, email="a") == [200, 200, 403, 200]
    assert answers(is_logged_in=True, email="b") == [200, 200, 200, 200]


def test_uploads_that_sessions_hold_are_limited_together(monkeypatch) -> None:
    held = server.MOST_UPLOADED + 1
    monkeypatch.setattr(streamlit_internals, "uploads_in_memory", lambda: held)
    path = "/_stcore/upload_file/a/b"
    assert [asked(path, method=method)[0] for method in ("PUT", "DELETE")] == [413, 200]
    assert asked("/")[0] == 200
    held = 0
    assert asked(path, method="PUT")[0] == 200


def test_uploads_that_sessions_hold_are_counted(monkeypatch) -> None:
    manager = MemoryUploadedFileManager("/upload")
    manager.add_file("a", UploadedFileRec("1", "x.png", "image/png", b"123"))
    manager.add_file("b", UploadedFileRec("2", "y.png", "image/png", b"45"))
    monkeypatch.setattr(runtime, "exists", lambda: True)
    monkeypatch.setattr(runtime, "get_instance", lambda: SimpleNamespace(uploaded_file_mgr=manager))
    assert streamlit_internals.uploads_in_memory() == 5


def test_roles_go_by_claims() -> None:
    def role(rules: dict | None, **user: Any) -> str:
        with pytest.MonkeyPatch.context() as patch:
            secrets = {"auth": {}, **({} if rules is None else {"roles": rules})}
            patch.setattr(streamlit_internals, "secrets", lambda: secrets)
            return sign_in.role_of({"is_logged_in": True, **user})

    rules = {"run": ["Ann@Lab.org"], "look": "@lab.org"}
    emails = ("ann@lab.org", "bob@lab.org", "ann@lab.org.evil.com", "lab.org")
    assert [role(rules, email=email) for email in emails] == ["run", "look", "", ""]
    assert [role(rules, email="ann@lab.org", email_verified=said) for said in (False, "false", True)] == ["", "", "run"]
    assert role(rules, email="ann@lab.org", is_logged_in=False) == ""
    assert role({"claim": "groups", "run": ["staff"]}, groups=["x", "staff"], email="@lab.org") == "run"
    assert (role(None, email="x"), role({"run": ["*"]}), role({})) == ("look", "run", "")


def test_defaults_keep_the_server_closed() -> None:
    config = configparser.ConfigParser()
    config.optionxform = str
    config.read(ROOT / ".streamlit" / "config.toml")
    expected = {
        ("server", "address"): '"localhost"',
        ("server", "enableXsrfProtection"): "true",
        ("server", "enableCORS"): "true",
        ("server", "enableAgentApi"): "false",
        ("server", "enableStaticServing"): "false",
        ("server", "maxUploadSize"): "1000",
        ("runner", "magicEnabled"): "false",
        ("browser", "gatherUsageStats"): "false",
        ("client", "showErrorDetails"): '"type"',
    }
    assert {(section, name): config[section][name] for section, name in expected} == expected
    assert "st.App(__file__, **server.doors())" in (ROOT / "app.py").read_text()  # the form that Streamlit looks for


def test_nothing_is_drawn_as_html_but_what_is_written_here() -> None:
    found = []
    for path in itertools.chain([ROOT / "app.py"], (ROOT / "pages").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        found += [f"{path.name}: {line.strip()}" for line in text.splitlines() if "st.html(" in line]
    assert sorted(found) == [
        'app.py: st.html(f"<style>{nav.STYLE}</style>")',
        'nav.py: st.html(_HERE / "app.css")',
        """nav.py: st.html(f"<style>:root {{ color-scheme: {st.context.theme.type or 'light dark'}; }}</style>")""",
    ]
