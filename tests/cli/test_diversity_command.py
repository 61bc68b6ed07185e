"""``delt diversity`` as it is typed: its table, its JSON, and what it refuses."""

from __future__ import annotations

import json

import pytest

from delt_engine.analysis.diversity_store import DiversityResult


@pytest.fixture
def recovered(delt, colours):
    """Make a run of three colours, if it is not there yet."""

    def make(path, ipc: int, mi: int):
        words = ["--dataset", colours, "--image-size", 8, "--ipc", ipc, "--mi", mi, "--ri", 2, "--device", "cpu"]
        if not path.exists():
            assert delt("recover", *words, "--quiet", "--out", path).exit_code == 0
        return path

    return make


@pytest.fixture
def run(recovered, tmp_path_factory):
    """A finished run of four images of three colours, made once."""
    return recovered(tmp_path_factory.getbasetemp() / "colourful", 4, 4)


def test_a_run_beside_real_images(delt, run, tmp_path) -> None:
    result = delt("diversity", run, "--map", "--points", 30, "--into", tmp_path / "put", "--json", "--progress-json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["images"] == 4
    shown = {(row["source"], row["space"]): row for row in found["results"]}
    assert set(shown) == {(name, space) for name in ("colourful", "real", "random") for space in ("teacher", "pixels")}
    row = shown["colourful", "teacher"]
    assert row["method"] == "delt"
    assert row["cosine_similarity"] == pytest.approx(sum(row["per_class"].values()) / 3, abs=1e-5)
    assert -1 <= row["early"] <= 1
    assert shown["real", "pixels"]["draws"] == 5
    assert {each["space"] for each in found["missing"]} == {"second"}
    assert [each["source"] for each in found["missing"]] == ["colourful", "real", "random", "map"]
    assert "delt squeeze --dataset colours" in found["missing"][0]["reason"]
    assert [(each["space"], each["shown"], each["total"]) for each in found["maps"]] == [
        ("teacher", 30, 60),
        ("pixels", 30, 60),
    ]
    assert '"what": "compare images"' in result.stderr
    put = list((tmp_path / "put").glob("*.npz"))
    assert len(put) == 8  # six results, two maps
    assert delt("diversity", run, "--into", tmp_path / "put", "--quiet").stdout == ""


def test_one_image_a_class_has_a_map_and_no_similarity(answer, recovered, tmp_path) -> None:
    found = answer("diversity", recovered(tmp_path / "single", 1, 2), "--map", "--points", 20)
    assert (found["images"], found["results"]) == (None, [])
    assert [each["reason"].startswith("One image a class") for each in found["missing"]] == [True, True, False, True]
    assert [(each["space"], each["shown"]) for each in found["maps"]] == [("teacher", 20), ("pixels", 20)]


def test_a_table_for_people(delt, run) -> None:
    result = delt("diversity", run, "--space", "pixels", "--reference", "none")
    assert result.exit_code == 0, result.stderr
    assert "Mean cosine similarity within a class, 4 images a class" in result.stdout
    assert "DELT (colourful)" in result.stdout
    assert "Random real" not in result.stdout


def test_a_foreign_folder_is_measured_at_the_smaller_number(answer, run, colours) -> None:
    about = ("--dataset", colours, "--image-size", 8, "--space", "pixels", "--reference", "random")
    rows = answer("diversity", run, colours / "test", *about)["results"]
    assert [(row["method"], row["images"]) for row in rows] == [("delt", 4), ("folder", 4), ("random", 4)]
    assert [row["draws"] for row in rows] == [1, 5, 1]


@pytest.mark.parametrize(
    ("source", "words", "code", "said"),
    [
        ("run", "--space sound", 2, "space: 'sound' given, but it must be among teacher, second, pixels"),
        ("run", "--reference unreal", 2, "reference: 'unreal' given, but it must be among real, random, none"),
        ("run", "--space pixels --images 5", 2, "images: 5 given, but colourful has 4 a class"),
        ("folder", "", 2, "needs the dataset whose classes it has"),
        ("no-such-run", "", 1, "neither a run folder"),
    ],
)
def test_what_cannot_be_is_said(refusal, run, colours, source, words, code, said) -> None:
    given = {"run": run, "folder": colours / "test"}.get(source, source)
    assert said in refusal("diversity", given, *words.split(), code=code)


def test_shipped_results_of_the_examples_are_found() -> None:
    """Every example whose data and teacher ship has results in all spaces, so the page is full at first start."""
    from delt_engine.pipeline.image_sets import of_run, reference
    from delt_engine.pipeline.measure import stored_result
    from delt_engine.runs.titles import example_runs

    runs = [run for run in example_runs() if run.record().kind == "recover" and run.experiment.dataset != "cifar10"]
    assert len(runs) == 10
    for run in runs:
        subject = of_run(run)
        for space in ("teacher", "second", "pixels"):
            for each in (subject, reference(subject, "real"), reference(subject, "random")):
                found = stored_result(each, space)
                assert isinstance(found, DiversityResult), f"{each.source} {space}: see assets/diversity/README.md"
