"""Compare: runs of different length under one slider, at work or over, and pages that show it."""

from __future__ import annotations

import shutil
from fractions import Fraction

import pytest
from fake_runs import fake_experiment, make_evaluation, make_finished_run, make_half_done_run
from page_helpers import captions, components

from delt_engine.analysis.similarity import pair_cosine, pixel_vectors
from delt_engine.runs.lineage import save_parent
from delt_engine.runs.store import Run
from pages.shared.compare.alignment import NOW, Track, places
from pages.shared.compare.film import film


def grid_of(app) -> dict:
    """The images on the page, which has other components as well."""
    return next(one for one in components(app) if "rows" in one)


def shown(made, run_place: int, frame: int, runs: int = 2, index: int = 0) -> str | None:
    """Which strip an image is cut from at a frame: "round-02" or "cat" (a moment ago)."""
    sheet = made.rows[0].cells[index * runs + run_place].sheets[frame]
    return None if sheet is None else made.sheets[sheet].split("/")[-1].split(".png")[0]


@pytest.fixture
def pair(home):
    def made(first: tuple[int, int], second: tuple[int, int]) -> list[Run]:
        folder = home / "runs"
        return [
            make_finished_run(folder / f"2026010{at}-000000-run", fake_experiment(mi=mi, ri=ri))
            for at, (mi, ri) in enumerate((first, second), 1)
        ]

    return made


@pytest.mark.parametrize(("longer", "shorter"), [((200, 50), (100, 20)), ((400, 100), (100, 25))])
def test_every_cell_has_an_image_at_every_place_whichever_run_is_longer(pair, longer, shorter) -> None:
    both = pair(longer, shorter)
    for runs in (both, both[::-1]):
        for mode in ("end", "iteration", "share"):
            made, found = film(runs, ["cat", "coffee"], mode)
            cells = [cell for row in made.rows for cell in row.cells]
            assert all(sheet is not None for cell in cells for sheet in cell.sheets)
            for place, run in enumerate(runs):
                last = run.experiment.recover.schedule.num_rounds
                assert shown(made, place, len(found) - 1) == f"round-{last:02d}"
                assert shown(made, place, 0) == "round-00"


def test_runs_are_aligned_by_their_ends_and_each_shows_the_newest_it_had_there(pair) -> None:
    made, found = film(pair((200, 50), (100, 20)), ["cat"])
    assert [int(place) for place in found] == [-200, -150, -100, -80, -60, -50, -40, -20, 0]
    at = found.index(Fraction(-50))
    assert (shown(made, 0, at), shown(made, 1, at)) == ("round-03", "round-02")  # after 150 of 200 and 40 of 100
    assert made.frames[at].note == "A after 150 of 200 · B after 40 of 100"
    assert made.frames[1].note == "A after 50 of 200 · B not begun"
    assert made.frames[-1].note == "A finished at 200 · B finished at 100"
    first, second = made.rows[0].cells[:2]
    assert (first.counts[at], second.counts[at]) == ("A 150 of 200", "B 40 of 100")
    late = made.rows[0].cells[7]  # the second run's fourth image joins in its last round but one
    assert late.joins == found.index(Fraction(-20))


def test_by_iteration_the_shorter_run_stays_at_its_last_image(pair) -> None:
    made, found = film(pair((200, 50), (100, 20)), ["cat"], "iteration")
    at = found.index(Fraction(150))
    assert (shown(made, 0, at), shown(made, 1, at)) == ("round-03", "round-05")
    assert made.frames[at].note == "A after 150 of 200 · B finished at 100"
    assert [frame.tick for frame in made.frames][-1] == "200"


def test_while_a_run_is_at_work_the_last_place_is_now(home, finished) -> None:
    work = make_half_done_run(home / "runs" / "20260106-000000-child", fake_experiment(mi=80, ri=20))
    made, found = film([work, finished], ["cat"])
    assert found[-1] == NOW
    last = len(found) - 1
    assert (shown(made, 0, last), shown(made, 1, last)) == ("round-02", "round-04")
    assert made.frames[last].note == "A now at 40 of 80 · B finished at 40"
    assert all(place < Fraction(-40) for place in found[:-1])  # further it has not come
    waits = Run.create(home / "runs" / "20260107-000000-waits", fake_experiment(mi=80, ri=20))
    made, found = film([waits, finished], ["cat"])
    assert found == [NOW]
    assert {cell.missing for cell in made.rows[0].cells[::2]} == {"starting"}
    assert shown(made, 1, 0) == "round-04"


def test_places_of_what_is_not_optimised_and_of_nothing() -> None:
    still, run = Track((0,), 0), Track((0, 50, 100), 100)
    assert places([still, run], "share") == [0, Fraction(1, 2), 1]
    assert [still.words(place, "end") for place in places([still, run], "end")] == ["not optimised"] * 3
    assert Track((), 100, True).at(NOW, "end") is None


def test_a_rerun_is_compared_with_its_parent_on_its_own_page(open_page, home, finished) -> None:
    rerun = make_finished_run(home / "runs" / "20260106-000000-child", fake_experiment(mi=20, ri=5))
    save_parent(rerun, finished.id)
    make_evaluation(home / "runs" / "20260107-000000-students", rerun)
    app = open_page("distill/recover", run=rerun.id)
    grid = grid_of(app)
    assert [row["title"] for row in grid["rows"]] == ["astronaut", "cat", "coffee"]
    assert (grid["frame"], grid["frames"][-1]["label"]) == (len(grid["frames"]) - 1, "At the end of each run")
    summary = app.table[0].value
    assert list(summary["Run"])[0].startswith("this run")
    assert list(summary["Student top-1"]) == ["42.0 % ± 2.0", "–"]
    record = rerun.record().dataset
    each = [pair_cosine(pixel_vectors(rerun.snapshot_images(c, 4), record.mean, record.std)) for c in range(3)]
    assert summary["Cosine, pixels"][0] == f"{sum(each) / 3:.3f}"
    app.selectbox(key="recover/class").set_value("cat").run()
    assert [row["title"] for row in grid_of(app)["rows"]] == ["cat"]
    app.toggle(key=f"recover/compare/{rerun.id}").set_value(False).run()
    assert [entry.value for entry in app.caption if ":red" in entry.value] == []
    assert grid_of(app)["rows"][0]["deep"] == 1


def test_common_images_only_and_an_unreadable_run_is_said(open_page, home, finished) -> None:
    few = make_finished_run(
        home / "runs" / "20260106-000000-few", fake_experiment("cda", ipc=2, classes=("cat", "coffee"))
    )
    broken = home / "runs" / "20260104-000000-broken"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    app = open_page("manage/runs", compare=f"{finished.id},{few.id},{broken.name},gone")
    assert len(app.error) == 2
    grid = grid_of(app)
    assert [row["title"] for row in grid["rows"]] == ["cat", "coffee"]
    assert [len(row["cells"]) for row in grid["rows"]] == [4, 4]
    assert "The runs have 2 and 4 images a class: shown are the first 2. Left out: 1 class" in captions(app)


def test_a_run_without_snapshots_says_so(open_page, home, finished) -> None:
    bare = make_finished_run(home / "runs" / "20260106-000000-bare")
    for folder in ("snapshots", "images"):
        shutil.rmtree(bare.path / folder)
    app = open_page("manage/runs", compare=f"{finished.id},{bare.id}")
    cells = grid_of(app)["rows"][0]["cells"]
    assert {cell["missing"] for cell in cells[1::2]} == {"no snapshot"}
    assert all(sheet is not None for sheet in cells[0]["sheets"])
