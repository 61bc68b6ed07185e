"""A price follows from what was measured here; without that it is a guess from two known machines."""

import pytest
from fake_runs import make_evaluation, make_finished_run

from delt_engine.analysis.cost import Rate, RateKey, formula_cost
from delt_engine.config import EvaluateConfig, Experiment, RecoverConfig, SqueezeConfig
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.jobs.prices import Known, Price, recovery_price, scores_price, students_price, teacher_price
from delt_engine.runs.processes import this_process
from delt_engine.runs.record import now
from delt_engine.runs.store import Run

NOTHING = Known((), (), "cpu", None)


def test_the_guess_is_that_of_the_known_machines() -> None:
    plain = Experiment(recover=RecoverConfig.for_method("cda", ipc=10))
    price = recovery_price(plain, 10, 32, "", NOTHING)
    assert price.seconds == pytest.approx(10 * 10 * 4000 / 43)  # image-iterations a second on two cores
    assert (price.is_measured, price.memory_mb) == (False, None)
    large = Experiment(recover=RecoverConfig.for_method("cda", ipc=50))
    card = Known((), (), "cuda", None)
    assert recovery_price(large, 1000, 224, "", card).hours == pytest.approx(29.0, abs=0.01)  # DELT Table 6


def test_a_rate_that_was_measured_decides() -> None:
    rate = Rate(RateKey("cpu", "f", 32, 100), 0.0, 0.001, memory_mb=800.0)
    price = recovery_price(Experiment(), 10, 32, "f", Known((rate,), (), "cpu", None))
    assert price.seconds == pytest.approx(25500 * 10 * 0.001)  # IPC 10, MI 4000, RI 500
    assert (price.is_measured, price.memory_mb) == (True, 800.0)


def test_batchnorm_targets_by_class_cost_a_look_at_the_training_images() -> None:
    def seconds(known: Known, **changes: str) -> float:
        recover = RecoverConfig(ipc=10, **changes)
        return recovery_price(Experiment(dataset="cifar10", recover=recover), 10, 32, "f", known).seconds

    rate = Rate(RateKey("cpu", "f", 32, 100), 0.0, 0.02)
    for known, each in ((NOTHING, 1 / 43.0), (Known((rate,), (), "cpu", None), 0.02)):
        assert seconds(known, bn_targets="class") - seconds(known) == pytest.approx(50000 / 2 * each)


def test_real_patches_cost_no_time() -> None:
    taken = Experiment(recover=RecoverConfig.for_method("rded", ipc=10))
    price = recovery_price(taken, 10, 32, "", NOTHING)
    assert price.seconds == 0
    assert price.disk_bytes > 0


def test_students_follow_from_the_newest_evaluations(tmp_path) -> None:
    experiment = Experiment(evaluate=EvaluateConfig(epochs=60, seeds=3, student="resnet18", student_width=0.25))
    guess = students_price(experiment, 10, 32, 1000, NOTHING)
    assert not guess.is_measured
    source = make_finished_run(tmp_path / "source")
    known = Known.of([make_evaluation(tmp_path / "students", source)], "cpu")
    measured = students_price(experiment, 10, 32, 1000, known)
    assert measured.is_measured
    assert measured.seconds == pytest.approx(guess.seconds * known.student_factor)
    longer = experiment.replace(evaluate=experiment.evaluate.replace(epochs=120))
    assert students_price(longer, 10, 32, 1000, known).seconds > 1.5 * measured.seconds


def test_a_teacher_costs_by_its_epochs_and_its_network() -> None:
    price = teacher_price(SqueezeConfig(epochs=10), 50000, 32, NOTHING)
    assert not price.is_measured
    assert teacher_price(SqueezeConfig(epochs=20), 50000, 32, NOTHING).seconds == pytest.approx(2 * price.seconds)
    assert teacher_price(SqueezeConfig(epochs=10, network="resnet101"), 50000, 32, NOTHING).seconds > 4 * price.seconds


def test_a_teacher_trained_on_another_device_tells_nothing_of_this_one(tmp_path) -> None:
    run = Run.create(tmp_path / "teacher", Experiment(dataset="photos", device="cpu"), "squeeze")
    run.update(device="cpu")
    run.set_status("running", started=now(), process=this_process())
    run.set_status("finished", finished=now(), seconds=9.0, process=None)
    assert Known.of([run], "cpu").runs == [run]
    assert Known.of([run], "cuda").runs == []


def test_runs_of_another_card_that_come_along_are_not_counted_on_a_card(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("delt_engine.jobs.prices.assets_dir", lambda: tmp_path / "assets")
    runs = []
    for folder in ("assets", "own"):
        run = Run.create(tmp_path / folder / "teacher", Experiment(dataset="photos", device="cuda"), "squeeze")
        run.update(device="cuda:0")
        run.set_status("running", started=now(), process=this_process())
        run.set_status("finished", finished=now(), seconds=9.0, process=None)
        runs.append(run)
    assert Known.of(runs, "cuda").runs == runs[1:]


def test_prices_add_up() -> None:
    both = Price(10.0, 500.0, 7) + Price(5.0, None, 3, is_measured=False)
    assert both == Price(15.0, 500.0, 10, is_measured=False)


@pytest.mark.parametrize(
    ("ipc", "mi", "ri", "formula", "is_exact"),
    [
        (8, 4000, 500, 8 * 4000 - 28 * 500, True),
        (100, 4000, 1000, 250_000, True),
        (50, 4000, 500, 112_500, False),
        (1, 4000, 500, 4000, True),
        (5, 4000, 500, 5 * 4000 - 5 / 8 * 28 * 500, False),  # fewer images than rounds
    ],
)
def test_the_formula_is_exact_where_rounds_divide_the_images(ipc, mi, ri, formula, is_exact) -> None:
    cost = formula_cost(EarlyLateSchedule(ipc, mi, ri))
    assert (cost.formula, cost.is_exact) == (formula, is_exact)


def test_a_coreset_costs_its_trainings_and_looks() -> None:
    def price(method: str) -> float:
        made = Experiment.for_method(method, dataset="cifar10")
        assert recovery_price(made, 10, 32, "", NOTHING).seconds == scores_price(made, 50000, 32, NOTHING).seconds
        return scores_price(made, 50000, 32, NOTHING).seconds

    look = 50000 * 0.5 / 43.0
    assert price("herding") == pytest.approx(look)
    assert price("random") == 0.0
    ten, twenty = (teacher_price(SqueezeConfig(epochs=n), 50000, 32, NOTHING).seconds for n in (10, 20))
    assert price("el2n") == pytest.approx(3 * (ten + look))
    assert price("forgetting") == pytest.approx(twenty + 20 * look)
