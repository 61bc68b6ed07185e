"""A visitor without a browser: opens a running app, goes from page to page, and says how long each took.

``python -m pages.shared.visitor PORT [PAGE ...]`` speaks the browser's protocol, since nothing else starts a page's
script: it asks for a page and waits until its script has ended. One JSON object a line is printed: the page, the
seconds, the bytes that came, and whether an error was shown.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

TIMEOUT_S = 60.0


def visit(port: int, pages: list[str]) -> list[dict[str, Any]]:
    """Open the app, then its pages in turn.

    Args:
        port: of the server on this machine.
        pages: addresses of the pages, as ``gallery`` or ``gallery?run=...``; the first visit is that of the default
            page.

    Returns:
        What each visit took, the first one without a page's name.
    """
    with connect(
        f"ws://localhost:{port}/_stcore/stream", subprotocols=["streamlit"], max_size=None, open_timeout=TIMEOUT_S
    ) as server:
        hashes: dict[str, str] = {}
        found = [{"page": "", **_asked(server, "", "", hashes)}]
        for address in pages:
            page, _, query = address.partition("?")
            if page not in hashes:
                raise SystemExit(f"There is no page {page!r}; there are {', '.join(sorted(hashes))}.")
            found.append({"page": page, **_asked(server, hashes[page], query, hashes)})
        return found


def _asked(server: ClientConnection, page_hash: str, query: str, hashes: dict[str, str]) -> dict[str, Any]:
    """Ask for a page and wait until its script has ended."""
    question = BackMsg()
    question.rerun_script.page_script_hash = page_hash
    question.rerun_script.query_string = query
    began = time.perf_counter()
    server.send(question.SerializeToString())
    size, has_error = 0, False
    while True:
        content = server.recv(timeout=TIMEOUT_S)
        size += len(content)
        message = ForwardMsg.FromString(content)
        kind = message.WhichOneof("type")
        if kind == "navigation":
            hashes |= {page.url_pathname: page.page_script_hash for page in message.navigation.app_pages}
        if kind == "delta" and message.delta.new_element.WhichOneof("type") == "exception":
            has_error = True
        if kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
            return {"seconds": round(time.perf_counter() - began, 4), "bytes": size, "has_error": has_error}


if __name__ == "__main__":
    for line in visit(int(sys.argv[1]), sys.argv[2:]):
        sys.stdout.write(json.dumps(line) + "\n")
