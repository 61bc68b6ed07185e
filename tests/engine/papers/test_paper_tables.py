"""The tables hold every printed number once, each on its place; cells say what measures it, at either scale."""

from collections import Counter
from dataclasses import replace

import pytest
from paper_runs import printed

from delt_engine.data.catalogue import CATALOGUE
from delt_engine.errors import ConfigError
from delt_engine.models.card import find_teacher
from delt_engine.papers.cells import paper_cell, relabelling_network, why_not
from delt_engine.papers.laptop import laptop_cell
from delt_engine.papers.order import Order, Point, order_of
from delt_engine.papers.paper_tables import TABLES, axis_label, find_table, place, rows_of
from delt_engine.papers.published import all_published


def test_every_printed_number_is_in_its_own_table() -> None:
    own = [value for table in TABLES if not table.numbers for value in rows_of(table) if value.is_printed]
    assert len(own) == len(set(own)) == 503
    assert all(value in rows_of(find_table(_id(value))) for value in all_published())


def _id(value) -> str:
    return f"{value.source}-{value.table.removeprefix('Table ')}"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.id)
def test_numbers_have_places_of_their_own(table) -> None:
    spots = Counter((place(value, table.rows), place(value, table.columns)) for value in rows_of(table))
    assert set(spots.values()) <= {1}
    assert {*table.compared} <= {*table.rows, *table.columns}


def test_what_a_figure_without_numbers_shows() -> None:
    rows = rows_of(find_table("delt-fig6"))
    assert [value.words["patches"] for value in rows] == ["3x3", "4x4", "5x5", "6x6"]
    assert not any(value.is_printed for value in rows)
    assert len(rows_of(find_table("cda-fig5"))) == 30  # the lines of Table 18


def test_every_table_and_figure_of_both_papers_is_found() -> None:
    of_delt = ("1", "2", "3", "4a", "4b", "4c", "4d", "4e", *map(str, range(5, 13)))
    tables = {"delt": of_delt, "cda": tuple(map(str, range(1, 22)))}
    figures = {"delt": range(1, 13), "cda": range(1, 12)}
    for paper, names in tables.items():
        wanted = {f"{paper}-{name}" for name in names} | {f"{paper}-fig{number}" for number in figures[paper]}
        assert {table.id for table in TABLES if table.paper == paper} == wanted
    for table in TABLES:
        assert rows_of(table) or table.is_settings or table.note


def test_an_unknown_table_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"table: 'delt-4f' given, but there is no table .*'delt-4"):
        find_table("delt-4f")


def test_places_are_told_in_words() -> None:
    value = printed("DELT Table 9", patches="2x2", method="sre2l-init")
    assert [axis_label(value, name) for name in ("dataset", "ipc", "method", "patches")] == [
        "ImageNet-1K",
        "50",
        "SRe²L + real init",
        "2x2",
    ]


def test_how_many_numbers_can_be_measured_here() -> None:
    reasons = Counter(why_not(value) for value in all_published())
    assert reasons[""] == 464
    assert reasons["No dataset is printed; `delt prune` measures pruning on any."] == 6
    with pytest.raises(ConfigError, match=r"DELT Table 2: MTT is not here\."):
        paper_cell(printed("DELT Table 2", dataset="tiny-imagenet", ipc=1, method="mtt"))


@pytest.mark.parametrize(
    ("where", "about", "wanted"),
    [
        ("DELT Table 4c", {"MI": 2000, "RI": 1000}, {"recover.iterations": 2000, "recover.round_iterations": 1000}),
        ("DELT Table 4a", {"patches": "3x3"}, {"recover.iterations": 500, "select.mosaic": 3}),
        ("DELT Table 4b", {"selection": "lowest"}, {"select.criterion": "min", "select.order": "delt"}),
        ("DELT Table 10", {"order": "ascending"}, {"select.criterion": "medium", "select.order": "ascending"}),
        ("DELT Table 11", {"selection": "descending"}, {"select.criterion": "top", "select.order": "descending"}),
        ("DELT Table 12", {"crop": "0.5-1.0"}, {"recover.min_crop": 0.5, "recover.max_crop": 1.0}),
        ("DELT Table 3", {"method": "cda-early-late"}, {"recover.initialization": "noise", "recover.early_late": True}),
        ("DELT Table 9", {"patches": "5x5", "method": "cda-init"}, {"select.mosaic": 5, "recover.early_late": False}),
        ("CDA Table 2", {"type": "hard", "alpha": "0.4"}, {"recover.curriculum": "constant", "recover.max_crop": 0.4}),
        ("CDA Table 3", {"milestone": "0.6"}, {"recover.curriculum": "reverse", "recover.milestone": 0.6}),
        ("CDA Table 18", {"scheduler": "step", "milestone": "0.9"}, {"recover.curriculum": "step"}),
        ("CDA Table 18", {"scheduler": "linear", "milestone": "1.0"}, {"evaluate.batch_size": 1024}),
        ("CDA Table 6", {"batch_size": 8}, {"evaluate.batch_size": 8, "evaluate.epochs": 140, "recover.ipc": 10}),
        ("CDA Table 11", {"crop_lower": "0.6"}, {"recover.min_crop": 0.6, "evaluate.epochs": 800}),
        ("CDA Table 13", {"epochs": 400, "ipc": 20}, {"evaluate.epochs": 400, "recover.ipc": 20}),
        ("CDA Table 17", {"recovery_iterations": 1000, "student": "resnet50"}, {"recover.iterations": 1000}),
    ],
)
def test_a_row_sets_what_its_table_varies(where, about, wanted) -> None:
    experiment = paper_cell(printed(where, **about)).experiment
    found = {name: getattr(getattr(experiment, name.split(".")[0]), name.split(".")[1]) for name in wanted}
    assert found == wanted


def test_who_relabels() -> None:
    assert relabelling_network(printed("CDA Table 19", relabel="resnet18", student="resnet50")) == "resnet18"
    best = {name: relabelling_network(printed("CDA Table 7", teacher="densenet121", student=name)) for name in _BEST}
    assert best == _BEST
    assert paper_cell(printed("CDA Table 7", teacher="densenet121", student="densenet121")).relabeller == ""


_BEST = {"resnet18": "resnet18", "densenet121": "densenet121", "regnet_y_8gf": "densenet121", "deit_tiny": "resnet18"}
"""CDA Table 7's last row has the better one of two relabelling networks, which are apart in Table 19."""


def _laptop(table: str, **about):
    found = find_table(table)
    return laptop_cell(paper_cell(printed(found.where, **about)), (*found.rows, *found.columns))


def test_laptop_scale_keeps_the_ratios_along_the_axes() -> None:
    cells = {
        (mi, ri): _laptop("delt-4c", MI=mi, RI=ri).experiment.recover for mi in (1000, 2000, 4000) for ri in (500, 1000)
    }
    pairs = {(mi, ri): (one.iterations, one.round_iterations) for (mi, ri), one in cells.items()}
    assert pairs == {(mi, ri): (mi // 20, ri // 20) for mi, ri in pairs}
    batches = [_laptop("cda-6", batch_size=size).experiment.evaluate.batch_size for size in (128, 64, 32, 16, 8)]
    assert batches == [32, 16, 8, 4, 2]
    epochs = [_laptop("cda-13", epochs=number, ipc=50).experiment.evaluate.epochs for number in (200, 400, 800)]
    assert epochs == [27, 53, 107]


def test_laptop_scale_is_on_what_ships() -> None:
    for table in TABLES:
        for value in rows_of(table):
            if why_not(value) or value.metric == "params_m":
                continue
            cell = laptop_cell(paper_cell(value), (*table.rows, *table.columns))
            assert cell.experiment.dataset in ("photos", "digits", "cifar10-mini")
            if cell.measure != "teacher":
                assert find_teacher(cell.experiment.teacher).is_file()
            assert cell.scaled
            entry, recover = CATALOGUE[cell.experiment.dataset], cell.experiment.recover
            if cell.needs_images and recover.initialization == "patches":  # there are enough of them for all mosaics
                patches = entry.train_size // entry.num_classes * max(1, cell.experiment.rank.crops)
                assert recover.ipc * cell.experiment.select.mosaic**2 <= patches


def test_at_laptop_scale_a_table_of_mosaics_has_one_number_of_images_for_all() -> None:
    sizes = [_laptop("delt-4a", patches=f"{side}x{side}").experiment for side in range(1, 6)]
    assert [(one.recover.ipc, one.select.mosaic) for one in sizes] == [(5, side) for side in range(1, 6)]
    assert _laptop("delt-4b", selection="medium").experiment.recover.ipc == 16


def test_laptop_scale_tells_what_it_made_small() -> None:
    cell = _laptop("delt-1", dataset="tiny-imagenet", ipc=10, student="resnet101", method="delt")
    assert dict((name, (there, here)) for name, there, here in cell.scaled) == {
        "Dataset": ("tiny-imagenet", "digits, 32 px"),
        "Recovery network": ("resnet18", "resnet18, width 0.125, shipped"),
        "IPC": ("10", "10"),
        "MI": ("4,000", "200"),
        "RI": ("500", "25"),
        "Student": ("resnet101", "resnet50, width 0.125"),
        "Epochs": ("300", "40"),
        "Student's batch": ("100", "by the number of images"),
    }


def test_laptop_scale_tells_what_small_images_and_one_ranker_change() -> None:
    def said(table: str, **about) -> dict:
        return {name: (there, here) for name, there, here in _laptop(table, **about).scaled}

    assert said("delt-4e", ipc=10, method="rded")["Mosaic"] == ("2", "1")
    assert "Mosaic" not in said("delt-4a", patches="3x3")  # what the table varies stays
    joining = said("delt-1", dataset="cifar10", ipc=50, method="delt", student="resnet18")[
        "Images joining in each round"
    ]
    assert joining == ("7 7 6 6 6 6 6 6", "2 2 2 2 2 2 2 2")
    assert said("cda-11", crop_lower=0.4)["IPC"] == ("50", "16")
    assert said("cda-18", scheduler="step", milestone=0.5)["Jitter"] == ("32", "4")
    convnet = said("delt-2", dataset="tiny-imagenet", ipc=10, method="delt")
    assert convnet["Ranker"] == ("resnet18", "the recovery network")


def test_an_order_holds_where_most_pairs_are_decided_and_most_of_those_say_so() -> None:
    def point(printed: float, mean: float, std: float = 1.0, n: int = 3, group: str = "a") -> Point:
        return Point(group, printed, mean, std, n)

    assert order_of([point(1, 10), point(2, 20), point(3, 30)]) == Order(3, 0, 0)
    assert order_of([point(1, 30), point(2, 20)]) == Order(0, 1, 0)
    # two standard errors of the difference: 2 * sqrt(1/3 + 1/3) = 1.63
    assert order_of([point(1, 10), point(2, 11.6)]) == Order(0, 0, 1)
    assert order_of([point(1, 10), point(2, 11.7)]) == Order(1, 0, 0)
    assert order_of([point(1, 10), point(1, 20)]) == Order()  # printed as equal
    assert order_of([point(1, 10), point(2, 20, group="b")]) == Order()
    assert order_of([point(1, 10, 0.0, 1), point(2, 20)]) == Order(0, 0, 1)  # one number has no spread
    # of one experiment, as at laptop scale: no pair with itself, and none twice, but in the other order
    named = [Point("a", 1, 10, 1, 3, "x"), Point("a", 2, 20, 1, 3, "y"), Point("a", 3, 10, 1, 3, "x")]
    assert order_of(named) == Order(1, 1, 0)
    again = [replace(one, group="b") for one in named[:2]]
    assert order_of([*named[:2], *again]) == Order(1, 0, 0)
    assert Order(2, 1, 3).answer == "yes"
    assert Order(2, 1, 4).answer == "within noise"  # most pairs are
    assert Order(1, 1, 0).answer == "no"
    assert [Order(0, 0, 2).answer, Order().answer] == ["within noise", "unknown"]
