"""``delt papers`` and ``delt reproduce`` as typed: lists, one table, prices, and what is refused."""

from __future__ import annotations

import pytest

from delt_engine.data.available import Place
from delt_engine.data.catalogue import CATALOGUE, image_folder
from delt_engine.papers.kept import read_kept
from delt_engine.papers.paper_tables import TABLES
from delt_engine.paths import assets_dir, data_dirs
from delt_engine.pipeline import table_needs


def test_the_list_counts_what_is_printed_and_what_can_be_measured(answer) -> None:
    found = answer("papers")
    assert (found["printed"], found["reachable"]) == (503, 464)
    assert found["reachable"] + sum(found["not_here"].values()) == found["printed"]
    assert [row["id"] for row in found["tables"]] == [table.id for table in TABLES]
    own = {row["id"]: row for row in found["tables"]}
    assert (own["delt-1"]["printed"], own["delt-1"]["reachable"]) == (117, 126)  # nine stand beside
    assert (own["cda-14"]["printed"], own["cda-14"]["reachable"]) == (10, 10)
    assert own["cda-20"]["measured"] == 12  # parameters need no run


def test_one_table_is_shown_as_printed(delt, answer) -> None:
    said = delt("papers", "delt-2").stdout
    for words in ("DELT Table 2", "Tiny-ImageNet", "8.8 ± 0.3", "not here", "delt reproduce delt-2"):
        assert words in said
    cells = answer("papers", "delt-4b", "--scale", "laptop")["cells"]
    assert [(cell["selection"], cell["printed"], cell["assumed"]) for cell in cells] == [
        ("lowest", 57.55, ["ipc"]),
        ("medium", 57.67, ["ipc"]),
        ("highest", 57.03, ["ipc"]),
    ]


def test_settings_and_figures_are_shown_as_well(delt) -> None:
    assert "training_epoch" in delt("papers", "cda-10").stdout
    assert "`delt continual` and the page Applications" in delt("papers", "delt-fig8").stdout
    assert "A drawing. `delt cost` and the page Recover" in delt("papers", "delt-fig1").stdout
    assert "The page Gallery shows those of any run" in " ".join(delt("papers", "cda-fig9").stdout.split())
    said = delt("papers", "delt-6").stdout
    assert "N x T - j(j-1)/2 x RI" in said
    assert "25,500" in said  # IPC 10, RI 500: 2, 2 and six times 1 image join


def test_the_list_is_written_for_documents(delt, tmp_path, refusal) -> None:
    file = tmp_path / "papers.md"
    assert delt("papers", "--markdown", file).exit_code == 0
    tables = [block.splitlines()[2:] for block in file.read_text().split("\n\n")]
    rows, numbers = ({line.split(" | ")[0].strip("| "): line for line in table} for table in tables)
    assert "`delt reproduce delt-4c`" in rows["DELT Table 4c"]
    assert "on an RTX 4090" in rows["DELT Table 4c"]
    assert "`delt reproduce cda-14`" in rows["CDA Table 14"]
    assert "DELT Table 8" not in rows  # settings
    assert "| MI 1,000, RI 500: 44.87; MI 1,000, RI 1,000: 43.71; " in numbers["DELT Table 4c"]
    assert numbers["DELT Table 4b"].endswith("| 25.6 ± 2.3; 31.8 ± 0.6; 29.8 ± 2.1 |")
    assert numbers["DELT Figure 2"] == "| DELT Figure 2 | SRe²L; CDA; DELT | 0.956; 0.958; 0.927 |"
    assert "| IPC 1, DM: 3.9; IPC 1, CDA, Epochs 200: 2.38; " in numbers["CDA Table 13"]  # DM's has no epochs
    assert "DELT Figure 6" not in numbers  # not whole: images are not kept
    assert "CDA Figure 7" not in numbers  # those of Tables 14 and 15
    assert refusal("papers", "delt-1", "--markdown", file).startswith("Error: markdown: ")


def test_numbers_that_come_with_the_package_are_marked(delt, answer) -> None:
    said = delt("papers", "delt-4c", "--scale", "laptop").stdout
    assert "27.7 ± 0.9 †" in said
    assert "† comes with DELT Studio and is not among your runs; measured on AMD EPYC" in " ".join(said.split())
    assert "The paper's order holds here: within noise (15 pairs" in " ".join(said.split())
    assert "Missing: 6 of 6 numbers" in said
    first = answer("papers", "delt-4c", "--scale", "laptop")["cells"][0]
    assert (first["kept"]["value"], first["kept"]["n"], first["measured"], first["state"]) == (27.7, 3, None, "missing")
    own = {row["id"]: row for row in answer("papers")["tables"]}
    assert own["delt-4c"]["laptop"].items() >= {"measured": 0, "kept": 6, "order": "within noise"}.items()


def test_the_documents_tell_what_comes_with_the_package(delt, tmp_path) -> None:
    file = tmp_path / "papers.md"
    delt("papers", "--markdown", file)
    document = (assets_dir() / "docs" / "papers.md").read_text(encoding="utf-8")
    tables = file.read_text(encoding="utf-8").strip().split("\n\n")
    assert [len(table.splitlines()) > 20 for table in tables] == [True, True]
    assert [table for table in tables if f"\n\n{table}\n" not in document] == []


def test_measured_numbers_are_kept_in_a_file(delt, answer, refusal, tmp_path) -> None:
    file = tmp_path / "numbers.json"
    assert "0 numbers are new or changed." in " ".join(delt("papers", "--keep", file).stdout.split())
    assert read_kept(file) == []
    assert answer("papers", "--keep", file) == {"file": str(file), "changed": 0}
    assert refusal("papers", "delt-1", "--keep", file).startswith("Error: keep: ")
    assert "one file is written at a time" in refusal("papers", "--markdown", file, "--keep", file)
    file.write_text("{}")
    assert "holds no kept numbers" in refusal("papers", "--keep", file)


def test_a_price_is_told_before_anything_is_done(answer, delt) -> None:
    found = answer("reproduce", "delt-4c", "--scale", "laptop", "--price")
    assert found.items() >= {"cells": 6, "missing": 6, "scale": "laptop"}.items()
    assert found["hours"] > 0
    one = answer("reproduce", "delt-4c", "--scale", "laptop", "--price", "--only", "MI=1000,RI=500")
    assert (one["cells"], one["missing"]) == (1, 1)
    assert 0 < one["hours"] < found["hours"]
    assert "6 numbers, 6 missing" in delt("reproduce", "delt-4c", "--price").stdout
    assert "`delt prune` and the page Applications" in delt("reproduce", "delt-7", "--price").stdout
    found = answer("reproduce", "delt-4c", "--price")
    assert found.keys() == {"table", "scale", "cells", "missing", "hours", "memory_mb", "disk_bytes", "is_measured"}
    assert found["disk_bytes"] > 10**9


def test_a_price_says_what_is_fetched_rather_than_trained(delt) -> None:
    said = " ".join(delt("reproduce", "cda-9", "--price").stdout.split())
    assert "are trainings that `delt teachers add torchvision:resnet18` saves." in said
    assert "teachers add torchvision:mobilenet_v2" not in said  # it is fetched as well
    assert "memory not measured here" in said
    said = " ".join(delt("reproduce", "delt-6", "--price", "--only", "dataset=imagenet-1k,method=gvbsm").stdout.split())
    assert "`delt teachers add torchvision:shufflenet_v2_x0_5` save." in said
    assert "teachers add" not in delt("reproduce", "delt-4c", "--scale", "laptop", "--price").stdout


def test_an_outside_network_is_told_among_what_is_fetched(delt, monkeypatch) -> None:
    said = " ".join(delt("reproduce", "cda-9", "--price").stdout.split())
    assert "tries to fetch them first. The outside network torchvision:mobilenet_v2 is fetched as well." in said
    assert "second:" not in said
    monkeypatch.setattr(table_needs, "published_ref", lambda _part: "")
    said = " ".join(delt("reproduce", "cda-9", "--price").stdout.split())
    assert "There is no outside network for imagenet-1k at 224 px, which is another one than the teacher; " in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("papers", "delt-99"), "table: 'delt-99' given, but there is no table or figure of that name; did you mean"),
        (("reproduce", "delt-4c", "--only", "MI"), "only: 'MI' given, but it must be AXIS=VALUE with one of MI, RI, "),
        (("reproduce", "delt-4c", "--only", "colour=red"), "only: 'colour=red' given, but it must be AXIS=VALUE"),
        (("reproduce", "delt-4c", "--only", "MI=7"), "only: 'MI=7' given, but MI must be one of 1000, 2000, 4000."),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(refusal, words, sentence) -> None:
    assert sentence in refusal(*words)


def test_what_has_no_data_is_refused_before_anything_is_done(refusal, home, monkeypatch) -> None:
    before = list((home / "runs").glob("*"))
    said = refusal("reproduce", "delt-4b", "--device", "cpu", "-q")
    assert "3 of 3 numbers need data that is not on this machine. ImageNet-1K: " in said
    assert "--dataset imagenet-1k=FOLDER" in said
    assert "Leave them out" not in said
    assert "with --only dataset=cifar10+" in refusal("reproduce", "delt-1", "--device", "cpu", "-q")
    states = {"imagenet-100": "ready"}  # but not the data of the network that ranks for DELT
    monkeypatch.setattr(table_needs, "place_of", lambda name: Place(name, name, states.get(name, "missing")))
    said = refusal("reproduce", "delt-2", "--only", "dataset=imagenet-100", "--device", "cpu", "-q")
    assert "3 of 6 numbers need data" in said
    assert said.endswith("Leave them out with --only dataset=imagenet-100,method=rded.")
    assert list((home / "runs").glob("*")) == before


def test_of_a_part_that_was_asked_for_only_that_part_is_told(delt, answer) -> None:
    only = ("--only", "metric=params_m,student=vgg11+vgg13", "--device", "cpu", "-q")  # needs no run
    found = answer("reproduce", "cda-20", *only)
    assert [(cell["student"], cell["metric"]) for cell in found["cells"]] == [
        ("vgg11", "params_m"),
        ("vgg13", "params_m"),
    ]
    said = delt("reproduce", "cda-20", *only).stdout
    assert "133.0 (+0.0)" in said
    assert "138." not in said  # VGG-16
    assert "Missing" not in said


def test_a_dataset_is_found_in_the_folder_that_is_named(delt, refusal, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_DATA", str(tmp_path))
    for split in ("train", "val"):
        (tmp_path / "elsewhere" / split).mkdir(parents=True)
    entry = CATALOGUE["imagenet-1k"]
    assert image_folder(entry) is None
    named = f"imagenet-1k={tmp_path / 'elsewhere'}"
    assert delt("reproduce", "delt-4b", "--dataset", named, "--price").exit_code == 0
    assert image_folder(entry) == tmp_path / "elsewhere"
    assert data_dirs() == (tmp_path / "elsewhere", tmp_path)
    assert "no such folder" in refusal("reproduce", "delt-4b", "--dataset", "imagenet-1k=/nowhere")
    assert "it must be one of" in refusal("reproduce", "delt-4b", "--dataset", "moon=/")
    assert "must be NAME=FOLDER" in refusal("reproduce", "delt-4b", "--dataset", "/data")


def test_numbers_are_printed_as_in_the_paper_and_repeats_are_named(delt, answer) -> None:
    assert "44.40" in delt("papers", "delt-4c").stdout
    cells = answer("papers", "delt-1", "--scale", "laptop")["cells"]
    same = {(cell["dataset"], cell["same_as"]) for cell in cells if (cell["ipc"], cell["method"]) == ("10", "delt")}
    assert ("imagenette", "") in same
    assert {("imagenet-100", "CIFAR-10"), ("imagenet-1k", "CIFAR-10")} <= same
    assert not any(cell["same_as"] for cell in answer("papers", "delt-1")["cells"])
