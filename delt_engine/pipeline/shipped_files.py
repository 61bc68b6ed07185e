"""Checksums of the teachers, datasets and numbers that ship with the project, in one list, and compared with the files.

After a shipped file was changed on purpose: ``python -m delt_engine.pipeline.shipped_files``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from delt_engine import files
from delt_engine.files import file_digest
from delt_engine.paths import assets_dir

LIST = "checksums.json"
_PATTERNS = ("teachers/*.safetensors", "datasets/*.zip", "datasets/*.txt", "measured/*.json")


def shipped_digests(folder: Path | None = None) -> dict[str, str]:
    """Return the SHA-256 of each file that is listed, as it is now, by its name below ``assets``."""
    root = folder or assets_dir()
    paths = sorted(path for pattern in _PATTERNS for path in root.glob(pattern))
    return {path.relative_to(root).as_posix(): file_digest(path) for path in paths}


def differences(folder: Path | None = None) -> Iterator[str]:
    """Yield a sentence for each shipped file that is missing or not as it was shipped, or for a missing list."""
    root = folder or assets_dir()
    listed = files.read_json(root / LIST)
    if not isinstance(listed, dict):
        yield f"{root / LIST} is missing or damaged"
        return
    there = shipped_digests(root)
    for name, digest in listed.items():
        if name not in there:
            yield f"{name} is missing"
        elif there[name] != digest:
            yield f"{name} is not as it was shipped"


def write_list(folder: Path | None = None) -> Path:
    """Write the list anew for the files that are there, and return it."""
    path = (folder or assets_dir()) / LIST
    files.write_bytes(path, (json.dumps(shipped_digests(folder), indent=1) + "\n").encode())
    return path


if __name__ == "__main__":
    write_list()
