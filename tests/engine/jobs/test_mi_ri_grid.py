"""The grid of MI by RI: its cells, what counts as there already, its price, and what is started for the rest."""

from __future__ import annotations

import pytest
from fake_runs import fake_experiment, make_finished_run, make_half_done_run

from delt_engine.jobs import mi_ri_grid, start
from delt_engine.jobs.mi_ri_grid import cells, price, start_missing
from delt_engine.runs.lineage import parent_of
from delt_engine.runs.store import Run, list_runs
from delt_engine.runs.titles import read_title


@pytest.fixture
def base(tmp_path, monkeypatch) -> Run:
    monkeypatch.setenv("DELT_RUNS", str(tmp_path))
    return make_finished_run(tmp_path / "20260101-000000-base", fake_experiment())


def found(base: Run, **choice) -> dict[tuple[int, int], mi_ri_grid.GridCell]:
    made = cells(base, "cat", (20, 30, 40), (1, 2, 4), list_runs(), **choice)
    return {(cell.iterations, cell.rounds): cell for cell in made}


def test_cells_have_the_settings_of_the_base_but_for_mi_and_ri(base) -> None:
    made = found(base)
    assert list(made) == [(mi, k) for mi in (20, 30, 40) for k in (1, 2, 4)]
    experiment = made[20, 4].experiment
    assert (experiment.recover.iterations, experiment.recover.round_iterations) == (20, 5)
    assert experiment.classes == ("cat",)
    back = experiment.recover.replace(iterations=40, round_iterations=10)
    assert experiment.replace(recover=back, classes=None) == base.experiment
    assert made[30, 4].experiment is None
    assert made[30, 4].refusal == "4 rounds do not divide MI 30"
    assert not made[30, 4].is_missing


def test_a_run_that_is_there_counts_and_one_with_more_classes_stands_in(base, tmp_path) -> None:
    first = found(base)[40, 4]
    assert (first.run, first.stand_in, first.is_missing) == (None, base, True)
    alone = make_finished_run(tmp_path / "20260102-000000-alone", fake_experiment(classes=("cat",)))
    work = make_half_done_run(tmp_path / "20260103-000000-work", fake_experiment(mi=20, ri=10, classes=("cat",)))
    failed = make_half_done_run(tmp_path / "20260104-000000-failed", fake_experiment(mi=20, ri=5, classes=("cat",)))
    failed.set_status("failed", process=None)
    make_finished_run(tmp_path / "20260105-000000-seed", fake_experiment(mi=20, ri=20).replace(seed=3))
    make_finished_run(tmp_path / "20260106-000000-dog", fake_experiment(mi=20, ri=20, classes=("coffee",)))
    made = found(base)
    assert (made[40, 4].shown, made[40, 4].stand_in) == (alone, None)
    assert {key: cell.run for key, cell in made.items() if cell.run} == {(40, 4): alone, (20, 2): work}
    whole = found(base, is_alone=False)
    assert {key: cell.run for key, cell in whole.items() if cell.run} == {(40, 4): base}
    assert whole[20, 1].experiment.classes is None


def test_the_price_is_that_of_what_is_missing(base) -> None:
    missing = [cell for cell in found(base).values() if cell.is_missing]
    each = {(20, 1): 80, (20, 2): 60, (20, 4): 50, (30, 1): 120, (30, 2): 90, (40, 1): 160, (40, 2): 120}
    assert {(cell.iterations, cell.rounds): price([cell], 3) for cell in missing} == each | {(40, 4): 100}
    assert price(missing, 3) == sum(each.values()) + 100
    whole = [cell for cell in found(base, is_alone=False).values() if cell.is_missing]
    assert price(whole, 3) == 3 * sum(each.values())


def test_what_is_missing_is_queued_once_with_a_title_that_says_so(base, monkeypatch, tmp_path) -> None:
    def queued(experiment) -> Run:
        return Run.create(tmp_path / f"20260201-0000{len(list_runs()):02d}-grid", experiment)

    monkeypatch.setattr(start, "start", queued)
    made = list(found(base).values())
    started = start_missing(base, made, "cat")
    assert len(started) == 8
    costs = [run.experiment.recover.schedule.image_iterations() for run in started]
    assert costs == sorted(costs)
    assert read_title(started[0]).title == "Grid: DELT cat MI 20 / RI 5"
    assert parent_of(started[0]) == base
    assert start_missing(base, list(found(base).values()), "cat") == []
