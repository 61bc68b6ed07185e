"""The layout and the direction of imports, read from the files themselves (DESIGN: layout and contracts)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOP_LEVEL = {"pyproject.toml", "app.py", "pages", "delt_engine", "assets", "tests", "README.md", "LICENSE"}

# A module may import from its own layer and from lower ones; the first matching prefix decides.
LAYERS = [
    ("delt_engine.errors", 0),
    ("delt_engine.paths", 0),
    ("delt_engine.settings", 0),
    ("delt_engine.config", 0),
    ("delt_engine.student_config", 0),
    ("delt_engine.patch_config", 0),
    ("delt_engine.methods", 0),
    ("delt_engine.seeding", 0),
    ("delt_engine.recovery.schedule", 0),
    ("delt_engine.recovery.curriculum", 0),
    ("delt_engine.data", 1),
    ("delt_engine.models", 2),
    ("delt_engine.squeeze", 3),
    ("delt_engine.ranking", 3),
    ("delt_engine.ranking_stream", 3),
    ("delt_engine.ranking_partial", 3),
    ("delt_engine.selection", 3),
    ("delt_engine.patch_orders", 3),
    ("delt_engine.recovery", 3),
    ("delt_engine.analysis", 3),
    ("delt_engine.students", 3),
    ("delt_engine.relabel", 3),
    ("delt_engine.label_store", 3),
    ("delt_engine.label_codec", 3),
    ("delt_engine.plots", 4),
    ("delt_engine.plots_live", 4),
    ("delt_engine.data_plots", 4),
    ("delt_engine.lab_plots", 4),
    ("delt_engine.image_plots", 4),
    ("delt_engine.accuracy_plots", 4),
    ("delt_engine.student_plots", 4),
    ("delt_engine.diversity_plots", 4),
    ("delt_engine.bench", 4),
    ("delt_engine.runs", 4),
    ("delt_engine.cli", 5),
    ("delt_engine.__main__", 6),
    ("delt_engine", 0),
    ("pages.shared", 5),
    ("pages", 6),
    ("app", 7),
]
TORCH_FREE = [
    "delt_engine",
    "delt_engine.config",
    "delt_engine.paths",
    "delt_engine.plots",
    "delt_engine.data_plots",
    "delt_engine.lab_plots",
    "delt_engine.analysis.film",
    "delt_engine.analysis.lab",
    "delt_engine.analysis.published",
    "delt_engine.analysis.scores",
    "delt_engine.analysis.diversity_store",
    "delt_engine.analysis.embedding",
    "delt_engine.models.second",
    "delt_engine.runs.diversity",
    "delt_engine.runs.embedding",
    "delt_engine.analysis.own_time",
    "delt_engine.image_plots",
    "delt_engine.accuracy_plots",
    "delt_engine.student_plots",
    "delt_engine.diversity_plots",
    "delt_engine.plots_live",
    "delt_engine.presets",
    "delt_engine.analysis.cost",
    "delt_engine.runs.rates",
    "delt_engine.runs.lineage",
    "delt_engine.selection",
    "delt_engine.ranking",
    "delt_engine.data.catalogue",
    "delt_engine.models.card",
    "delt_engine.recovery.schedule",
    "delt_engine.recovery.curriculum",
    "delt_engine.recovery.batches",
    "delt_engine.student_config",
    "delt_engine.students.records",
    "delt_engine.students.rates",
    "delt_engine.runs.store",
    "delt_engine.runs.jobs",
    "delt_engine.runs.evaluations",
    "delt_engine.runs.sources",
    "delt_engine.cli",
]


def layer(module: str) -> int:
    return next(level for prefix, level in LAYERS if module == prefix or module.startswith(prefix + "."))


def sources() -> list[Path]:
    return [
        ROOT / "app.py",
        *sorted((ROOT / "pages").rglob("*.py")),
        *sorted((ROOT / "delt_engine").rglob("*.py")),
    ]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            is_package = (ROOT / Path(*(node.module or "").split("."))).is_dir()
            found |= names if is_package else {node.module or ""}
    return found


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_imports_point_downwards(path: Path) -> None:
    module = module_name(path)
    for name in imports(path):
        if name.split(".")[0] in {"delt_engine", "pages"}:
            assert layer(name) <= layer(module), f"{module} imports {name}, which stands above it"


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_streamlit_stays_out_of_the_engine_and_torch_out_of_the_pages(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    if module_name(path).startswith("delt_engine"):
        assert "streamlit" not in roots
    else:
        assert not roots & {"torch", "torchvision", "timm"}


def test_what_the_app_imports_loads_no_torch() -> None:
    script = (
        f"import importlib, sys\nfor m in {TORCH_FREE!r}: importlib.import_module(m)\nprint('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "False"


def test_top_level_is_fixed() -> None:
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    top = {line.split("/")[0] for line in listed.splitlines()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL


def test_public_names_resolve() -> None:
    import delt_engine

    for name in delt_engine.__all__:
        assert isinstance(getattr(delt_engine, name), str) or callable(getattr(delt_engine, name)), name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = delt_engine.nothing
