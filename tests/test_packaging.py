"""A wheel holds all that the app needs, away from the checkout; the lock of .ci holds what pyproject.toml asks for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from hatchling.build import build_wheel
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / ".ci" / "requirements.lock"
OPEN_THE_APP = """
import json, sys
from streamlit.testing.v1 import AppTest
from delt_engine.paths import studio_dir

sys.path.insert(0, str(studio_dir()))  # as `streamlit run` does
app = AppTest.from_file(str(studio_dir() / "app.py"), default_timeout=240).run()
files = [module.__file__ for name, module in sys.modules.items() if name.split(".")[0] in ("delt_engine", "pages")]
print(json.dumps({"titles": [title.value for title in app.title], "errors": len(app.exception), "files": files}))
"""


def test_app_opens_from_a_wheel_away_from_the_checkout(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(ROOT)  # what is built is the project of the working folder
    wheel = tmp_path / build_wheel(str(tmp_path))
    assert wheel.stat().st_size < 25e6
    place, away = tmp_path / "site", tmp_path / "away"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    tops = {path.name for path in place.iterdir() if not path.name.endswith(".dist-info")}
    assert tops == {"delt_engine", "delt_studio"}
    assert {path.name for path in (place / "delt_studio").iterdir()} == {"app.py", "pages", "assets", ".streamlit"}
    assert (place / "delt_studio" / ".streamlit" / "config.toml").is_file()

    away.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(place), "PYTHONSAFEPATH": "1", "DELT_HOME": str(tmp_path / "home")}
    words = [sys.executable, "-c", OPEN_THE_APP]
    done = subprocess.run(words, cwd=away, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["titles"] == ["DELT Studio"]
    assert seen["errors"] == 0
    assert len(seen["files"]) > 50
    assert [file for file in seen["files"] if file and not Path(file).is_relative_to(place)] == []


def test_lock_holds_a_fitting_version_of_every_requirement() -> None:
    """Made by the command at the head of the lock; `--upgrade` moves its versions on."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *(word for extra in project["optional-dependencies"].values() for word in extra)]
    locked = re.findall(r"^([\w.-]+)==(\S+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    for one in map(Requirement, asked):
        versions = [version for name, version in locked if name == one.name]
        assert versions, f"{one} is not in the lock"
        assert all(version in one.specifier for version in versions), f"{one}, but the lock holds {versions}"
