"""Gallery: run, class, round, size and image are chosen by widget or by link, and the address always says them."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from fake_runs import fake_experiment, make_finished_run, make_half_done_run, write_fake_predictions
from page_helpers import captions, components
from PIL import Image

from delt_engine.analysis.similarity import halves_cosine, pair_cosine, pixel_vectors
from delt_engine.bench.large_run import make_large_run
from delt_engine.runs import strips
from delt_engine.runs.export import image_text
from delt_engine.runs.image_facts import difference_image, mean_distances
from delt_engine.runs.store import Run
from delt_engine.runs.strips import png_bytes
from pages.shared import cached
from pages.shared.wording import long_title

PAGE = "explore/gallery"


def test_it_opens_on_the_newest_run_at_its_last_round(open_page, home, finished, address) -> None:
    newest = make_finished_run(home / "runs" / "20260201-000000-newest", fake_experiment(ipc=2))
    app = open_page(PAGE)
    assert address(app) == {"run": newest.id, "cls": "astronaut", "round": "4"}
    assert "image: not measured in this run" in captions(app)
    grid = components(app)[0]
    assert [frame["tick"] for frame in grid["frames"]] == ["0", "10", "20", "30", "40"]
    assert (grid["frame"], grid["slider"]) == (4, True)


def test_a_run_of_one_class_has_no_other_to_go_to_and_a_cosine_of_nearly_nothing_no_sign(
    open_page, home, monkeypatch
) -> None:
    run = make_finished_run(home / "runs" / "20260201-000000-lone", fake_experiment(classes=("cat",)))
    monkeypatch.setattr(cached, "class_cosine", lambda run, class_index: -0.0002)
    app = open_page(PAGE, run=run.id)
    assert app.selectbox(key="gallery/class").label == "Class (1 of 1)"
    assert app.button(key="gallery/previous").disabled
    assert app.button(key="gallery/next").disabled
    assert "4 images · cosine similarity in pixels 0.000" in json.dumps(components(app)[0], ensure_ascii=False)


def test_cards_say_iterations_round_and_probability(open_page, finished) -> None:
    cells = components(open_page(PAGE, run=finished.id))[0]["rows"][0]["cells"]
    assert [cell["counts"][4] for cell in cells] == ["40 of 40", "30 of 30", "20 of 20", "10 of 10"]
    assert cells[2]["counts"] == ["0 of 20", "0 of 20", "0 of 20", "10 of 20", "20 of 20"]
    probability = finished.selection()[2].patches[0].true_class_prob
    assert cells[2]["lines"] == [f"round 3 · p {probability:.2f}"]
    assert cells[2]["joins"] == 3
    assert cells[2]["alt"] == "astronaut, image 3: joins in round 3 and gets 20 iterations"
    assert len({cell["colour"] for cell in cells}) == 4


def test_a_link_opens_run_class_round_size_and_image(open_page, home, finished, address) -> None:
    make_finished_run(home / "runs" / "20260201-000000-newest")
    app = open_page(PAGE, run=finished.id, cls="coffee", round="1", size="XL", img="3")
    grid, _, strip = components(app)
    assert (grid["frame"], grid["shown"], grid["selected"]) == (1, 256, "2/2")
    assert strip["selected"] == "round/1"
    assert "joins in round 3 of 4 and gets 20 iterations" in captions(app)
    assert address(app) == {"run": finished.id, "cls": "coffee", "round": "1", "size": "XL", "img": "3"}


WRONG = {
    "cls=unicorn": "no class unicorn",
    "round=x": "no round x",
    "round=99": "no round 99",
    "img=99": "no image 99",
    "img=x": "no image x",
    "img=1.7": "no image",
    "imgs=9:9": "does not have",
    "run=none": "no run none",
}
DAMAGED = ("sort=x", "view=x", "rounds=a", "end=1", "page=z", "vs=x")


@pytest.mark.parametrize("wrong", [*WRONG, *DAMAGED])
def test_a_wrong_link_shows_what_there_is(open_page, finished, wrong, address) -> None:
    write_fake_predictions(finished)
    app = open_page(PAGE, **dict([wrong.split("=")]))
    assert address(app).items() >= {"run": finished.id, "cls": "astronaut", "round": "4"}.items()
    assert shown(components(app)[0]) == [[0, 1, 2, 3]]
    assert [WRONG.get(wrong, "-") in entry.value for entry in app.warning] == [True] * (wrong in WRONG)
    assert not app.run().warning


def test_another_run_opens_at_its_own_last_round_and_a_new_link_wins(open_page, home, finished, address) -> None:
    other = make_finished_run(home / "runs" / "20260201-000000-other", fake_experiment(mi=20))
    app = open_page(PAGE, run=finished.id, round="1", img="2")
    app.selectbox(key="gallery/run").set_value(other.id).run()
    assert address(app) == {"run": other.id, "cls": "astronaut", "round": "2"}
    app.run()
    app.query_params["run"], app.query_params["cls"] = finished.id, "coffee"
    app.run()
    assert app.selectbox(key="gallery/run").value == finished.id
    assert app.selectbox(key="gallery/class").value == "coffee"


def test_an_image_in_detail_has_patch_strip_and_settings(open_page, finished) -> None:
    app = open_page(PAGE, run=finished.id, img="1")
    strip = components(app)[2]["rows"][0]["cells"]
    assert [cell["counts"][0] for cell in strip] == ["Start", "Round 1", "Round 2", "Round 3", "Round 4"]
    assert strip[4]["lines"] == ["40 iterations"]
    facts = {str(k): v for table in app.table for k, v in zip(table.value["Name"], table.value["Value"], strict=True)}
    patch = finished.selection()[0].patches[0]
    assert facts["Training image"] == patch.source
    assert facts["Teacher's probability"] == f"{patch.true_class_prob:.4f}"
    assert facts["Method"] == "DELT, MI 40, RI 10"


@pytest.mark.parametrize("alive", [True, False])
def test_a_partial_run_says_which_rounds_it_has_not_reached(open_page, home, alive) -> None:
    run = make_half_done_run(home / "runs" / "20260103-000000-half", alive=alive)
    app = open_page(PAGE, run=run.id, img="4")
    grid = components(app)[0]
    first = grid["rows"][0]["cells"][0]
    assert (grid["frame"], first["missing"]) == (2, "not reached")
    assert [sheet is None for sheet in first["sheets"]] == [False, False, False, True, True]


def test_a_large_class_is_paged(open_page, home) -> None:
    run = make_finished_run(home / "runs" / "20260301-000000-many", fake_experiment(ipc=130), size=8)
    app = open_page(PAGE, run=run.id)
    assert len(components(app)[0]["rows"][0]["cells"]) == 60
    app.get("pagination")[0].set_value(3).run()
    cells = components(app)[0]["rows"][0]["cells"]
    assert [cell["id"] for cell in cells] == [f"0/{index}" for index in range(120, 130)]


def shown(grid: dict) -> list[list[int]]:
    """Numbers of the images on screen, row by row."""
    return [[int(cell["id"].split("/")[1]) for cell in row["cells"]] for row in grid["rows"]]


def test_images_are_sorted_and_the_order_stands_in_the_address(open_page, finished, address) -> None:
    write_fake_predictions(finished)
    app = open_page(PAGE, run=finished.id)
    app.selectbox(key="gallery/sort").set_value("patch").run()
    chosen = finished.selection()[:4]
    by_patch = sorted(range(4), key=lambda index: chosen[index].patches[0].true_class_prob)
    grid = components(app)[0]
    assert shown(grid) == [by_patch]
    assert f"tiles={'%2C'.join(map(str, by_patch))}" in grid["sheets"][0]
    assert [cell["x"] for cell in grid["rows"][0]["cells"]] == [0, 1, 2, 3]
    app.checkbox(key="gallery/descending").set_value(True).run()
    assert shown(components(app)[0]) == [by_patch[::-1]]
    assert (address(app)["sort"], address(app)["desc"]) == ("patch", "1")
    again = open_page(PAGE, run=finished.id, sort="end", desc="1")
    assert shown(components(again)[0]) == [[0, 1, 2, 3]]
    assert components(again)[0]["rows"][0]["cells"][1]["lines"][1] == "image p 0.80"


def test_the_distance_is_said_below_images_sorted_by_it(open_page, finished) -> None:
    (row,) = components(open_page(PAGE, run=finished.id, sort="distance"))[0]["rows"]
    distances = mean_distances(finished.snapshot_images(0, 4))
    order = np.argsort(distances, kind="stable")
    assert [cell["id"] for cell in row["cells"]] == [f"0/{index}" for index in order]
    assert [cell["lines"][1] for cell in row["cells"]] == [f"distance {distances[index]:.0f}" for index in order]


def test_filters_leave_images_out_and_can_be_undone(open_page, finished, address) -> None:
    write_fake_predictions(finished)
    app = open_page(PAGE, run=finished.id, rounds="2,4")
    assert shown(components(app)[0]) == [[1, 3]]
    app.slider(key="gallery/end").set_range(0.7, 1.0).run()
    assert shown(components(app)[0]) == [[1]]
    assert address(app)["end"] == "0.7~1"
    app.slider(key="gallery/patch").set_range(0.0, 0.0).run()
    grid = components(app)[0]
    assert shown(grid) == [[]]
    assert grid["rows"][0]["empty"] == "No image of this class fits the filter."
    app.button(key="gallery/unfilter").click().run()
    assert shown(components(app)[0]) == [[0, 1, 2, 3]]
    assert not {"rounds", "end", "patch"} & set(address(app))


def test_halves_and_start_rounds_are_rows_with_their_iterations(open_page, home, finished) -> None:
    grid = components(open_page(PAGE, run=finished.id, view="halves"))[0]
    assert (grid["layout"], shown(grid)) == ("sides", [[0, 1], [2, 3]])
    likeness = [halves_cosine(vectors(finished, number)) for number in range(5)]
    for which, (title, words) in enumerate((("Early half", "40 to 30"), ("Late half", "20 to 10"))):
        row = grid["rows"][which]
        assert row["title"] == title
        said = [f"2 images, {words} iterations each · cosine similarity {pair[which]:.3f}" for pair in likeness]
        assert row["notes"] == said  # one a round, so that the slider moves them
    odd = make_finished_run(home / "runs" / "20260301-000000-odd", fake_experiment(ipc=5))
    app = open_page(PAGE, run=odd.id, view="halves")
    assert shown(components(app)[0]) == [[0, 1], [3, 4]]
    assert "Image 3 of 5 joins in the middle and belongs to neither half." in captions(app)
    six = make_finished_run(home / "runs" / "20260301-000000-six", fake_experiment(ipc=6))
    grid = components(open_page(PAGE, run=six.id, view="rounds"))[0]
    assert (grid["layout"], shown(grid)) == ("flow", [[0, 1], [2, 3], [4], [5]])
    assert (grid["rows"][1]["title"], grid["rows"][1]["note"]) == ("Round 2", "2 images, 30 iterations each")


def vectors(run: Run, number: int) -> np.ndarray:
    record = run.record().dataset
    return pixel_vectors(run.snapshot_images(0, number), record.mean, record.std)


def test_all_classes_stand_below_each_other_and_lead_to_one(open_page, home, finished, address) -> None:
    app = open_page(PAGE, run=finished.id)
    app.button(key="gallery/all").click().run()
    grid = components(app)[0]
    assert (grid["layout"], [row["title"] for row in grid["rows"]]) == ("rows", ["astronaut", "cat", "coffee"])
    assert [row["note"] for row in grid["rows"]][0] == f"cosine {pair_cosine(vectors(finished, 4)):.3f}"
    lead = grid["rows"][1]["lead"]
    assert "real patch" in lead["alt"]
    assert "/snapshots/cat/round-00.png" in grid["sheets"][lead["sheets"][0]]
    assert grid["rows"][1]["link"] == "class/1"
    assert address(app)["cls"] == "*"
    again = open_page(PAGE, run=finished.id, cls="*", img="1:3")
    assert components(again)[0]["selected"] == "1/2"
    assert address(again)["img"] == "1:3"
    many = make_finished_run(home / "runs" / "20251201-000000-many", fake_experiment(ipc=30), size=8)
    (row, *_) = shown(components(open_page(PAGE, run=many.id, cls="*"))[0])
    assert (len(row), row[0], row[-1]) == (12, 0, 29)


def test_images_that_a_link_lists_are_shown_alone(open_page, finished, address) -> None:
    app = open_page(PAGE, run=finished.id, imgs="2:3,0:1,2:0,7:0")
    grid = components(app)[0]
    assert [row["title"] for row in grid["rows"]] == ["astronaut", "coffee"]
    assert shown(grid) == [[1], [0, 3]]
    app.button(key="gallery/unlist").click().run()
    assert "imgs" not in address(app)
    assert shown(components(app)[0]) == [[0, 1, 2, 3]]


def test_patches_can_stand_below_their_images(open_page, finished) -> None:
    row = components(open_page(PAGE, run=finished.id, starts="1"))[0]["rows"][0]
    image, patch = row["cells"][2:4]
    assert (row["deep"], len(row["cells"])) == (2, 8)
    assert (set(patch["sheets"]), patch["lines"], patch["id"]) == ({image["sheets"][0]}, ["real patch"], "")


def test_runs_are_compared_in_the_gallery_with_their_numbers(open_page, home, finished, address) -> None:
    other = make_finished_run(home / "runs" / "20260301-000000-cda", fake_experiment("cda", ipc=3, mi=60, ri=20))
    app = open_page(PAGE, run=finished.id, cls="cat")
    app.multiselect(key="gallery/beside").set_value([other.id]).run()
    grid = components(app)[0]
    assert [frame["tick"] for frame in grid["frames"]] == ["-60", "-40", "-30", "-20", "-10", "end"]
    assert address(app) == {"run": finished.id, "cls": "cat", "vs": other.id}
    summary, settings, _ = (table.value for table in app.table)
    record = finished.record().dataset
    images = finished.snapshot_images(1, 4)
    assert summary["Cosine, pixels"][0] == f"{pair_cosine(pixel_vectors(images, record.mean, record.std)):.3f}"
    assert {"Method", "EarlyLate", "Round iterations (RI)"} <= set(settings["Setting"])
    (iterations,) = settings[settings["Setting"] == "Iterations (MI)"].itertuples(index=False)
    assert tuple(iterations)[1:] == ("40", "60")
    app = open_page(PAGE, run=finished.id, vs=other.id, cls="cat", img="2.1", at="-20", show="swipe", sort="patch")
    grid = components(app)[0]
    assert (grid["frame"], grid["selected"], len(grid["swipe"])) == (3, "B/1/1", 2)
    chosen = finished.selection()[4:8]
    by_patch = sorted(range(4), key=lambda index: chosen[index].patches[0].true_class_prob)
    assert [cell["x"] for cell in grid["rows"][0]["cells"]] == [index for index in by_patch if index < 3]
    assert other.id in components(app)[1]["sheets"][0]


def test_only_what_has_images_or_a_class_in_common_is_offered(open_page, home, finished) -> None:
    Run.create(home / "runs" / "20260401-000000-queued", fake_experiment())
    two = make_finished_run(home / "runs" / "20251231-000000-two", fake_experiment(classes=("cat", "coffee")))
    make_finished_run(home / "runs" / "20251230-000000-other", class_names=("x", "y"))
    app = open_page(PAGE, run=two.id)
    assert app.selectbox(key="gallery/class").options == ["cat", "coffee", "All 2 classes"]
    assert len(app.selectbox(key="gallery/run").options) == 3
    assert app.multiselect(key="gallery/beside").options == [long_title(finished)]


def test_the_detail_shows_what_changed_and_what_the_teacher_says(open_page, finished) -> None:
    write_fake_predictions(finished)
    app = open_page(PAGE, run=finished.id, cls="cat", img="3", round="3")
    change = components(app)[1]
    start, after, difference = change["rows"][0]["cells"]
    assert (start["lines"], after["counts"]) == (["its patch"], ["After 10 iterations"])
    images = [finished.snapshot_images(1, number)[2].astype(int) for number in (0, 3)]
    largest = np.abs(images[1] - images[0]).max()
    assert difference["lines"] == [f"white +{largest}, black -{largest}"]
    picture = Image.open(io.BytesIO(base64.b64decode(change["sheets"][2].split(",")[1])))
    np.testing.assert_array_equal(
        np.asarray(picture), difference_image(images[1].astype(np.uint8), images[0].astype(np.uint8))[0]
    )
    (chart,) = app.get("plotly_chart")
    assert '"name":"cat"' in chart.proto.spec.replace(" ", "")
    assert "0.050 at the start, 0.700 after 40 iterations" in captions(app)


def test_neighbours_of_an_image_and_of_a_class_are_a_click_away(open_page, finished, address) -> None:
    app = open_page(PAGE, run=finished.id, img="2")
    app.button(key="gallery/next-image").click().run()
    assert address(app)["img"] == "3"
    app.session_state["gallery/image"] = None  # as Escape does
    app.run()
    assert "img" not in address(app)
    before = components(app)[0]["sheets"]
    assert app.button(key="gallery/previous").disabled
    app.button(key="gallery/next").click().run()
    assert address(app)["cls"] == "cat"
    assert not set(before) & set(components(app)[0]["sheets"])
    app.selectbox(key="gallery/class").set_value("coffee").run()
    assert address(app)["cls"] == "coffee"


def test_settings_lead_to_recover_and_start_nothing(open_page, home, started) -> None:
    run = make_finished_run(home / "runs" / "20260301-000000-cda", fake_experiment("cda", ipc=3, mi=60, ri=20))
    app = open_page(PAGE, run=run.id, img="1")
    app.button(key="gallery/use").click().run()
    assert app.title[0].value == "Recover"
    assert app.session_state["delt/session"].draft == run.experiment
    assert started.experiments == []


def test_a_dropped_image_gives_its_settings_and_one_without_is_refused(open_page, finished, home, started) -> None:
    run = make_finished_run(home / "runs" / "20260301-000000-b", fake_experiment("cda", mi=60, ri=20))
    app = open_page(PAGE, run=finished.id)
    app.get("file_uploader")[0].upload("x.png", png_bytes(np.zeros((4, 4, 3), np.uint8)), "image/png").run()
    assert "no settings of DELT Studio" in app.error[0].value
    assert components(app)
    app = open_page(PAGE, run=finished.id)
    png = png_bytes(run.snapshot_images(1, 3)[2], image_text(run, 1, 2, 3, None))
    app.get("file_uploader")[0].upload("0002.png", png, "image/png").run()
    assert "photos · CDA · IPC 4 · MI 60 / RI 20" in " ".join(entry.value for entry in app.markdown)
    app.button(key="gallery/use-dropped").click().run()
    assert app.title[0].value == "Recover"
    assert app.session_state["delt/session"].draft.recover == run.experiment.recover


def test_a_class_of_a_very_large_run_costs_what_a_class_costs(open_page, home, monkeypatch) -> None:
    run = make_large_run(home / "runs" / "20260401-000000-large")
    assert len(run.classes) == 1000
    read = []
    plain = strips.read_png
    monkeypatch.setattr(strips, "read_png", lambda path: read.append(path) or plain(path))
    app = open_page(PAGE, run=run.id)
    assert len(app.selectbox(key="gallery/class").options) == 1001
    for name in ("class 0500", "class 0999"):
        read.clear()
        app.selectbox(key="gallery/class").set_value(name).run()
        grid = components(app)[0]
        assert sum(map(len, shown(grid))) == 50
        assert [path.parent.name for path in read] == [name] * 2  # its last strip, for distances and similarity
        assert len(grid["sheets"]) == 10  # a strip a round, fetched by the browser, and the first patch
        assert all(run.class_folder(run.class_names.index(name)).replace(" ", "%20") in url for url in grid["sheets"])
        assert len(json.dumps(grid)) < 100_000
