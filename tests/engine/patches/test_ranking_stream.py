"""Streaming: bounded memory, stopping and going on, processes, out of memory, and where the time went."""

import weakref

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_ranking import SIZE, dataset_of, make_dataset, make_teacher, steps_of

from delt_engine.config import RankConfig
from delt_engine.data.dataset import ArrayImages, Dataset
from delt_engine.data.folder import FileImages
from delt_engine.errors import DataError, RunError
from delt_engine.patches.ranking import rank
from delt_engine.patches.scoring import RankTiming


def ranked(dataset, config, teacher=None, **more):
    *progress, result = steps_of(dataset, teacher, config, **more)
    return progress, result


class Counted(torch.nn.Module):
    """A network that counts the images it is given, and may run out of memory."""

    def __init__(self, most=None, error=None):
        super().__init__()
        self.network = make_teacher().network
        self.most, self.error, self.seen = most, error, []

    def forward(self, images):
        if self.most is not None and len(images) > self.most:
            raise self.error
        self.seen.append(len(images))
        return self.network(images)


@pytest.mark.parametrize("crops", [0, 3])
def test_a_ranking_that_was_stopped_goes_on_and_is_to_the_bit_what_it_would_have_been(tmp_path, crops):
    config, dataset = RankConfig(crops=crops, batch_size=4), make_dataset(native=(12, 9))
    _, whole = ranked(dataset, config)
    kept = tmp_path / "partial.npz"
    steps = rank(dataset, make_teacher(), config, seed=0, kept=kept)
    next(steps)
    next(steps)
    steps.close()
    network = Counted()
    progress, result = ranked(dataset, config, make_teacher(network=network), kept=kept)
    assert sum(network.seen) == len(whole) - 8, "what was scored is not scored again"
    assert progress[0].note == f"Going on with a ranking that was stopped: 8 of {len(whole)} patches are scored."
    np.testing.assert_array_equal(result.true_class_prob, whole.true_class_prob)
    np.testing.assert_array_equal(result.crop_box, whole.crop_box)
    assert not kept.exists(), "a whole ranking leaves nothing behind"


@pytest.mark.parametrize("change", ["damaged", "batch size", "teacher", "data"])
def test_scores_of_anything_else_are_not_taken(tmp_path, change):
    kept, config = tmp_path / "p.npz", RankConfig(batch_size=4)
    teacher, dataset = make_teacher(network=Counted()), make_dataset(native=(12, 9))
    steps = rank(dataset, teacher, config, seed=0, kept=kept)
    next(steps)
    steps.close()
    teacher.network.seen.clear()
    if change == "damaged":
        kept.write_bytes(kept.read_bytes()[:100])
    elif change == "batch size":
        config = RankConfig(batch_size=2)
    elif change == "teacher":
        teacher.card.fingerprint = "weights-2"
    else:
        dataset = Dataset(dataset.spec, dataset.train, dataset.train, fingerprint="data-2")
    ranked(dataset, config, teacher, kept=kept)
    assert sum(teacher.network.seen) == 11


class Endless(ArrayImages):
    """Many images that do not exist until they are read, and a count of the batches that are in memory."""

    def __init__(self, n):
        super().__init__(np.zeros((1, SIZE, SIZE, 3), np.uint8), np.arange(n) % 3, range(n), SIZE)
        self.alive, self.most = 0, 0

    def size(self, index):
        return SIZE, SIZE

    def pixels(self, indices):
        batch = np.zeros((len(indices), SIZE, SIZE, 3), np.uint8)
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(batch, self._drop)
        return batch

    def _drop(self):
        self.alive -= 1


def test_pixels_in_memory_do_not_grow_with_the_number_of_images():
    images = Endless(20_000)
    _, result = ranked(dataset_of(images), RankConfig(batch_size=250))
    assert len(result) == 20_000
    assert images.most <= 4
    assert images.alive == 0


def test_files_are_ranked_ahead_by_processes_or_a_thread_as_without_and_broken_ones_are_told_by_name(tmp_path):
    rng = np.random.default_rng(1)
    names = [f"{number}.png" for number in range(9)]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).save(tmp_path / name)
    dataset = dataset_of(FileImages(tmp_path, names, np.arange(9) % 3, np.full((9, 2), (12, 16)), SIZE))
    for config in (RankConfig(batch_size=4), RankConfig(batch_size=4, crops=2)):
        (*_, last), by_processes = ranked(dataset, config, workers=1)
        _, plain = ranked(dataset, config, reads_ahead=False)
        _, by_thread = ranked(dataset, config)
        assert last.timing.workers == 1
        for found in (by_processes, by_thread):
            np.testing.assert_array_equal(found.true_class_prob, plain.true_class_prob)
            np.testing.assert_array_equal(found.crop_box, plain.crop_box)
    (tmp_path / "5.png").write_bytes(b"")
    for how in ({"workers": 1}, {}, {"reads_ahead": False}):
        with pytest.raises(DataError, match=r"5\.png cannot be read any more \(the file is empty\)"):
            ranked(dataset, RankConfig(batch_size=4), **how)


@pytest.mark.parametrize(
    "error", [torch.cuda.OutOfMemoryError("CUDA out of memory."), RuntimeError("MPS backend out of memory")]
)
def test_out_of_memory_halves_the_batch_once_with_a_note_and_the_same_result(error):
    _, whole = ranked(make_dataset(native=(12, 9)), RankConfig(batch_size=6))
    network = Counted(most=3, error=error)
    progress, result = ranked(make_dataset(native=(12, 9)), RankConfig(batch_size=6), make_teacher(network=network))
    assert network.seen == [3, 3, 3, 2]
    notes = [item.note for item in progress if item.note]
    assert len(notes) == 1
    assert notes[0].startswith("Out of memory with 6 images at a time: going on with 3")
    np.testing.assert_allclose(result.true_class_prob, whole.true_class_prob, rtol=1e-6)


def test_out_of_memory_again_is_told_and_other_errors_are_left_alone():
    again = make_teacher(network=Counted(most=2, error=RuntimeError("CUDA out of memory.")))
    with pytest.raises(RunError, match="out of memory also with 3 images at a time; give a smaller --rank-batch-size"):
        ranked(make_dataset(native=(12, 9)), RankConfig(batch_size=6), again)
    other = make_teacher(network=Counted(most=2, error=RuntimeError("sizes do not match")))
    with pytest.raises(RuntimeError, match="sizes do not match"):
        ranked(make_dataset(native=(12, 9)), RankConfig(batch_size=6), other)


def test_the_last_progress_tells_where_the_time_went():
    progress, _ = ranked(make_dataset(native=(12, 9)), RankConfig(batch_size=4))
    assert [item.timing is None for item in progress] == [True, True, False]
    timing = progress[-1].timing
    assert timing.patches == 11
    assert 0 < timing.decode_s + timing.copy_s + timing.network_s <= timing.seconds
    record = RankTiming(4.0, 100, 1.0, 0.5, 2.0, 0).to_record()
    assert record["patches_per_second"] == 25.0
    assert [record[f"{part}_percent"] for part in ("decode", "copy", "network")] == [25.0, 12.5, 50.0]
