"""``delt papers`` and ``delt reproduce`` as typed: lists, one table, prices, and what is refused."""

from __future__ import annotations

import pytest

from delt_engine.papers.paper_tables import TABLES


def test_the_list_counts_what_is_printed_and_what_can_be_measured(answer) -> None:
    found = answer("papers")
    assert (found["printed"], found["reachable"]) == (503, 456)
    assert found["reachable"] + sum(found["not_here"].values()) == found["printed"]
    assert [row["id"] for row in found["tables"]] == [table.id for table in TABLES]
    own = {row["id"]: row for row in found["tables"]}
    assert (own["delt-1"]["printed"], own["delt-1"]["reachable"]) == (117, 126)  # nine stand beside
    assert (own["cda-14"]["printed"], own["cda-14"]["reachable"]) == (10, 0)
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
    said = delt("papers", "delt-6").stdout
    assert "N x T - j(j-1)/2 x RI" in said
    assert "25,500" in said  # IPC 10, RI 500: 2, 2 and six times 1 image join


def test_the_list_is_written_for_documents(delt, tmp_path, refusal) -> None:
    file = tmp_path / "papers.md"
    assert delt("papers", "--markdown", file).exit_code == 0
    rows = {line.split(" | ")[0].strip("| "): line for line in file.read_text().splitlines()[2:]}
    assert "`delt reproduce delt-4c`" in rows["DELT Table 4c"]
    assert "on an RTX 4090" in rows["DELT Table 4c"]
    assert "`delt reproduce cda-14`" in rows["CDA Table 14"]
    assert "DELT Table 8" not in rows  # settings
    assert refusal("papers", "delt-1", "--markdown", file).startswith("Error: markdown: ")


def test_a_price_is_told_before_anything_is_done(answer, delt) -> None:
    found = answer("reproduce", "delt-4c", "--scale", "laptop", "--price")
    assert found.items() >= {"cells": 6, "missing": 6, "scale": "laptop"}.items()
    assert found["hours"] > 0
    one = answer("reproduce", "delt-4c", "--scale", "laptop", "--price", "--only", "MI=1000,RI=500")
    assert (one["cells"], one["missing"]) == (1, 1)
    assert 0 < one["hours"] < found["hours"]
    assert "6 numbers, 6 missing" in delt("reproduce", "delt-4c", "--price").stdout
    assert "`delt prune` and the page Applications" in delt("reproduce", "delt-7", "--price").stdout


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


def test_what_has_no_data_fails_with_the_reason_and_leaves_nothing(delt, home) -> None:
    done = delt("reproduce", "delt-4b", "--device", "cpu", "-q")
    assert done.exit_code == 1
    assert "3 of 3 numbers failed; DELT Table 4b, Lowest, ImageNet-1K: " in done.stderr
    assert not list((home / "runs").glob("*imagenet-1k*"))
