"""How a run is computed is settled once: measured on devices that are, kept in the record, and told."""

import pytest
from tiny_world import finished, images_of

from delt_engine.pipeline import compute

pytest_plugins = ["tiny_world"]


@pytest.fixture
def measured(monkeypatch) -> list[int]:
    """Measure on the CPU as on a GPU, with rates that are known; return the limits asked for."""
    asked = []

    def rates(*_args, most: int, **_values) -> dict[int, float]:
        asked.append(most)
        return {1: 100.0, 2: 1234.5}

    monkeypatch.setattr(compute, "MEASURED", ("cpu",))
    monkeypatch.setattr(compute, "pack_rates", rates)
    return asked


def test_a_run_takes_the_measured_number_of_batches_and_says_so(world, settings, measured) -> None:
    run = finished(world / "a", settings(batch_size=4))
    assert measured == [3]  # three classes, a batch each
    assert run.record().speed["pack"] == 2
    said = "2 batches a step. Image-iterations/s measured with so many batches a step: 1: 100, 2: 1,234."
    assert any(note.endswith(said) for note in run.record().notes)
    given = finished(world / "b", settings(batch_size=4, pack=2))
    pixels = [{name: data for name, data in images_of(each).items() if "snapshots" in name} for each in (run, given)]
    assert pixels[0] == pixels[1]


def test_what_was_measured_once_is_used_again_by_runs_of_the_kind(world, settings, measured, monkeypatch) -> None:
    forgotten = []
    monkeypatch.setattr(compute, "forget_peak", forgotten.append)
    runs = [finished(world / name, settings(batch_size=4, seed=seed)) for seed, name in enumerate("ab")]
    assert [run.record().speed["pack"] for run in runs] == [2, 2]
    assert runs[0].record().notes == runs[1].record().notes
    assert [device.type for device in forgotten] == ["cpu"]  # the trial's memory is not the run's
    assert measured == [3]
    finished(world / "c", settings(batch_size=2, ipc=2))  # of another kind
    assert len(measured) == 2
    for kept in (world / "home" / "packs").iterdir():
        kept.write_text("[1, 2", encoding="utf-8")
    assert finished(world / "e", settings(batch_size=4)).record().speed["pack"] == 2
    assert len(measured) == 3


def test_what_the_settings_say_and_a_single_batch_are_not_measured(world, settings, measured) -> None:
    assert finished(world / "a", settings(batch_size=4, pack=1)).record().speed["pack"] == 1
    run = finished(world / "b", settings())
    assert run.record().speed["pack"] == 1
    assert not any("measured" in note for note in run.record().notes)
    assert measured == []
