"""``delt app``: open the studio in the browser."""

from __future__ import annotations

import os
import sys

import click

from delt_engine.errors import RunError
from delt_engine.paths import studio_dir

EXPOSED = (
    "whoever reaches {host} can see every run, start, stop and delete runs, upload files and use this machine's "
    "processor and disk, unless sign-in is set up; folders outside DELT_DATA and those of DELT Studio stay closed. "
    "assets/docs/trust.md says what to do first."
)


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--port", type=click.IntRange(min=1, max=65535), metavar="N", help="Port of the server. [default: 8501]")
@click.option(
    "--headless/--browser", default=None, help="Leave the browser shut. [default: open it where there is one]"
)
@click.option("--host", default="", metavar="ADDRESS", help="Address that the server listens at. [default: localhost]")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def app(host: str, port: int | None, headless: bool | None, arguments: tuple[str, ...]) -> None:
    """Start the app; ARGUMENTS go to Streamlit as they are."""
    script = studio_dir() / "app.py"
    if not script.is_file():
        raise RunError(f"app: {script} is not there; install delt-studio again.")
    flags = [f"--server.port={port}"] if port is not None else []
    if headless is None and not any(argument.startswith("--server.headless") for argument in arguments):
        has_screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        headless = not (sys.platform in ("win32", "darwin") or has_screen)
    if headless is not None:
        flags.append(f"--server.headless={str(headless).lower()}")
    given = [
        argument.partition("=")[2] if "=" in argument else following
        for argument, following in zip(arguments, (*arguments[1:], ""), strict=False)
        if argument.partition("=")[0] == "--server.address"
    ]
    host = host or (given[-1] if given else os.environ.get("STREAMLIT_SERVER_ADDRESS", "localhost"))
    if not given and host != "localhost":
        flags.append(f"--server.address={host}")
    if host not in ("localhost", "::1") and not host.startswith("127."):
        click.echo(f"Warning: {EXPOSED.format(host=host or 'this machine')}", err=True)
    # -P: another copy of the project in the user's folder is not what was started.
    command = [sys.executable, "-P", "-m", "streamlit", "run", str(script), *flags, *arguments]
    os.execv(sys.executable, command)  # noqa: S606 (the server takes this process over, and its signals)
