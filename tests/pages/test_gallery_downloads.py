"""The address of a download: what is chosen comes as a zip, and anything else is refused with a sentence."""

from __future__ import annotations

import asyncio
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from fake_runs import make_finished_run
from starlette.requests import Request
from starlette.responses import Response

from pages.shared.runs import strips


@pytest.fixture(autouse=True)
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("DELT_RUNS", str(tmp_path))
    return make_finished_run(tmp_path / "run")


def asked(query: str) -> Response:
    return strips.answer_zip(Request({"type": "http", "query_string": query.encode(), "headers": []}))


def body(answer) -> bytes:
    async def collect() -> bytes:
        return b"".join([piece async for piece in answer.body_iterator])

    with ThreadPoolExecutor(1) as thread:  # a browser test of the same session leaves its event loop in this one
        return thread.submit(asyncio.run, collect()).result()


def test_chosen_images_come_as_a_zip_to_keep(run) -> None:
    answer = asked("of=run/1/0,2/&of=run/0/3/2")
    assert answer.status_code == 200
    assert answer.media_type == "application/zip"
    assert "attachment" in answer.headers["content-disposition"]
    names = zipfile.ZipFile(io.BytesIO(body(answer))).namelist()
    assert [name for name in names if name.endswith(".png")] == [
        "run/cat/0000.png",
        "run/cat/0002.png",
        "run/astronaut/0003.png",
    ]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "at least one"),
        ("of=run/1/9/", "class 1 has 0 to 3"),
        ("of=nowhere/1/0/", "nowhere is neither"),
        ("of=..%2F..%2Fetc/1/0/", "damaged"),
        ("of=run/1/x/", "damaged"),
        ("of=run", "damaged"),
    ],
)
def test_anything_else_is_refused_with_a_sentence(query, words) -> None:
    answer = asked(query)
    assert answer.status_code == 404
    assert words in answer.body.decode()
