"""``delt diversity`` as it is typed: its table, its JSON, and what it refuses."""

from __future__ import annotations

import json

import pytest

from delt_engine.analysis.diversity_store import DiversityResult

pytest_plugins = ["colour_folder"]


@pytest.fixture(scope="module")
def run(home, colours, tmp_path_factory):
    """A finished run of four images of three colours."""
    from click.testing import CliRunner

    from delt_engine.cli import main

    path = tmp_path_factory.mktemp("runs") / "colourful"
    words = ["--dataset", colours, "--image-size", 8, "--ipc", 4, "--mi", 4, "--ri", 2, "--device", "cpu", "--quiet"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DELT_HOME", str(home))
        result = CliRunner().invoke(main, [str(word) for word in ("recover", *words, "--out", path)])
    assert result.exit_code == 0, result.stderr
    return path


def test_a_run_beside_real_images(delt, run, tmp_path) -> None:
    result = delt("diversity", run, "--map", "--points", 30, "--into", tmp_path / "put", "--json", "--progress-json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["images"] == 4
    shown = {(row["source"], row["space"]): row for row in told["results"]}
    assert set(shown) == {(name, space) for name in ("colourful", "real", "random") for space in ("teacher", "pixels")}
    row = shown["colourful", "teacher"]
    assert row["method"] == "delt"
    assert row["cosine_similarity"] == pytest.approx(sum(row["per_class"].values()) / 3, abs=1e-5)
    assert -1 <= row["early"] <= 1
    assert shown["real", "pixels"]["draws"] == 5
    assert {each["space"] for each in told["missing"]} == {"second"}
    assert [each["source"] for each in told["missing"]] == ["colourful", "real", "random", "map"]
    assert "delt squeeze --dataset colours" in told["missing"][0]["reason"]
    assert [(each["space"], each["shown"], each["total"]) for each in told["maps"]] == [
        ("teacher", 30, 60),
        ("pixels", 30, 60),
    ]
    assert '"what": "compare images"' in result.stderr
    put = list((tmp_path / "put").glob("*.npz"))
    assert len(put) == 8  # six results, two maps
    assert delt("diversity", run, "--into", tmp_path / "put", "--quiet").stdout == ""


def test_one_image_a_class_has_a_map_and_no_similarity(delt, colours, tmp_path) -> None:
    words = ["--dataset", colours, "--image-size", 8, "--ipc", 1, "--mi", 2, "--ri", 2, "--device", "cpu", "--quiet"]
    assert delt("recover", *words, "--out", tmp_path / "single").exit_code == 0
    result = delt("diversity", tmp_path / "single", "--map", "--points", 20, "--json")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    assert (told["images"], told["results"]) == (None, [])
    assert [each["reason"].startswith("One image a class") for each in told["missing"]] == [True, True, False, True]
    assert [(each["space"], each["shown"]) for each in told["maps"]] == [("teacher", 20), ("pixels", 20)]


def test_a_table_for_people(delt, run) -> None:
    result = delt("diversity", run, "--space", "pixels", "--reference", "none")
    assert result.exit_code == 0, result.stderr
    assert "Mean cosine similarity within a class, 4 images a class" in result.stdout
    assert "DELT (colourful)" in result.stdout
    assert "Random real" not in result.stdout


def test_a_foreign_folder_is_measured_at_the_smaller_number(delt, run, colours, tmp_path) -> None:
    about = ("--dataset", colours, "--image-size", 8, "--space", "pixels", "--reference", "random")
    result = delt("diversity", run, colours / "test", *about, "--json")
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)["results"]
    assert [(row["method"], row["images"], row["draws"]) for row in rows] == [
        ("delt", 4, 1),
        ("folder", 4, 5),
        ("random", 4, 1),
    ]


@pytest.mark.parametrize(
    ("source", "words", "code", "said"),
    [
        ("run", ("--space", "sound"), 2, "space: 'sound' given, but it must be among teacher, second, pixels"),
        ("run", ("--reference", "unreal"), 2, "reference: 'unreal' given, but it must be among real, random, none"),
        ("run", ("--space", "pixels", "--images", "5"), 2, "images: 5 given, but colourful has 4 a class"),
        ("folder", (), 2, "needs the dataset whose classes it has"),
        ("no-such-run", (), 1, "neither a run folder"),
    ],
)
def test_what_cannot_be_is_said(delt, run, colours, source, words, code, said) -> None:
    result = delt("diversity", {"run": run, "folder": colours / "test"}.get(source, source), *words)
    assert result.exit_code == code
    assert said in result.stderr


def test_shipped_results_of_the_examples_are_found() -> None:
    """Every example has results in all spaces, so the page is full at first start."""
    from delt_engine.pipeline.image_sets import of_run, reference
    from delt_engine.pipeline.measure import stored_result
    from delt_engine.runs.titles import example_runs

    for run in (each for each in example_runs() if each.record().kind == "recover"):
        subject = of_run(run)
        for space in ("teacher", "second", "pixels"):
            for each in (subject, reference(subject, "real"), reference(subject, "random")):
                found = stored_result(each, space)
                assert isinstance(found, DiversityResult), f"{each.source} {space}: see assets/diversity/README.md"
