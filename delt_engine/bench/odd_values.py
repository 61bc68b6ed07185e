"""Values, texts, bytes and files as nobody should give them: what :mod:`delt_engine.bench.fuzz` draws from.

Everything is drawn from a ``random.Random``, so a case comes back by its seed and number.

Source: ours; what fell in the first trial by hand, and what the formats at hand are known to go wrong with.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

CODE = "delt-fuzz-ran-code"
"""Name of the file that hostile contents would make if they were run."""

_TEXTS = (
    "",
    " ",
    "\0",
    "two\nlines",
    "=cmd()",
    "../../out",
    "~nobody/x",
    "/",
    "/dev/null",
    "<script>alert(1)</script>",
    "nan",
    "1e999",
    "\ud800",
    "\u202ereversed",
    "é" * 300,
    "x" * 5000,
    "%s%n{0}",
    "$(touch out)",
    "[red]markup[/red]",
)
_NUMBERS = (0, 1, -1, 2, 7, 10**6, 2**31, 2**63, -(2**63) - 1, 10**400, 0.0, -0.5, 1e-320, 1e308, float("nan"))
_PLAIN: tuple[Any, ...] = (None, True, False, float("inf"), *_NUMBERS, *_TEXTS)
_CUTS = (1, 2, 4, 8, 64, 1024)
_DEEP = 3000


def odd_value(draw: random.Random, depth: int = 2) -> Any:
    """Return a value of JSON's kinds that hardly any setting takes; lists and mappings down to ``depth``."""
    kind = draw.random()
    if depth and kind < 0.12:
        return [odd_value(draw, depth - 1) for _ in range(draw.randrange(4))]
    if depth and kind < 0.24:
        return {str(odd_value(draw, 0)): odd_value(draw, depth - 1) for _ in range(draw.randrange(4))}
    return draw.choice(_PLAIN)


def odd_tree(draw: random.Random, tree: Any) -> Any:
    """Return plain values with some of them replaced, removed, added or nested; the tree itself stays as it is."""
    if isinstance(tree, dict) and tree:
        made = dict(tree)
        for _ in range(draw.choice((1, 1, 2))):
            key = draw.choice(list(made) or [""])
            made[key] = odd_tree(draw, made.get(key))
            if draw.random() < 0.15:
                del made[key]
            if draw.random() < 0.1:
                made[str(odd_value(draw, 0))] = odd_value(draw)
        return made
    if isinstance(tree, list) and tree and draw.random() < 0.7:
        at = draw.randrange(len(tree))
        return [*tree[:at], odd_tree(draw, tree[at]), *tree[at + draw.choice((0, 1, 1, 2)) :]]
    return odd_value(draw)


def odd_bytes(draw: random.Random, data: bytes) -> bytes:
    """Return bytes with a few of them changed, cut out, doubled, or made large numbers."""
    made = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 5, 30))):
        at, length = draw.randrange(len(made) + 1), draw.choice(_CUTS)
        what = draw.randrange(6)
        if what == 0 and at < len(made):
            made[at] ^= 1 << draw.randrange(8)
        elif what == 1:
            del made[at:]
        elif what == 2:
            del made[at : at + length]
        elif what == 3:
            made[at:at] = made[at : at + length]
        elif what == 4:
            made[at : at + length] = draw.choice((b"\0", b"\xff", b"\x7f", b"{", b'"', b"\n")) * length
        else:
            made[at:at] = draw.randbytes(length)
    return bytes(made)


def odd_text(draw: random.Random, text: str) -> bytes:
    """Return a text with changed bytes, or with a word of it replaced by an odd one."""
    if draw.random() < 0.5:
        return odd_bytes(draw, text.encode())
    words = text.split(" ")
    words[draw.randrange(len(words))] = str(odd_value(draw, 0))
    return " ".join(words).encode("utf-8", "surrogatepass")


def hostile_pickle(folder: Path) -> bytes:
    """Return a pickle that would make the file :data:`CODE` in a folder if it were opened carelessly."""
    import pickle

    class Hostile:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            return os.mkdir, (str(folder / CODE),)

    return pickle.dumps({"state_dict": Hostile()}, protocol=2)


def hostile_yaml(draw: random.Random, folder: Path) -> bytes:
    """Return YAML that runs code, swells, repeats itself, or nests without end if it is read carelessly."""
    swelling = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
    )
    return draw.choice(
        (
            f"dataset: !!python/object/apply:os.mkdir ['{folder / CODE}']\n",
            f"!!python/object/new:os.system ['mkdir {folder / CODE}']\n",
            swelling,
            "recover: &a\n  ipc: *a\n",
            "recover: &a {ipc: 1, self: *a}\n",
            "[" * _DEEP,
            "{a: " * _DEEP,
            "- " * _DEEP,
            "? a\n: b\n? [1, 2]\n: c\n",
            "2024-13-45: x\non: 1\n",
            "seed: 0x" + "f" * 5000,
            "dataset: 2024-99-99\n",
            "<<: 5\n",
            "--- a\n--- b\n",
            "dataset: !!binary x\n",
        )
    ).encode()


def odd_file(draw: random.Random, path: Path, outside: Path) -> None:
    """Put something in the place of a file that is none, or that says nothing: a pipe, a socket, a folder, a link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    what = draw.randrange(9)
    if what == 0:
        os.mkfifo(path)
    elif what == 1:
        _make_socket(path)
    elif what == 2:
        path.mkdir(exist_ok=True)
    elif what == 3:
        path.symlink_to("nowhere")
    elif what == 4:
        path.symlink_to(path.name)
    elif what == 5:
        path.symlink_to(outside)
    elif what == 6:
        path.write_bytes(b"")
    elif what == 7:
        with path.open("wb") as file:  # large, and takes no room
            file.truncate(2**40)
    else:
        path.write_bytes(draw.randbytes(draw.choice(_CUTS)))


def _make_socket(path: Path) -> None:
    """Make a socket, whose name may have 107 bytes: by its folder's descriptor, so that a long path does as well."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(f"/proc/self/fd/{folder}/{path.name}")
    except OSError:
        path.write_bytes(b"")
    finally:
        os.close(folder)


def spoil(draw: random.Random, paths: Sequence[Path], outside: Path) -> None:
    """Change some of these files: their bytes, their JSON, or what they are."""
    import json

    for path in draw.sample(list(paths), min(len(paths), draw.choice((1, 1, 2, 4)))):
        way = draw.random()
        if way < 0.12:
            odd_file(draw, path, outside)
            continue
        data = path.read_bytes()
        if way < 0.55 and path.suffix in (".json", ".jsonl"):
            lines = data.splitlines() if path.suffix == ".jsonl" else [data]
            at = draw.randrange(len(lines)) if lines else 0
            with contextlib.suppress(ValueError, IndexError):
                lines[at] = json.dumps(odd_tree(draw, json.loads(lines[at]))).encode("utf-8", "surrogatepass")
            data = b"\n".join(lines) + b"\n"
        elif way < 0.7 and path.suffix in (".csv", ".json", ".jsonl", ".txt"):
            data = odd_text(draw, data.decode("utf-8", "replace"))
        else:
            data = odd_bytes(draw, data)
        path.write_bytes(data)
