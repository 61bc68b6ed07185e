"""What is installed for the tests, checked: known vulnerabilities by pip-audit, and licences by an allow-list.

``python .ci/supply.py`` looks at the environment of the Python that runs it. It ends with 1 for a known vulnerability
or a licence that is not allowed. A database that cannot be reached is said, and fails nothing.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

ALLOWED = "|".join(
    (
        r"mit([ -]0| no attribution| license|-cmu)?",
        r"bsd[ -]?([023]|new|simplified)?[ -]?clause.*|0bsd|(3-clause )?bsd( license)?",
        r"apache([ -]software)?([ -]license)?(,? ?(version )?[ -]?2(\.0)?)?( license)?|llvm-exception",
        r"mpl-2\.0|mozilla public license 2\.0( mpl 2\.0)?",
        r"psf-2\.0|python(-2\.0| software foundation license)",
        r"hpnd|historical permission notice and disclaimer.*",
        r"isc( license.*)?|zlib|cc0-1\.0|bsl-1\.0|boost.*|(the )?unlicense.*|dfsg approved",
    )
)
"""Licences that let the project be used and passed on under its own; GPL and AGPL are not among them."""

NAMED = re.compile(r"nvidia-.*|cuda-.*|axe-playwright-python|mlcroissant")
"""Packages let in by name: NVIDIA's libraries, which PyTorch's wheels bring and which are not passed on here; and
mlcroissant, whose wheel names no licence while its repository, mlcommons/croissant, is under Apache 2.0."""

_PATIENCE_S = 90


def licence_of(about: Mapping[str, Any], classifiers: Iterable[str]) -> str:
    """Return what a package says of its licence: the expression, else its classifiers, else a line of text."""
    titles = [one.split(" :: ")[-1] for one in classifiers if one.startswith("License :: ")]
    lines = str(about.get("License") or "").strip().splitlines()
    return str(about.get("License-Expression") or " AND ".join(titles) or (lines[0] if lines else ""))


def is_allowed(name: str, licence: str) -> bool:
    """Return whether a package may be used: one of the licences that it offers, with all that goes with that one."""
    if NAMED.fullmatch(name.lower()):
        return True
    words = " ".join(re.sub("[()]", " ", licence.lower()).split())
    return any(
        all(re.fullmatch(ALLOWED, one.strip()) for one in re.split(r"\band\b|\bwith\b|;", choice))
        for choice in re.split(r"\bor\b", words)
    )


def strange_licences() -> list[str]:
    """Return the installed packages whose licence is not allowed, with it."""
    found = set()
    for package in distributions():
        name = package.metadata["Name"]
        licence = licence_of(package.metadata, package.metadata.get_all("Classifier") or ())
        if not is_allowed(name, licence):
            found.add(f"{name}: {licence or 'says none'}")
    return sorted(found)


def verdict(code: int, out: str, err: str) -> tuple[list[str], str]:
    """Return the vulnerabilities that pip-audit found, and what is to be said of the audit itself.

    Args:
        code: its exit code, 1 also where the database could not be reached.
        out: its JSON, or nothing.
        err: what it said besides.
    """
    try:
        packages = json.loads(out)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = next((line for line in reversed(err.splitlines()) if line.strip()), f"exit code {code}")
        return [], f"The audit was not possible and proves nothing: {last.strip()}"
    found = [
        f"{one['name']} {one['version']}: {bug['id']}, mended in {', '.join(bug['fix_versions']) or 'no version'}"
        for one in packages
        for bug in one.get("vulns", ())
    ]
    left_out = [one["name"] for one in packages if "skip_reason" in one]
    said = f"{len(packages) - len(left_out)} packages audited"
    return found, f"{said}, {len(left_out)} not known to the database: {', '.join(left_out)}" if left_out else said


def audit() -> tuple[list[str], str]:
    """Return what pip-audit, in an environment of its own, says of the packages installed here."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "bin" / "python"
        for command in (
            [sys.executable, "-m", "venv", folder],
            [str(python), "-m", "pip", "install", "-q", "pip-audit"],
        ):
            made = _run(command)
            if made.returncode:
                return verdict(made.returncode, "", made.stderr)
        places = sorted({str(package.locate_file("")) for package in distributions()})
        words = [word for place in places for word in ("--path", place)]
        done = _run([str(python), "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", *words])
        return verdict(done.returncode, done.stdout, done.stderr)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def main() -> int:
    """Say what was found and return the exit code."""
    strange = strange_licences()
    found, said = audit()
    lines = [said, *(f"vulnerable: {one}" for one in found), *(f"licence not allowed: {one}" for one in strange)]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if found or strange else 0


if __name__ == "__main__":
    sys.exit(main())
