"""Stores of labels as the app sees them: size before anything is written, what fits, and why another does not."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest
from fake_runs import make_finished_run

from delt_engine.config import RelabelConfig
from delt_engine.jobs import label_stores, tasks
from delt_engine.jobs.label_stores import KnownStore, misfit, needed, new_store, stores_of
from delt_engine.runs.sources import find_source
from delt_engine.training.label_facts import AUGMENTATION, MANIFEST, StoreFacts, epoch_file


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A finished run of 12 images in 3 classes, and its training of 5 epochs."""
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    run = make_finished_run(tmp_path / "home" / "runs" / "20260101-000000-photos-delt-ipc4-aaaa")
    evaluate = run.experiment.evaluate.replace(epochs=5)
    return find_source(run.id), run.experiment.replace(evaluate=evaluate)


def write(path, facts: StoreFacts, epochs: int) -> KnownStore:
    path.mkdir(parents=True)
    (path / MANIFEST).write_text(json.dumps(asdict(facts)))
    for epoch in range(1, epochs + 1):
        epoch_file(path, epoch).touch()
    return KnownStore.open(path)


def test_a_store_fits_the_training_it_was_made_for_and_says_why_it_fits_no_other(source) -> None:
    found, experiment = source
    wanted = needed(experiment, found)
    assert (wanted.images, wanted.num_classes, wanted.config.batch_size) == (12, 3, 10)  # 10 below IPC 10
    assert wanted.labeller == "beef"
    photos = experiment.replace(evaluate=experiment.evaluate.replace(relabeller="photos"))
    assert needed(photos, found).labeller == ""  # it knows ten classes, of which these are three
    assert new_store(photos, found) != new_store(experiment, found)
    assert wanted.size("float32", 0).labels == 2 * wanted.size("float16", 0).labels == 5 * 12 * 3 * 4
    facts = StoreFacts(
        images=12,
        num_classes=3,
        image_size=32,
        mosaic=1,
        epochs=5,
        label_epochs=5,
        seed=0,
        form="float16",
        augmentation={name: getattr(wanted.config, name) for name in AUGMENTATION},
        image_fingerprint="1",
        teacher_fingerprint="beef",
    )
    store = write(new_store(experiment, found), facts, 5)
    assert misfit(store, wanted) == ""
    assert facts.size == wanted.size("float16", 0)
    for other, reason in (
        (replace(wanted, seed=1), "it is for seed 0, not 1"),
        (replace(wanted, labeller="c0de"), "another network labelled: beef"),
        (replace(wanted, images=24), "it is of 12 images in 3 classes"),
        (replace(wanted, config=wanted.config.replace(epochs=6)), "it is for 5 epochs, not 6"),
        (replace(wanted, config=wanted.config.replace(batch_size=12)), "it is for batch size 10, not 12"),
    ):
        assert misfit(store, other) == reason
    begun = write(store.path.parent / "begun", facts, 2)
    assert misfit(begun, wanted) == "2 of 5 label epochs are written"
    (store.path.parent / "odd").mkdir()
    assert {one.path for one in stores_of(found, "photos")} == {store.path, begun.path}


def test_the_same_settings_lead_to_the_same_folder_and_the_command_is_that_of_the_command_line(
    source, monkeypatch
) -> None:
    found, experiment = source
    asked = []
    monkeypatch.setattr(tasks, "start", lambda work, words: asked.append((work, words)))
    path = label_stores.start_storing(experiment, found)
    assert path == new_store(experiment, found)
    assert asked == [(label_stores.store_task(path), ["relabel", found.ref, "--epochs", "5", "--out", str(path)])]
    assert new_store(experiment.replace(relabel=RelabelConfig(form="float32")), found) != path
    assert new_store(experiment.replace(seed=1), found) != path
