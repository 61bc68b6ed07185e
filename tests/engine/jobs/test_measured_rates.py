"""What is known of this machine's speed: kept measurements and finished runs."""

from dataclasses import replace

import pytest
from fake_runs import fake_experiment, make_finished_run, make_half_done_run

from delt_engine.analysis.cost import Rate, RateKey
from delt_engine.config import Experiment
from delt_engine.jobs.measured_rates import keep_rate, kept_rates, known_rates, rate_key, rate_of

RATE = Rate(RateKey("cpu", "beef", 32, 12), 0.1, 0.004, "CPU", "measured", "2026-01-01T00:00:00.000Z")


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(tmp_path))
    monkeypatch.delenv("DELT_RUNS", raising=False)


def test_a_measurement_comes_back_and_a_new_one_replaces_it(tmp_path) -> None:
    keep_rate(RATE)
    later = replace(RATE, per_image_s=0.002, name="2026-01-02T00:00:00.000Z")
    keep_rate(later)
    (tmp_path / "rates" / "torn.json").write_text("{")
    assert kept_rates() == [later]
    keep_rate(replace(RATE, key=replace(RATE.key, batch_size=6)))
    assert len(kept_rates()) == 2


def test_a_finished_run_counts_with_its_mean(tmp_path) -> None:
    run = make_finished_run(tmp_path / "runs" / "done")
    found = rate_of(run)
    assert found.key == RateKey("cpu", "beef", 32, 12)
    assert found.per_second(12) == pytest.approx(run.record().image_iterations_per_second)
    assert (found.source, found.name, found.is_here) == ("run", "done", True)
    assert rate_of(make_half_done_run(tmp_path / "runs" / "half")) is None
    keep_rate(RATE)
    assert known_rates([run]) == [RATE, found]
    assert not rate_of(make_finished_run(tmp_path / "examples" / "done")).is_here


def test_the_key_names_device_teacher_size_and_batch() -> None:
    experiment = fake_experiment(ipc=4)
    assert rate_key(experiment, 3, "beef", 32) == RATE.key
    assert rate_key(Experiment(device="cuda:1"), 10, "beef", 32).device == "cuda"
