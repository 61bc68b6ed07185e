"""Sign-in in a real browser, with an OpenID provider of its own on this machine: to look, and a stranger."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from playwright.sync_api import Page, TimeoutError, expect
from waiting import wait_for

from delt_engine.bench.app import free_port

SECRETS = """
[auth]
redirect_uri = "{app}/oauth2callback"
cookie_secret = "a secret of this test alone, long enough for it"
client_id = "delt"
client_secret = "of the client"
server_metadata_url = "{provider}/.well-known/openid-configuration"

[roles]
look = ["bob@lab.org"]
"""
IMAGE = "strips/cifar10-mini-cda/snapshots/airplane/round-00.png"


class Provider(ThreadingHTTPServer):
    """An OpenID provider that lets in whoever ``email`` says, without a question."""

    email = "bob@lab.org"

    def __init__(self) -> None:
        super().__init__(("localhost", 0), Answers)
        self.key, self.nonces = RSAKey.generate_key(2048, {"kid": "1", "use": "sig"}), dict[str, str]()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(asked.query).items()}
        issuer = self.server.url
        if asked.path == "/authorize":
            self.server.nonces["code"] = query["nonce"]
            self.send_response(302)
            back = urlencode({"code": "code", "state": query["state"]})
            self.send_header("Location", f"{query['redirect_uri']}?{back}")
            self.end_headers()
        elif asked.path == "/keys":
            self._say({"keys": [self.server.key.as_dict(private=False)]})
        else:
            ends = {f"{name}_endpoint": f"{issuer}/{name}" for name in ("authorization", "token")}
            ends["authorization_endpoint"] = f"{issuer}/authorize"
            self._say({"issuer": issuer, "jwks_uri": f"{issuer}/keys", **ends})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        claims = {
            "iss": self.server.url,
            "aud": "delt",
            "sub": "1",
            "iat": int(time.time()),
            "exp": int(time.time()) + 600,
            "nonce": self.server.nonces["code"],
            "email": self.server.email,
        }
        token = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.server.key)
        self._say({"access_token": "x", "token_type": "Bearer", "expires_in": 600, "id_token": token})

    def _say(self, values: Any) -> None:
        body = json.dumps(values).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: Any) -> None:
        pass


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def closed(provider: Provider, studio_class, tmp_path) -> Iterator[Any]:
    """A server that asks who its visitors are."""
    made = studio_class(tmp_path, free_port())
    (tmp_path / "secrets.toml").write_text(SECRETS.format(app=made.url, provider=provider.url))
    made.options = (f"--secrets.files={tmp_path / 'secrets.toml'}",)
    made.start()
    yield made
    made.stop()


def says_why_it_is_off(page: Page, button: str, reason: str) -> bool:
    """Come to a button with the mouse, as often as the page moves it away meanwhile; is its help on screen?"""
    page.mouse.move(0, 0)
    page.get_by_role("button", name=button).hover(force=True)
    try:
        page.get_by_text(reason).wait_for(timeout=2000)
    except TimeoutError:
        return False
    return True


def test_a_visitor_signs_in_to_look_and_a_stranger_gets_nowhere(closed, provider: Provider, page: Page) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{closed.url}/{IMAGE}")
    page.goto(f"{closed.url}/gallery")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page.get_by_role("heading", name="Gallery")).to_have_count(0)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("bob@lab.org, may look")).to_be_visible()
    assert page.request.get(f"{closed.url}/{IMAGE}").headers["content-type"] == "image/png"
    expect(page.get_by_role("button", name="Start a run")).to_be_disabled()
    wait_for(lambda: says_why_it_is_off(page, "Start a run", "takes the role 'run'"))
    assert closed.runs == []
    provider.email = "eve@evil.com"
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("eve@evil.com has no role on this server")).to_be_visible()
    assert page.request.get(f"{closed.url}/{IMAGE}").status == 401
