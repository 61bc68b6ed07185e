"""Answers of applications: what two processes measure of one question at once is kept of both."""

from delt_engine.runs.continuals import CONTINUALS
from delt_engine.runs.prunings import PRUNINGS


def test_what_another_process_has_measured_in_the_meantime_stays(tmp_path) -> None:
    files, steps = CONTINUALS, [{"top1": 50.0}, {"top1": 40.0}]
    files.write(tmp_path, {"of": "cpu"}, [{"seed": 1, "steps": steps}, {"seed": 0, "steps": steps[:1]}])
    files.write(tmp_path, {"of": "cuda"}, [{"seed": 0, "steps": steps}, {"seed": 2, "steps": []}])
    files.write(tmp_path, {"of": "cpu"}, [{"seed": 0, "steps": []}])
    found = files.read(tmp_path)
    assert found is not None
    assert {one["seed"]: len(one["steps"]) for one in found["results"]} == {0: 2, 1: 2, 2: 0}
    assert (found["of"], [one["seed"] for one in found["results"]]) == ("cpu", [0, 1, 2])


def test_a_result_without_steps_is_the_latest_and_a_damaged_one_goes(tmp_path) -> None:
    files = PRUNINGS
    files.write(tmp_path, {}, [{"seed": 0, "finetuned": 1.0}])
    text = (tmp_path / "pruning.json").read_text()
    (tmp_path / "pruning.json").write_text(text.replace('"results": [', '"results": ["odd", '))
    files.write(tmp_path, {}, [{"seed": 0, "finetuned": 2.0}])
    assert files.read(tmp_path) == {"results": [{"seed": 0, "finetuned": 2.0}]}
