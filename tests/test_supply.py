"""What the project needs is in use, and the check of vulnerabilities and licences fails for what it should."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

IMPORTED_AS = {"pillow": "PIL", "pyyaml": "yaml", "scikit-image": "skimage", "scikit-learn": "sklearn"}

USED_OTHERWISE = {
    "jinja2": "pandas' LaTeX",
    "pytest-timeout": "the option timeout in pyproject.toml",
    "pytest-xdist": "the option -n in pyproject.toml",
    "ruff": "typed by hand",
    "authlib": "streamlit's st.login",
}


def needed() -> list[str]:
    """The names of everything in pyproject.toml that has to be installed."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    tables = re.findall(r"^(?:dependencies|test|signin|export) = \[.*?\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert len(tables) == 4
    return re.findall(r'^ +"([a-z0-9-]+)', "\n".join(tables), re.MULTILINE)


def test_every_dependency_is_in_use() -> None:
    roots = ("delt_engine", "pages", "tests")
    code = "\n".join(path.read_text(encoding="utf-8") for root in roots for path in (ROOT / root).rglob("*.py"))
    unused = []
    for name in set(needed()) - set(USED_OTHERWISE):
        module = IMPORTED_AS.get(name, name.replace("-", "_"))
        if not re.search(
            rf'(^ *(import|from) {module}\b|"-m", "{module}"|importorskip\("{module}"\))', code, re.MULTILINE
        ):
            unused.append(name)
    assert unused == []
    assert set(USED_OTHERWISE) <= set(needed())


@pytest.fixture(scope="module")
def supply():
    spec = importlib.util.spec_from_file_location("supply", ROOT / ".ci" / "supply.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_installed_is_allowed(supply) -> None:
    assert supply.strange_licences() == []


@pytest.mark.parametrize(
    ("name", "licence", "allowed"),
    [
        ("a", "MIT", True),
        ("a", "BSD-3-Clause AND GPL-3.0-only", False),
        ("a", "Mozilla Public License 2.0 (MPL 2.0)", True),
        ("a", "GPL-3.0-only OR MIT", True),
        ("a", "GNU General Public License v3 (GPLv3)", False),
        ("a", "AGPL-3.0", False),
        ("a", "Other/Proprietary License", False),
        ("nvidia-cudnn-cu13", "Other/Proprietary License", True),
        ("a", "", False),
        ("a", "MIT AND Apache-2.0 WITH LLVM-exception", True),
        ("a", "MIT-but-not-really", False),
    ],
)
def test_licences(supply, name, licence, allowed) -> None:
    assert supply.is_allowed(name, licence) is allowed


def test_a_known_vulnerability_fails_and_an_unreachable_database_is_said(supply, monkeypatch, capsys) -> None:
    bug = {"id": "PYSEC-1", "fix_versions": ["2.0"]}
    packages = [{"name": "a", "version": "1.0", "vulns": [bug]}, {"name": "b", "skip_reason": "not found"}]
    report = supply.json.dumps({"dependencies": packages})
    found, said = supply.verdict(1, report, "")
    assert found == ["a 1.0: PYSEC-1, mended in 2.0"]
    assert said == "1 packages audited, 1 not known to the database: b"
    nothing, why = supply.verdict(1, "", "Traceback\nConnectionError: no route\n\n")
    assert (nothing, why) == ([], "The audit was not possible and proves nothing: ConnectionError: no route")
    monkeypatch.setattr(supply, "strange_licences", list)
    for answer, code in (((found, said), 1), (([], why), 0)):
        monkeypatch.setattr(supply, "audit", lambda answer=answer: answer)
        assert supply.main() == code
        assert answer[1] in capsys.readouterr().out


def test_the_build_runs_the_tests_of_the_readme_then_the_check() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "README.md" in script
    assert script.index('bash -euo pipefail -c "$command"') < script.index(".venv/bin/python .ci/supply.py")
