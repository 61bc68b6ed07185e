"""The doors of the server: under which names it answers, what it tells browsers, and what asks for a role.

The app answers to names that are its own only, so that a web page elsewhere cannot reach it by letting a name of its
own point here (DNS rebinding): ``localhost``, numbers of addresses, ``server.address``, ``browser.serverAddress`` and
``server.allowedHosts``, and where others may reach it the machine's name.

Source: OWASP's secure headers for what is told; the names are ours.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from delt_engine import access
from pages.shared import sign_in, streamlit_internals
from pages.shared.runs import strips

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Content-Security-Policy": "frame-ancestors 'self'; object-src 'none'; base-uri 'self'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
}
"""What every answer tells the browser: no guessing of types, no frames of others, no loading from elsewhere."""

_OWN = ("/strips/", "/exports/")
_UPLOADS = "/_stcore/upload_file"

MOST_UPLOADED = 4 * 10**9
"""Bytes of uploads that all sessions together hold in memory; ours, some of the largest files that one may be."""


def doors() -> dict[str, Any]:
    """Return what the app's server has besides Streamlit's own: its routes, and what every request passes."""
    if not is_loopback(str(st.get_option("server.address") or "")) or sign_in.is_asked_for():
        access.share()
    return {"routes": strips.routes(), "middleware": [Middleware(Doors)]}


def is_loopback(address: str) -> bool:
    """Return whether only this machine reaches a server at an address; "" is every address.

    >>> [is_loopback(address) for address in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "", "192.168.1.5", "lab")]
    [True, True, True, False, False, False, False]
    """
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def is_own_name(host: str) -> bool:
    """Return whether the server answers to what stands in a Host header."""
    try:
        parts = urlsplit(f"//{host}")
        name, _ = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return False
    if not name or parts.netloc != host or "@" in host:
        return False
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        pass
    options = (st.get_option("server.address"), st.get_option("browser.serverAddress"))
    known = {"localhost", *(str(option).lower() for option in options if option)}
    if access.is_shared():
        known |= {socket.gethostname().lower(), socket.getfqdn().lower()}
    listed = [str(one).strip().lower().rstrip(".") for one in st.get_option("server.allowedHosts") or ()]
    return name in known or any(
        one in ("*", name) or (one.startswith("*.") and name.endswith(one[1:])) for one in listed
    )


class Doors:
    """Refuse strange names and visitors without a role, and add :data:`HEADERS` to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        if not is_own_name(connection.headers.get("host", "")):
            reason = "This server does not go by that name; server.allowedHosts can add it."
            await _refuse(PlainTextResponse(reason, 400), scope, receive, send)
        elif scope["type"] == "http" and (status := _missing_role(connection)):
            await _refuse(PlainTextResponse("Sign in with a role that may do this.", status), scope, receive, send)
        elif scope["type"] == "http" and _is_upload(connection) and _is_too_much(connection):
            reason = "There are too many uploads at once; close other pages or try again later."
            await _refuse(PlainTextResponse(reason, 413), scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send))


def _missing_role(connection: HTTPConnection) -> int:
    """Return 401 or 403 where a request needs a role that its visitor has not, else 0."""
    path, base, is_upload = connection.url.path, strips.base(), _is_upload(connection)
    is_own = any(path.startswith(f"{base}{one}") for one in _OWN)
    if not (is_upload or is_own) or not sign_in.is_asked_for():
        return 0
    role = sign_in.role_of(streamlit_internals.signed_in_user(connection.cookies))
    return 401 if not role else 403 if is_upload and role != "run" else 0


def _is_upload(connection: HTTPConnection) -> bool:
    """Return whether a request stores a file of a visitor, or takes one away."""
    is_there = connection.url.path.startswith(f"{strips.base()}{_UPLOADS}")
    return is_there and connection.scope["method"] not in ("GET", "HEAD", "OPTIONS")


def _is_too_much(connection: HTTPConnection) -> bool:
    said = connection.headers.get("content-length", "")
    size = int(said) if said.isascii() and said.isdigit() else 0  # Streamlit itself counts a single file's bytes
    is_gone = connection.scope["method"] == "DELETE"
    return not is_gone and streamlit_internals.uploads_in_memory() + size > MOST_UPLOADED


async def _refuse(answer: PlainTextResponse, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await answer(scope, receive, _with_headers(send))
    else:
        await receive()
        await send({"type": "websocket.close", "code": 1008})


def _with_headers(send: Send) -> Send:
    added = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
    names = {name for name, _ in added}

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept: list[Any] = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in names]
            message = {**message, "headers": [*kept, *added]}
        await send(message)

    return sent
