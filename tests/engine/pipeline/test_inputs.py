"""What a run starts from, and what is wrong with it, before anything is computed."""

import pytest
from tiny_data import tiny_dataset

from delt_engine.errors import CheckpointError, DataError
from delt_engine.pipeline import inputs
from delt_engine.pipeline.inputs import load_inputs

pytest_plugins = ["tiny_world"]


def test_classes_are_numbered_and_the_teacher_is_found(world, settings) -> None:
    found = load_inputs(settings(classes=("blue", "red", "blue")))
    assert found.classes == (0, 2)
    assert found.card.name == "colours"
    assert found.teacher_ref == "colours"
    assert found.dataset_record.class_names == ("red", "green", "blue")
    assert found.dataset_record.image_size == 8
    assert load_inputs(settings()).classes == (0, 1, 2)


def test_a_teacher_without_a_name_is_found_again_by_its_file(world, settings, tiny_teacher) -> None:
    found = load_inputs(settings().replace(teacher=str(tiny_teacher)))
    assert found.teacher_ref == str(tiny_teacher)
    assert load_inputs(settings(), teacher=found.teacher_ref).teacher_path == tiny_teacher


def test_what_is_wrong_is_one_sentence(world, settings, monkeypatch) -> None:
    with pytest.raises(DataError, match="'pink' given, but colours has red, green, blue"):
        load_inputs(settings(classes=("pink",)))
    with pytest.raises(CheckpointError, match="'nobody' given, but no teacher has that name"):
        load_inputs(settings().replace(teacher="nobody"))
    monkeypatch.setattr(inputs, "load_dataset", lambda *a, **k: tiny_dataset(classes=2))
    with pytest.raises(CheckpointError, match="has 3 classes, but colours has 2"):
        load_inputs(settings())
