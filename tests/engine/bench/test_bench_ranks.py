"""The measurement of ranks: taken in turns, told as medians of ratios, with the images compared."""

from types import SimpleNamespace

import pytest
from fake_runs import fake_experiment

from delt_engine.bench import ranks
from delt_engine.errors import RunError
from delt_engine.runs.store import Run


def test_rates_are_medians_of_turns_and_images_are_compared(tmp_path, monkeypatch) -> None:
    rates = {"0-1": 100.0, "0-2": 190.0, "1-1": 50.0, "1-2": 110.0, "2-1": 100.0, "2-2": 150.0}
    taken = []

    def run(out, size, of, device, quick) -> Run:
        taken.append(out.name)
        made = Run.create(out, fake_experiment())
        made.update(image_iterations_per_second=rates[out.name])
        (out / "images" / "cat").mkdir(parents=True)
        (out / "images" / "cat" / "0000.png").write_bytes(b"odd" if out.name == odd else b"same")
        return made

    monkeypatch.setattr(ranks, "_run", run)
    told = []
    for folder, odd in (("a", ""), ("b", "1-2")):
        result = ranks.bench_ranks(
            2, tmp_path / folder, device="cpu", rounds=3, quick=True, report=lambda *done: told.append(done)
        )
        assert result.figures["same_images"] is not bool(odd)
    assert taken[:6] == list(rates)
    record = result.to_record()
    assert (record["one_rate"], record["rate"], record["ratio"]) == (100.0, 150.0, 1.9)
    assert record["case"] == "ranks-2"
    assert told[3] == ("measure", 3, 3)


def test_each_rank_has_one_thread_and_a_run_that_fails_is_told(tmp_path, monkeypatch) -> None:
    def started(words, **options) -> SimpleNamespace:
        assert options["OMP_NUM_THREADS"] == "1"
        assert words[:2] == ["delt_engine", "recover"]
        return SimpleNamespace(returncode=2, communicate=lambda: (b"", b"first\nError: out: it is a file.\n"))

    monkeypatch.setattr(ranks, "start", started)
    with pytest.raises(RunError, match="the run with 1 ranks failed: Error: out: it is a file."):
        ranks.bench_ranks(2, tmp_path, device="cpu", rounds=1, quick=True, report=lambda *_: None)
