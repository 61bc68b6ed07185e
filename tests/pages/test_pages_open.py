"""Every page opens: with a finished run, with a run in the middle, and with nothing at all; and none is left out."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from fake_runs import make_finished_run, make_half_done_run

from delt_engine.runs.store import Run
from pages.shared.nav import PAGES, ROOT

NAMES = [entry.name for entry in PAGES]
FOLDERS = ("start", "distill", "explore", "study", "manage")


def sound(app) -> bool:
    return not app.exception and len(app.title) == 1


@pytest.mark.parametrize("name", NAMES)
def test_page_opens_with_no_runs_at_all(name, open_page) -> None:
    app = open_page(name)
    assert sound(app)
    assert app.button or app.info or app.get("page_link")


@pytest.fixture
def odd(home) -> list[Run]:
    """Runs whose files others have written: classes without a dataset, and lines of events that are not ours."""
    nameless = make_finished_run(home / "runs" / "20260105-000000-nameless")
    record = json.loads((nameless.path / "run.json").read_text())
    (nameless.path / "run.json").write_text(json.dumps(record | {"dataset": None}))
    foreign = make_half_done_run(home / "runs" / "20260106-000000-foreign", alive=False)
    with (foreign.path / "events.jsonl").open("a") as file:
        for values in ('"batch":"abc"', '"batch":null,"iteration":1e400', '"image_iterations_total":0'):
            file.write(f'{{"kind":"step",{values}}}\n')
    return [nameless, foreign]


@pytest.mark.parametrize("name", NAMES)
def test_page_opens_with_an_example_and_runs_also_odd_ones(name, open_page, home, odd) -> None:
    make_finished_run(home / "assets" / "examples" / "delt")
    make_finished_run(home / "runs" / "20260101-000000-photos-delt-ipc4-aaaa")
    make_half_done_run(home / "runs" / "20260102-000000-photos-delt-ipc4-bbbb")
    make_half_done_run(home / "runs" / "20260103-000000-photos-delt-ipc4-cccc", alive=False)
    broken = home / "runs" / "20260104-000000-photos-delt-ipc4-dddd"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    app = open_page(name)
    assert sound(app)
    assert app.sidebar.button(key=f"strip/stop/{odd[1].id}")
    assert "Running and queued" in [entry.value for entry in app.sidebar.caption]
    assert any("Round 2 of 4" in entry.value for entry in app.sidebar.caption)


def test_an_odd_run_can_be_looked_at_and_deleted(open_page, odd) -> None:
    odd[1].set_status("paused", process=None)
    for run in odd:
        for page in ("distill/recover", "explore/gallery", "explore/early_late", "explore/accuracy"):
            assert sound(open_page(page, run=run.id))
        app = open_page("manage/runs", run=run.id)
        app.button(key=f"runs/delete/{run.id}").click().run()
        assert not app.exception
        assert not run.path.exists()


def test_every_page_file_is_in_the_menu() -> None:
    files = {str(path.relative_to(ROOT / "pages").with_suffix("")) for path in (ROOT / "pages").glob("*/*.py")}
    pages = {name for name in files if not name.startswith("shared/") and not name.endswith("__init__")}
    assert pages == set(NAMES)
    assert all(name.split("/")[0] in FOLDERS for name in NAMES)
    assert not list((ROOT / "pages").glob("*.py"))


def test_the_app_process_never_loads_torch_and_its_first_page_no_pandas() -> None:
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in (ROOT / "pages/shared").glob("*.py")]
    script = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "from streamlit.testing.v1 import AppTest\n"
        f"app = AppTest.from_file({str(ROOT / 'app.py')!r}, default_timeout=240).run()\n"
        "print('first page:', sorted({'pandas', 'sklearn', 'scipy'} & set(sys.modules)))\n"
        f"for name in {NAMES!r}: app.switch_page(f'pages/{{name}}.py').run()\n"
        "assert not app.exception\n"
        "print('loaded:', sorted({'torch', 'torchvision', 'timm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert done.stdout.splitlines()[-2:] == ["first page: []", "loaded: []"], done.stderr[-2000:]


def test_pages_stay_thin() -> None:
    for path in (ROOT / "pages").rglob("*.py"):
        limit = 300 if "shared" in path.parts else 130
        assert len(path.read_text().splitlines()) <= limit, f"{path} is too long"
        assert not re.search(r"except( Exception)?:|(?<![.\w])open\(|import threading", path.read_text()), path


def test_what_streamlit_does_not_document_stands_in_one_module() -> None:
    for path in [ROOT / "app.py", *(ROOT / "pages").rglob("*.py")]:
        uses = re.search(r"streamlit\.(runtime|proto)|from streamlit import runtime", path.read_text())
        assert path.name == "streamlit_internals.py" or not uses, path
