"""Tables to take away: read back by independent readers, and every letter shown as it is."""

import csv
import io

from delt_engine.runs.tables import (
    Column,
    latex_text,
    to_csv,
    to_latex,
    to_markdown,
    without_common,
)

COLUMNS = (Column("name", "Name"), Column("top1", "Top-1 (%)", 1, "std"))
ROWS = [
    {"name": "SRe²L", "top1": 41.2749, "std": 0.849},
    {"name": 'a|b, "c" & d_e \\ 50% $x$', "top1": 7, "std": 0.0},
    {"name": None, "top1": None, "std": None},
]


def test_csv_is_read_back_with_every_digit() -> None:
    found = list(csv.DictReader(io.StringIO(to_csv(ROWS, COLUMNS))))
    assert [(row["name"], row["top1"], row["std"]) for row in found] == [
        ("SRe²L", "41.2749", "0.849"),
        ('a|b, "c" & d_e \\ 50% $x$', "7", "0.0"),
        ("", "", ""),
    ]
    assert to_csv([{"name": "a", "top1": 25.900000000000002, "std": 0.0}], COLUMNS).splitlines()[1] == "a,25.9,0.0"


def test_names_are_no_formulas_in_a_spreadsheet() -> None:
    rows = [{"name": name, "top1": -1.5} for name in ("=HYPERLINK(1)", "+1", "-1", "@x", "a=b")]
    found = list(csv.DictReader(io.StringIO(to_csv(rows, COLUMNS))))
    assert [row["name"] for row in found] == ["'=HYPERLINK(1)", "'+1", "'-1", "'@x", "a=b"]
    assert {row["top1"] for row in found} == {"-1.5"}


def test_a_name_is_no_argument_of_the_line_before_it_in_latex() -> None:
    lines = to_latex([{"name": "[2ex] a"}, {"name": "*"}], COLUMNS).splitlines()
    assert [line.split(" & ")[0] for line in lines if line.startswith("{")] == ["{[}2ex] a", "{*}"]


def test_markdown_keeps_its_columns_whatever_the_names_hold() -> None:
    lines = to_markdown(ROWS, COLUMNS, note="60 of 300 epochs.").splitlines()
    assert lines[:2] == ["| Name | Top-1 (%) |", "| :--- | ---: |"]
    assert lines[2] == "| SRe²L | 41.3 ± 0.8 |"
    assert lines[3] == '| a\\|b, "c" & d\\_e \\\\ 50% \\$x\\$ | 7.0 |'
    assert lines[4:] == ["| – | – |", "", "60 of 300 epochs."]


def test_latex_has_booktabs_rules_and_escapes_every_letter_of_its_own() -> None:
    lines = to_latex(ROWS, COLUMNS, note="60 of\n300 epochs").splitlines()
    assert lines[:5] == [
        "% 60 of 300 epochs",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"Name & Top-1 (\%) \\",
        r"\midrule",
    ]
    assert lines[5] == r"SRe\textsuperscript{2}L & 41.3 $\pm$ 0.8 \\"
    assert lines[6] == r"a\textbar{}b, \textquotedbl{}c\textquotedbl{} \& d\_e \textbackslash{} 50\% \$x\$ & 7.0 \\"
    assert lines[7:] == [r"-- & -- \\", r"\bottomrule", r"\end{tabular}"]
    assert latex_text("{~^#}") == r"\{\textasciitilde{}\textasciicircum{}\#\}"


def test_what_all_rows_share_stands_in_the_note_and_empty_columns_go() -> None:
    columns = (*COLUMNS, Column("training", "Training"), Column("none", "None"))
    same = [{"name": "a", "top1": 1.0, "training": "x"}, {"name": "b", "top1": 2.0, "training": "x"}]
    assert without_common(same, columns) == (COLUMNS, "x")
    other = [same[0], {**same[1], "training": "y"}]
    assert without_common(other, columns) == (columns[:3], "")
