"""Any of the printed numbers is found on the page of the papers, by its table or as it is shown, and opened."""

from __future__ import annotations

import pytest
from page_helpers import captions, select_row, table_with

from delt_engine.papers.paper_tables import TABLES
from delt_engine.papers.published import all_published, printed_with_spread
from delt_engine.pipeline.table_view import table_view
from pages.shared.papers import data, search

PAGE = "study/papers"
SMALL = {"table": "delt-4c", "scale": "laptop"}


def test_every_printed_number_is_found_and_leads_to_its_cell() -> None:
    ids = {table.id: {data.cell_id(one) for one in table_view(table, runs=()).cells} for table in TABLES}
    for value in all_published():
        table, cell_id = data.place_of(value)
        assert cell_id in ids[table.id]
    (found,) = search.find("cifar10 delt resnet18 64.9")
    assert (found.where, found.ipc) == ("DELT Table 1", 50)
    assert {one.where for one in search.find("milestone cosine 0.9")} == {"CDA Table 18"}
    assert search.find("no such thing") == search.find(" ") == []


def test_every_number_is_found_by_what_is_shown_of_it() -> None:
    for value in all_published():
        for shown in {value.printed, printed_with_spread(value)}:
            assert search.find(shown).index(value) < 5, shown  # before those in which it is a part
    assert [one.printed for one in search.find("44.90")] == ["44.90", "44.90"]
    assert search.find("24.0 ± 0.8")[0].where == "DELT Table 1"


@pytest.mark.parametrize("table", [one for one in TABLES if not one.is_figure], ids=lambda one: one.id)
def test_a_tables_name_finds_its_numbers_and_no_others(table) -> None:
    own = [one for one in all_published() if one.where == table.where]
    assert search.find(table.where) == search.find(table.where.lower()) == own
    assert set(search.find(table.label)) >= set(own)


def test_a_table_of_several_parts_is_found_by_its_number() -> None:
    assert {one.table for one in search.find("delt table 4")} == {f"Table 4{part}" for part in "abcde"}
    (found,) = search.find("CDA Table 8 resnet50 densenet121")
    assert (found.printed, found.teacher, found.student) == ("26.01", "resnet50", "densenet121")


def test_a_search_lists_numbers(open_page, asked) -> None:
    app = open_page(PAGE)
    app.text_input(key="papers/find").set_value("mobilenet imagenette delt ipc50").run()
    hits = next(frame.value for frame in app.dataframe if "Printed" in frame.value.columns)
    assert list(hits["Printed"]) == ["80.0 ± 0.0", "85.7 ± 0.4"]
    assert "2 numbers." in captions(app)


def test_a_hit_opens_its_cell_and_so_does_the_same_row_of_the_next_search(open_page, address, asked) -> None:
    app = open_page(PAGE, **SMALL)
    app.text_input(key="papers/find").set_value("cda table 8 resnet50 densenet121").run()
    select_row(app, "Printed", 0)
    assert address(app) == SMALL | {"table": "cda-8", "cell": "resnet50,densenet121"}
    assert app.subheader[-2].value.startswith("CDA Table 8")
    app.text_input(key="papers/find").set_value("64.9").run()
    assert address(app)["table"] == "cda-8"
    select_row(app, "Printed", 0)
    assert address(app) == SMALL | {"table": "delt-1", "cell": "cifar10,50,resnet18,delt"}


def test_all_hits_are_listed(open_page, asked) -> None:
    app = open_page(PAGE, **SMALL)
    app.text_input(key="papers/find").set_value("delt").run()
    assert len(table_with(app, "Printed")) == len(search.find("delt")) > 200
