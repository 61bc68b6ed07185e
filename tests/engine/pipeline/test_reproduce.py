"""The numbers of a table are made once: what cells share, what is finished and what stopped is used, and seen."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean

import pytest
from paper_runs import printed
from tiny_world import SQUEEZE, finished, stop_at

from delt_engine.cli.finished import finished_run
from delt_engine.config import EvaluateConfig
from delt_engine.config.continual import ContinualConfig
from delt_engine.data.catalogue import find_entry
from delt_engine.errors import CheckpointError, RunCancelled
from delt_engine.models.card import find_teacher, read_card
from delt_engine.models.held_out import second_dir
from delt_engine.models.teachers import load_teacher
from delt_engine.papers import gvbsm_settings
from delt_engine.papers.cells import Cell, paper_cell
from delt_engine.papers.paper_tables import find_table, rows_of
from delt_engine.pipeline import continual_cells, image_measures, paper_teachers, table_needs, table_view
from delt_engine.pipeline import reproduce as module_of_reproduce
from delt_engine.pipeline.reproduce import cell_title, fetch_networks, grouped, reproduce
from delt_engine.pipeline.table_needs import hindrance, needed_datasets, needs_of
from delt_engine.pipeline.table_records import CellView, TableView, total_price
from delt_engine.runs.continuals import CONTINUALS
from delt_engine.runs.store import list_runs

pytest_plugins = ["tiny_world"]
pytestmark = pytest.mark.usefixtures("one_thread")

TABLE = find_table("delt-4c")
PLACES = ((1000, 500), (1000, 1000), (2000, 500))


@pytest.fixture(autouse=True)
def known_size(monkeypatch):
    """The catalogue's sizes of another dataset in the place of those of the tiny one, which is in no catalogue."""
    monkeypatch.setattr(table_view, "find_entry", lambda name: find_entry("photos" if name == "colours" else name))


@pytest.fixture
def cells(world, settings, monkeypatch):
    """Three cells of a table on the tiny world: two with students of the same images, one with other images."""

    def made(iterations: int, epochs: int) -> Cell:
        evaluate = EvaluateConfig(student="convnet-3", student_width=0.0625, epochs=epochs, rand_augment="none")
        experiment = settings(iterations=iterations, round_iterations=2, evaluate=evaluate)
        return Cell(value, "accuracy", experiment.replace(image_size=8, device="auto"))

    found = []
    for (mi, ri), (iterations, epochs) in zip(PLACES, ((4, 1), (4, 2), (8, 1)), strict=True):
        value = printed("DELT Table 4c", MI=mi, RI=ri)
        found.append((value, made(iterations, epochs), ""))
    monkeypatch.setattr(table_view, "cells_of", lambda _table, _scale: found)
    return found


def _view() -> TableView:
    return table_view.table_view(TABLE)


def _make(said: list[str] | None = None, **how):
    say = (lambda _words: None) if said is None else said.append
    return reproduce(TABLE, _view().cells, partial(finished_run, quiet=True), say, device="cpu", **how)


def _kinds() -> list[str]:
    return sorted(run.record().kind for run in list_runs() if run.status == "finished")


def test_numbers_are_made_once_and_stand_in_the_table(cells) -> None:
    before = _view()
    assert [one.state for one in before.cells] == ["missing"] * 3
    assert len(before.missing) == before.reachable == 3
    said: list[str] = []
    assert _make(said) == []
    assert _kinds() == ["evaluate"] * 3 + ["recover"] * 2  # two of them share their images
    assert said[0] == "1 of 3, DELT Table 4c, MI 1,000, RI 500: recover"
    after = _view()
    assert [one.state for one in after.cells] == ["finished"] * 3
    for one in after.cells:
        (run,) = one.runs
        assert one.measured.mean == run.record().result["top1_last"]
        assert one.gap == pytest.approx(one.measured.best - one.value.value)
    assert after.missing == ()
    assert _make() == []
    assert len(list_runs()) == 5  # nothing was computed again


def test_steps_of_continual_learning_are_measured_together(world, settings, monkeypatch) -> None:
    evaluate = EvaluateConfig(student="convnet-3", student_width=0.0625, epochs=1, rand_augment="none")
    experiment = settings(iterations=2, round_iterations=2, evaluate=evaluate).replace(image_size=8, device="auto")
    values = [printed("CDA Table 14", method="cda", classes=classes) for classes in (40, 80)]
    found = [(value, Cell(value, "continual", experiment), "") for value in values]
    monkeypatch.setattr(table_view, "cells_of", lambda _table, _scale: found)
    two_steps = ContinualConfig(steps=2, orders=2)
    for module in (continual_cells, table_view):
        monkeypatch.setattr(module, "continual_config", lambda _cell: two_steps)
    assert [one.state for one in _view().cells] == ["missing"] * 2
    assert _view().price.seconds > 0
    assert _make() == []
    assert _kinds() == ["recover"]
    (kept,) = (one for one in CONTINUALS.summaries() if Path(one["continual"]).parent == CONTINUALS.folder)
    assert (kept["orders"], kept["steps"]) == (2, 2)
    for number, one in enumerate(_view().cells):
        assert one.state == "finished"
        assert (one.measured.mean, one.measured.n) == (kept["accuracies"][number], 2)
        assert one.measured.std == kept["accuracies_std"][number]
        assert one.gap == pytest.approx(one.measured.mean - one.value.value)
    kept_files = CONTINUALS.all()
    assert _make() == []
    assert CONTINUALS.all() == kept_files  # nothing was measured again


def test_students_of_one_seed_on_the_same_images_count_once(cells) -> None:
    _make()
    (run,) = _view().cells[0].runs
    again = run.path.with_name("again")
    shutil.copytree(run.path, again)
    record = json.loads((again / "run.json").read_text())
    record["result"]["students"][0] |= {"top1_last": 12.5, "top1_best": 25.0}
    (again / "run.json").write_text(json.dumps(record | {"finished": "2999-01-01T00:00:00+00:00"}))
    one, others = _view().cells[0], run.record().result["students"][1:]
    assert (len(one.runs), one.measured.n) == (2, 1 + len(others))
    students = [record["result"]["students"][0], *others]
    assert one.measured.mean == pytest.approx(fmean(each["top1_last"] for each in students))
    assert one.measured.shown[0] == pytest.approx(fmean(each["top1_best"] for each in students))


def test_what_cells_share_costs_once(cells) -> None:
    view = _view()
    assert [len(group) for group in grouped(view.cells)] == [2, 1]
    recovery, first, second = (view.cells[0].parts.keys() & view.cells[1].parts.keys(), *view.cells[:2])
    assert len(recovery) == 1
    alone = first.price.seconds + second.price.seconds
    together = total_price([first, second]).seconds
    assert together == pytest.approx(alone - first.parts[recovery.pop()].seconds)


def test_a_stopped_table_goes_on_with_the_rest(cells, monkeypatch) -> None:
    with monkeypatch.context() as patched:
        stop_at(patched, 5)  # in the second recovery
        with pytest.raises(RunCancelled, match=r"Table 4c, MI 2,000, RI 500: .* The same `delt reproduce` goes on"):
            _make()
    assert _kinds() == ["evaluate", "evaluate", "recover"]
    assert [one.state for one in _view().cells] == ["finished", "finished", "stopped"]
    stopped = next(run for run in list_runs() if run.status != "finished")
    said: list[str] = []
    _make(said)
    assert said[0] == f"1 of 1, DELT Table 4c, MI 2,000, RI 500: recover: run {stopped.id} goes on"
    assert len(list_runs()) == 5
    assert stopped.status == "finished"


def test_students_that_are_tested_less_often_cost_less_and_are_the_same_number(cells) -> None:
    often, seldom = (table_view.table_view(TABLE, validate_every=every) for every in (1, 100))
    assert 0 < seldom.price.seconds < often.price.seconds
    assert reproduce(TABLE, seldom.cells[:1], partial(finished_run, quiet=True), print, device="cpu") == []
    (run,) = _view().cells[0].runs  # found by whoever asks as the paper tests
    assert run.record().experiment.evaluate.validate_every == 100


def test_a_number_that_fails_does_not_hold_up_the_others(cells, monkeypatch) -> None:
    value, cell, _ = cells[1]
    wrong = cell.experiment.evaluate.replace(student="nonsense")
    cells[1] = (value, Cell(value, "accuracy", cell.experiment.replace(evaluate=wrong)), "")
    (failure,) = _make()
    assert failure.cell.value == value
    assert "nonsense" in str(failure.error)
    assert [one.state for one in _view().cells] == ["finished", "stopped", "finished"]


def test_a_missing_teacher_is_trained_first_and_found_again(cells, world) -> None:
    (world / "home" / "teachers" / "colours.safetensors").unlink()
    view = _view()
    assert any(key.startswith("squeeze") for key in view.cells[0].parts)
    assert _make() == []
    assert _kinds() == ["evaluate"] * 3 + ["recover"] * 2 + ["squeeze"]
    (run,) = (run for run in list_runs() if run.record().kind == "squeeze")
    assert run.experiment.squeeze == SQUEEZE


def _without_teacher(world, monkeypatch) -> Path:
    """Take the teacher away, and let torchvision be said to have weights of such a one; return where it lies now."""
    file = world / "home" / "teachers" / "colours.safetensors"
    for module in (table_view, table_needs):
        monkeypatch.setattr(module, "published_ref", lambda _part: "torchvision:colours")
    return file.rename(world / "published.safetensors")


def _refused(_ref: str, _folder: Path) -> None:
    raise CheckpointError("teacher: no route to host.")


def test_a_missing_teacher_with_published_weights_is_fetched(cells, world, monkeypatch) -> None:
    kept, fetched = _without_teacher(world, monkeypatch), []

    def take_in(ref: str, folder: Path) -> None:
        fetched.append(ref)
        shutil.copy(kept, folder / "fetched.safetensors")

    monkeypatch.setattr(module_of_reproduce, "take_in", take_in)
    view = _view()
    assert [ref for one in view.cells for ref in one.published.values()] == ["torchvision:colours"] * 3
    said: list[str] = []
    assert _make(said) == []
    assert said[0] == "fetch torchvision:colours"
    assert fetched == ["torchvision:colours"]
    assert find_teacher("auto", "colours", 8).name == "fetched.safetensors"  # a teacher's place is among the teachers
    assert _kinds() == ["evaluate"] * 3 + ["recover"] * 2


def test_a_teacher_whose_published_weights_cannot_be_fetched_is_trained(cells, world, monkeypatch) -> None:
    _without_teacher(world, monkeypatch)
    cells[:] = cells[:1]

    monkeypatch.setattr(module_of_reproduce, "take_in", _refused)
    said: list[str] = []
    assert _make(said) == []
    assert said[1] == "teacher: no route to host. colours is trained here instead."
    assert _kinds() == ["evaluate", "recover", "squeeze"]


def test_a_committee_is_trained_first_and_takes_turns(cells, settings, monkeypatch) -> None:
    monkeypatch.setattr(gvbsm_settings, "committee", lambda _size: ("convnet-3", "resnet18"))
    value, cell, _ = cells[0]
    experiment = settings("gvbsm", ipc=2, iterations=2, round_iterations=2, evaluate=cell.experiment.evaluate)
    cells[:] = [(value, Cell(value, "accuracy", experiment.replace(image_size=8, device="auto")), "")]
    before = _view().cells[0]
    assert [key.split("network=")[1].split(",")[0] for key in before.parts if "squeeze" in key] == ["'resnet18'"]
    with monkeypatch.context() as patched:
        stop_at(patched, 0)
        with pytest.raises(RunCancelled):
            _make()
    assert _view().cells[0].state == "stopped"
    assert _make() == []
    assert _kinds() == ["evaluate", "recover", "squeeze"]
    (recovered,) = (run for run in list_runs() if run.record().kind == "recover")
    assert [one.network for one in recovered.record().committee] == ["resnet18"]
    assert find_teacher("auto", "colours", 8).name == "colours.safetensors"  # no member of the committee
    assert [read_card(path).network for path in second_dir().iterdir()] == ["resnet18"]
    assert _view().cells[0].state == "finished"
    for run in list_runs():
        if run.record().kind != "recover":
            shutil.rmtree(run.path)
    (one,) = _view().cells  # the images are there, so of their committee nothing is trained again
    assert [key.split()[0] for key in one.parts] == ["evaluate"]


@pytest.fixture
def publisher(world, tiny_teacher, monkeypatch) -> None:
    """Weights of ImageNet-1K that are published: the tiny teacher's under their names."""
    theirs = load_teacher(str(tiny_teacher))

    def load_published(ref: str):
        network = ref.partition(":")[2]
        about = {"dataset": "imagenet-1k", "image_size": 224, "width": 1.0, "name": f"{network}_v1"}
        return replace(theirs, card=replace(theirs.card, added_from=ref, network=network, **about))

    monkeypatch.setattr(paper_teachers, "load_published", load_published)


@pytest.mark.usefixtures("publisher")
def test_networks_that_only_help_are_fetched_to_where_auto_does_not_find_them(world) -> None:
    teacher = paper_teachers.take_in("torchvision:resnet18")
    values = [rows_of(find_table("cda-9"))[0]]  # asks an outside network
    values += [one for one in rows_of(find_table("delt-6")) if (one.dataset, one.method) == ("imagenet-1k", "gvbsm")]
    views = [CellView(value, (), (), paper_cell(value)) for value in values]
    views = [table_view._with_work(one, table_view._Looked.at([], "cpu")) for one in views]
    said: list[str] = []
    fetch_networks(views, said.append)
    kinds = {read_card(path).network for path in second_dir().iterdir()}
    assert kinds == {"mobilenet_v2", "efficientnet_b0", "shufflenet_v2_x0_5"}
    assert len(said) == 3
    assert find_teacher("auto", "imagenet-1k", 224) == teacher
    assert needs_of(views).judges == ()  # it is found there
    for part in paper_teachers.committee_of(views[-1].cell):
        assert paper_teachers.file_of(part).parent == second_dir()


@pytest.mark.usefixtures("publisher")
def test_weights_that_also_recover_are_fetched_as_a_teacher(world) -> None:
    rows = rows_of(find_table("delt-6"))
    committee = next(one for one in rows if (one.dataset, one.method) == ("imagenet-1k", "gvbsm"))
    recovering = replace(committee, method="cda", teacher="mobilenet_v2")
    views = [CellView(value, (), (), paper_cell(value)) for value in (committee, recovering)]
    views = [table_view._with_work(one, table_view._Looked.at([], "cpu")) for one in views]
    folders = {ref.partition(":")[2]: path.name for ref, path in needs_of(views).folders.items()}
    assert folders["mobilenet_v2"] == folders["resnet18"] == "teachers"
    assert folders["efficientnet_b0"] == "second"


@pytest.mark.usefixtures("publisher")
def test_fetched_weights_are_kept_where_cells_find_them(world) -> None:
    part = paper_teachers.teacher_of(paper_cell(printed("DELT Table 4c", MI=1000, RI=500)))
    assert paper_teachers.file_of(part) is None
    path = paper_teachers.take_in(paper_teachers.published_ref(part))
    assert paper_teachers.file_of(part) == path == world / "home" / "teachers" / "resnet18_v1.safetensors"
    assert read_card(path).added_from == "torchvision:resnet18"
    small = replace(part, image_size=64)
    assert paper_teachers.published_ref(small) == paper_teachers.published_ref(replace(part, network="convnet-4")) == ""


def test_without_an_outside_network_nothing_is_recovered(cells, monkeypatch) -> None:
    cell = cells[0][1]
    rows = [replace(row, dataset="colours") for row in rows_of(find_table("cda-9")) if row.method == "cda"]
    cells[:] = [*cells[:1], *((row, Cell(row, "judge", cell.experiment), "") for row in rows)]
    said: list[str] = []
    failures = _make(said)
    assert [failure.cell.value for failure in failures] == rows
    assert ": There is no outside network for colours at 8 px, which is another one than the teacher; train" in said[0]
    (lacking,) = needs_of(_view().missing).lacking
    assert lacking.startswith("There is no outside network for colours at 8 px")
    assert _kinds() == ["evaluate", "recover"]  # of the number that needs none


def test_an_outside_network_of_imagenet_is_fetched() -> None:
    cell = paper_cell(rows_of(find_table("cda-9"))[0])
    with pytest.raises(CheckpointError, match=r"fetch one with `delt teachers add torchvision:mobilenet_v2`\."):
        image_measures.judge_file(cell)


def test_a_ranker_of_data_that_is_not_here_is_known_to_be_missing_beforehand(world, monkeypatch) -> None:
    monkeypatch.setenv("DELT_DATA", str(world))
    value = printed("DELT Table 10", order="delt")
    view = CellView(value, (), (), paper_cell(value))
    assert needed_datasets(view) == {"imagenet-100"}  # the ranker may be fetched
    error = str(hindrance(view))
    assert error.startswith("ranker: there is no resnet18 for ImageNet-1K at 224 px, nor the images to train one on.")
    assert error.endswith("Its weights are fetched with `delt teachers add torchvision:resnet18`.")


def test_batches_matched_with_batches_are_made_in_float32_whatever_is_asked() -> None:
    views = (table_view.table_view(name, "laptop").cells for name in ("cda-13", "delt-4c"))
    dm, delt = (next(one.cell for one in view if one.value.method in ("dm", "delt")) for view in views)
    how = module_of_reproduce._How(lambda *_: None, print, "cpu", "bfloat16")
    made = [how.settings(cell) for cell in (dm, delt)]
    assert [one.recover.precision for one in made] == ["auto", "bfloat16"]
    assert [one.evaluate.precision for one in made] == ["bfloat16", "bfloat16"]


def test_runs_with_other_settings_stand_near_with_what_differs(cells) -> None:
    _make()
    value, cell, _ = cells[0]
    other = cell.experiment.replace(recover=cell.experiment.recover.replace(r_bn=0.5))
    cells[:] = [(value, Cell(value, "accuracy", other), "")]
    (one,) = _view().cells
    assert one.runs == ()
    assert {row.name: row.here for near in one.near for row in near.differences}["Recovery: BatchNorm weight"] == "0.01"
    assert cell_title(TABLE, one) == "DELT Table 4c, MI 1,000, RI 500"


def test_hours_of_a_recovery_and_similarity_need_no_students(cells) -> None:
    value, cell, _ = cells[0]
    cells[:] = [(value, Cell(value, measure, cell.experiment), "") for measure in ("hours", "cosine", "images")]
    _make()
    assert _kinds() == ["recover"]
    hours, cosine, images = _view().cells
    (run,) = hours.runs
    assert hours.measured.mean == run.record().seconds / 3600
    assert 0 < cosine.measured.mean <= 1
    assert (images.state, images.measured) == ("finished", None)
    other = finished(run.path.with_name("on-a-card"), run.experiment)
    file = other.path / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "device_name": "A card"}))
    hours = _view().cells[0]
    assert (len(hours.runs), hours.measured.n) == (2, 1)
    (of_device,) = (one.record() for one in hours.runs if one.record().device_name == hours.measured.device)
    assert hours.measured.mean == of_device.seconds / 3600


def test_a_teacher_s_own_number_is_that_of_its_training(cells, world) -> None:
    value, cell, _ = cells[0]
    cells[:] = [(value, Cell(value, "teacher", cell.experiment), "")]
    assert _make() == []
    (one,) = _view().cells
    (run,) = one.runs
    assert one.measured.mean == run.record().result["accuracy"]
    assert _make() == []
    assert len(list_runs()) == 1
    longer = cell.experiment.replace(squeeze=SQUEEZE.replace(epochs=4))
    cells[:] = [(value, Cell(value, "teacher", longer), "")]
    (one,) = _view().cells
    assert [(row.name, row.here, row.published) for row in one.near[0].differences] == [("Epochs", "3", "4")]


def test_an_outside_network_is_asked_about_whole_images_and_crops(cells, world, monkeypatch) -> None:
    """A second network that knows the colours sees them in real images, whole or in part."""
    second = world / "home" / "second"
    second.mkdir()
    other = second / "colours-second.safetensors"
    other.write_bytes((world / "home" / "teachers" / "colours.safetensors").read_bytes())
    cell = cells[0][1]
    rows = rows_of(find_table("cda-9"))
    named = [replace(row, dataset="colours") for row in rows if row.method in ("cda", "real")]
    cells[:] = [(row, Cell(row, "judge", cell.experiment), "") for row in named]
    monkeypatch.setattr(image_measures, "outside_network", lambda _teacher: other)
    weights = {"mobilenet_v2": "torchvision:mobilenet_v2"}
    monkeypatch.setattr(table_needs, "published_ref", lambda part: weights.get(part.network, ""))
    monkeypatch.setattr(module_of_reproduce, "take_in", _refused)
    assert [one.state for one in _view().cells] == ["missing"] * 4
    said: list[str] = []
    _make(said)
    assert said[:2] == [
        "fetch torchvision:mobilenet_v2",
        "teacher: no route to host. Another network is asked instead, if there is one.",
    ]
    shown = {(one.value.method, one.value.metric): one.measured.mean for one in _view().cells}
    assert shown["real", "whole"] == 100.0
    assert 80 < shown["real", "crops"] < 100
    assert 0 <= shown["cda", "crops"] <= 100
    assert _kinds() == ["recover"]
