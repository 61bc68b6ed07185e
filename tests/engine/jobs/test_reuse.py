"""Which runs count as the same as what is asked for."""

import pytest
from fake_runs import fake_experiment, make_finished_run, make_half_done_run

from delt_engine.jobs.start import is_same, same_run
from delt_engine.runs.store import Run


@pytest.fixture
def finished(tmp_path) -> Run:
    return make_finished_run(tmp_path / "a", fake_experiment(mi=40, ri=10))


def test_data_teacher_kind_source_and_every_setting_count(finished) -> None:
    wanted, data, teacher = finished.experiment, "f00d", "beef"
    known = {"dataset": data, "teacher": teacher}
    assert is_same(finished, wanted, "recover", **known)
    assert is_same(finished, wanted.replace(teacher="another name"), "recover", **known)
    assert not is_same(finished, wanted, "recover", dataset="other", teacher=teacher)
    assert not is_same(finished, wanted, "recover", dataset=data, teacher="other")
    assert not is_same(finished, wanted, "evaluate", **known)
    assert not is_same(finished, wanted, "recover", **known, source="run")
    assert not is_same(finished, wanted.replace(seed=9), "recover", **known)
    assert not is_same(finished, wanted.replace(recover=wanted.recover.replace(r_bn=0.5)), "recover", **known)
    evaluate = wanted.evaluate.replace(epochs=3)
    assert is_same(finished, wanted.replace(evaluate=evaluate), "recover", **known)
    assert is_same(finished, wanted, "recover", dataset=data, teacher=None)  # told by its name then
    assert not is_same(finished, wanted.replace(teacher="mine.pth"), "recover", dataset=data, teacher=None)


def test_the_ranker_counts_by_its_weights_and_where_they_are_not_known_by_its_name(tmp_path) -> None:
    plain, known = fake_experiment(mi=40, ri=10), {"dataset": "f00d", "teacher": "beef"}
    wanted = plain.replace(ranker="r18")
    run = make_half_done_run(tmp_path / "a", wanted)
    run.update(ranker=run.record().teacher.model_copy(update={"fingerprint": "r1"}))
    assert is_same(run, wanted, "recover", **known)
    assert not is_same(run, plain, "recover", **known)
    assert is_same(run, wanted.replace(ranker="another name"), "recover", **known, ranker="r1")
    assert not is_same(run, wanted, "recover", **known, ranker="r2")


def test_a_run_that_stopped_before_it_looked_does_not_go_on_for_another_teacher(tmp_path) -> None:
    run = Run.create(tmp_path / "b", fake_experiment(mi=40, ri=10).replace(teacher="photos"))
    run.set_status("cancelled")
    asked = {"kind": "recover", "dataset": "f00d", "teacher": "beef", "runs": [run]}
    assert same_run(run.experiment, **asked) is run
    assert same_run(run.experiment, **asked, begun=False) is None
    assert same_run(run.experiment.replace(teacher="digits"), **asked) is None
