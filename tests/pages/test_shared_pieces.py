"""The pieces that pages share, where a value can be checked without a page."""

from __future__ import annotations

import io
from datetime import datetime, timezone
from urllib.parse import unquote

import numpy as np
import pytest
from fake_runs import fake_experiment, fake_images, make_finished_run, make_half_done_run
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response

from delt_engine.config import Experiment, RecoverConfig, SelectConfig, field_specs
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.errors import ConfigError
from pages.shared import controls, live, wording
from pages.shared.recover.rounds import divisors, nearest
from pages.shared.runs import class_rows, strips
from pages.shared.runs.progress import progress
from pages.shared.session import Session


@pytest.fixture(autouse=True)
def runs_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_RUNS", str(tmp_path))


def asked(url: str) -> Response:
    """Ask for an address as the browser does."""
    path, _, query = url.partition("?")
    _, folder, run, name = path.split("/", 3)
    assert folder == "strips"
    scope = {
        "type": "http",
        "query_string": query.encode(),
        "headers": [],
        "path_params": {"run": unquote(run), "path": unquote(name)},
    }
    return strips.answer(Request(scope))


def opened(url: str) -> np.ndarray:
    answer = asked(url)
    assert answer.status_code == 200
    assert answer.media_type == "image/png"
    return np.asarray(Image.open(io.BytesIO(answer.body)).convert("RGB"))


def test_names_are_shown_as_they_are() -> None:
    assert wording.plain("a_b*c$d![x](http://e)") == r"a\_b\*c\$d\!\[x\](http\://e)"
    assert wording.plain("<b> :red[x] :smile: `c` &amp; #1") == r"\<b\> \:red\[x\] \:smile: \`c\` \&amp; \#1"
    assert wording.plain("run 20260101-000000: R & D, 00:00 UTC.") == "run 20260101-000000: R & D, 00:00 UTC."


@pytest.mark.parametrize("iterations", [1, 2, 50, 97, 200, 4000, 1_000_000])
def test_offered_round_iterations_divide(iterations) -> None:
    options = divisors(iterations)
    assert options == sorted(options)
    assert options[-1] == iterations
    assert all(iterations % d == 0 and iterations // d <= 50 for d in options)
    for wanted in (1, 7, 50, 10_000):
        assert nearest(options, iterations, wanted) in options


def test_help_says_default_and_origin() -> None:
    spec = controls.spec_of(RecoverConfig, "learning_rate")
    assert controls.help_text(spec).endswith("Default: 0.25 (DELT Table 8b).")
    assert controls.names_behind_more(SelectConfig)[:2] == ["order", "mosaic"]
    assert all(spec.help for spec in field_specs(RecoverConfig))


def test_a_draft_keeps_what_was_valid() -> None:
    draft = Session()
    draft.change("recover", ipc=3)
    with pytest.raises(ConfigError, match="learning_rate"):
        draft.change("recover", learning_rate=-1.0)
    assert draft.draft.recover.ipc == 3
    draft.choose_method("sre2l")
    assert (draft.draft.recover.ipc, draft.draft.recover.curriculum) == (3, "constant")


def test_words_for_numbers() -> None:
    now = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
    assert wording.ago("2026-01-02T11:59:30.000Z", now) == "30 s ago"
    assert wording.ago("2026-01-02T09:00:00Z", now) == "3 h ago"
    assert wording.ago("2026-01-01T11:00:00Z", now) == "1 day ago"
    assert wording.ago(None) == ""
    assert wording.run_title(Experiment(dataset="/data/pets/")).startswith("pets · DELT")
    assert wording.round_note(EarlyLateSchedule(10, 200, 50), 1) == "round 1 of 4, 3 of 10 images have joined"
    assert wording.round_note(EarlyLateSchedule(1, 200, 50), 1) == "round 1 of 4"


def test_a_film_has_a_frame_a_round_and_the_right_pixels(tmp_path) -> None:
    run = make_finished_run(tmp_path / "run")
    made = class_rows.film(run, [0, 2])
    assert [row.title for row in made.rows] == ["astronaut", "coffee"]
    assert [frame.tick for frame in made.frames] == ["0", "10", "20", "30", "40"]
    cell = made.rows[1].cells[3]
    sheet = opened(made.sheets[cell.sheets[2]])
    np.testing.assert_array_equal(sheet[:, cell.x * 32 : (cell.x + 1) * 32], fake_images(run, 2, 2)[3])
    assert [cell.joins for cell in made.rows[0].cells] == [1, 2, 3, 4]
    assert [(head.title, head.note) for head in made.head][-1] == ("R4", "10 it")


def test_a_part_of_a_class_is_cut_out_of_its_strip(tmp_path) -> None:
    run = make_finished_run(tmp_path / "run")
    cut = opened(strips.address(run, run.snapshot_path(0, 4), 2, 2))
    np.testing.assert_array_equal(cut, np.hstack(list(fake_images(run, 0, 4)[2:])))


def test_large_images_become_thumbnails_tile_by_tile(tmp_path) -> None:
    run = make_finished_run(tmp_path / "run", size=128)
    sheet = opened(class_rows.film(run, [0]).sheets[0])
    assert sheet.shape == (96, 4 * 96, 3)
    alone = Image.fromarray(fake_images(run, 0, 0)[1]).resize((96, 96), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(sheet[:, 96:192], np.asarray(alone))


def test_while_a_run_is_on_its_film_ends_with_now(tmp_path) -> None:
    run = make_half_done_run(tmp_path / "run")
    made = class_rows.film_so_far(run, [0, 1])
    assert [frame.tick for frame in made.frames] == ["0", "10", "20", "now"]
    assert made.frames[-1].label == "Now: iteration 20 of 40"
    assert [cell.joins for cell in made.rows[0].cells] == [1, 2, 3, 4]  # image 3 joins in the round that is on
    live = opened(made.sheets[made.rows[0].cells[0].sheets[-1]])
    np.testing.assert_array_equal(live[:, :32], fake_images(run, 0, 3)[0])


def test_long_runs_are_thinned_and_keep_both_ends() -> None:
    shown = class_rows.rounds_shown(1000)
    assert (shown[0], shown[-1], len(shown)) == (0, 1000, class_rows.MOST_FRAMES)


def test_listed_images_come_in_the_order_of_the_list(tmp_path) -> None:
    run = make_finished_run(tmp_path / "run")
    path, images = run.snapshot_path(1, 3), run.snapshot_images(1, 3)
    listed = opened(strips.address(run, path, tiles=(3, 0)))
    assert np.array_equal(listed, np.concatenate([images[3], images[0]], axis=1))
    assert asked(strips.address(run, path, tiles=(4,))).status_code == 404


def test_a_changed_strip_has_another_address(tmp_path) -> None:
    run = make_finished_run(tmp_path / "run", fake_experiment(ipc=2))
    path = run.snapshot_path(0, 0)
    before = strips.address(run, path)
    assert asked(before).headers["cache-control"].endswith("immutable")
    Image.fromarray(np.zeros((32, 64, 3), np.uint8)).save(path)
    assert strips.address(run, path) != before
    assert opened(strips.address(run, path)).max() == 0
    assert strips.address(run, tmp_path / "nothing.png") is None


def test_one_image_can_be_asked_for_at_full_size(tmp_path) -> None:
    run = make_finished_run(tmp_path / "run", size=128)
    url = strips.address(run, run.snapshot_path(1, 3), 2, 1, full=True)
    np.testing.assert_array_equal(opened(url), fake_images(run, 1, 3)[2])


@pytest.mark.parametrize(
    "url",
    [
        "/strips/run/run.json",
        "/strips/run/selection.csv",
        "/strips/run/images/cat/0000.png",
        "/strips/run/snapshots/../../secret.png",
        "/strips/run/snapshots/cat/round-99.png",
        "/strips/..%2Frun/snapshots/cat/round-00.png?first=x",
        "/strips/run/snapshots/cat/round-00.png?first=-30000000",  # no range of that size is made
        "/strips/run/snapshots/cat/round-00.png?first=4",
        "/strips/run/snapshots/cat/round-00.png?count=-1",
        "/strips/~nobody/snapshots/cat/round-00.png",
        "/strips/none/snapshots/cat/round-00.png",
        "/strips/run/snapshots/cat/torn.png",
    ],
)
def test_nothing_but_strips_of_runs_is_served(tmp_path, url) -> None:
    run = make_finished_run(tmp_path / "run")
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    (run.path / "snapshots" / "cat" / "torn.png").write_bytes(b"\x89PNG\r\n")
    assert asked(url).status_code == 404


def test_progress_counts_image_iterations_and_measures_the_rate(tmp_path) -> None:
    now = progress(make_half_done_run(tmp_path / "run"))
    total = EarlyLateSchedule(4, 40, 10).image_iterations(3)
    done = 3 * 10 + 6 * 10
    assert now.fraction == done / total
    assert (now.round_text, now.iteration_text) == ("2 of 4", "20 of 40")
    assert now.rate == pytest.approx((done - 3) / 0.19)  # from iteration 0 to 19, 0.01 s each
    assert now.left_s == pytest.approx((total - done) / now.rate)


def test_a_part_of_a_strip_is_cut_once(tmp_path, monkeypatch) -> None:
    run = make_finished_run(tmp_path / "a")
    path, read = str(run.snapshot_path(0, 0)), []
    real = strips.Path.read_bytes
    monkeypatch.setattr(strips.Path, "read_bytes", lambda self: read.append(self) or real(self))
    assert strips.part(path, 1, 0, 1, False) == strips.part(path, 1, 0, 1, False)
    assert len(read) == 1


def test_sessions_that_looked_lately_are_counted(monkeypatch) -> None:
    now = live.time.monotonic()
    monkeypatch.setattr(live, "_seen", {"here": now - 1, "there": now - 2, "gone": now - 1000})
    assert live.watchers() == 2
    monkeypatch.setattr(live, "_seen", {})
    assert live.watchers() == 1
