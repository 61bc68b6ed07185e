"""The layout and the direction of imports, read from the files themselves (DESIGN: layout and contracts)."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOP_LEVEL = {"pyproject.toml", "app.py", "pages", "delt_engine", "assets", "tests", "README.md", "LICENSE"}

# Who stands in a row imports from its own row and from those above it.
FLOORS = (
    "errors paths seeding threads files npz access",
    "config",
    "data models",
    "patches recovery training",
    "analysis papers applications lab",
    "plots runs exports",
    "jobs pipeline",
    "bench cli pages.shared",
    "__main__ pages",
    "app",
)
LEVEL = {name: level for level, row in enumerate(FLOORS) for name in row.split()}

MIRRORS = {"config", "pipeline", "cli", "plots", "bench"}
"""Packages whose files may be named like those of others: they mirror the stages."""


def sources() -> dict[str, Path]:
    """Return every module of the project by its dotted name."""
    paths = [ROOT / "app.py", *(ROOT / "pages").rglob("*.py"), *(ROOT / "delt_engine").rglob("*.py")]
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imported(tree: ast.AST, modules: dict[str, Path]) -> set[str]:
    """Return what a module imports anywhere, also inside functions: names of modules here, roots of others.

    What only a type checker sees is left out.
    """
    guarded = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in modules else node.module or "" for name in whole}
    return {name if name in modules else name.split(".")[0] for name in found}


def level(module: str) -> int:
    """Return the floor of a module; the engine's own front door stands with the lowest."""
    if module == "delt_engine":
        return 0
    name = module.removeprefix("delt_engine.")
    return LEVEL["pages.shared"] if name.startswith("pages.shared") else LEVEL[name.split(".")[0]]


def rising(graph: dict[str, set[str]]) -> list[str]:
    """Return the imports that point at a higher floor."""
    return [f"{a} -> {b}" for a, others in graph.items() for b in others if level(b) > level(a)]


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the modules that import each other, directly or through others, each with those of them it imports.

    Who imports nobody that is left, or is imported by nobody that is left, is in no circle.
    """
    left = {name: set(others) & set(graph) for name, others in graph.items()}
    while free := [
        name for name in left if not left[name] & set(left) or not any(name in others for others in left.values())
    ]:
        for name in free:
            del left[name]
    return [[name, *sorted(left[name] & set(left))] for name in sorted(left)]


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    modules = sources()
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in modules.items()}
    return {name: imported(tree, modules) for name, tree in trees.items()}


def own(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports among our own modules, without those of a package by what stands in it."""
    return {
        name: {other for other in others if other in graph and not name.startswith(other + ".")} - {name}
        for name, others in graph.items()
    }


def test_imports_point_downwards(graph: dict[str, set[str]]) -> None:
    assert rising(own(graph)) == []


def test_no_modules_import_each_other_in_a_circle(graph: dict[str, set[str]]) -> None:
    assert circles(own(graph)) == []


def test_a_circle_and_a_rising_import_are_seen() -> None:
    tangled = {
        "delt_engine.data.a": {"delt_engine.data.b", "delt_engine.runs.d"},
        "delt_engine.data.b": {"delt_engine.data.a"},
        "delt_engine.runs.c": {"delt_engine.data.a"},
        "delt_engine.runs.d": set(),
    }
    assert rising(tangled) == ["delt_engine.data.a -> delt_engine.runs.d"]
    assert circles(tangled) == [
        ["delt_engine.data.a", "delt_engine.data.b"],
        ["delt_engine.data.b", "delt_engine.data.a"],
    ]


def test_imports_inside_functions_count_and_those_of_type_checkers_do_not() -> None:
    modules = {"delt_engine.errors": ROOT, "delt_engine.paths": ROOT, "delt_engine": ROOT}
    text = (
        "from delt_engine import errors\n"
        "if TYPE_CHECKING:\n    import torch\n"
        "def late():\n    from delt_engine.paths import home\n    import numpy.linalg\n"
    )
    assert imported(ast.parse(text), modules) == {"delt_engine.errors", "delt_engine.paths", "numpy"}


def test_a_file_name_stands_for_one_thing(graph: dict[str, set[str]]) -> None:
    names = Counter(
        name.split(".")[-1]
        for name, path in sources().items()
        if name.startswith("delt_engine.") and path.name != "__init__.py" and name.split(".")[1] not in MIRRORS
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_streamlit_stays_out_of_the_engine_and_torch_out_of_the_pages(graph: dict[str, set[str]]) -> None:
    engine = [name for name, others in graph.items() if name.startswith("delt_engine") and "streamlit" in others]
    pages = [
        name
        for name, others in graph.items()
        if not name.startswith("delt_engine") and others & {"torch", "torchvision", "timm"}
    ]
    assert (engine, pages) == ([], [])


def test_what_the_pages_and_the_command_import_loads_no_torch(graph: dict[str, set[str]]) -> None:
    names = {"delt_engine", "delt_engine.cli", "delt_engine.runs.titles"}.union(
        *(others for name, others in graph.items() if name.startswith("pages"))
    )
    script = f"import importlib, sys\nfor m in {sorted(names & set(graph))!r}: importlib.import_module(m)\n"
    script += "print('torch' in sys.modules)"
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
