"""Batches that are augmented together are those of each by itself, in order, on any device's terms."""

import pytest
import torch

from delt_engine.training import shown_batches
from delt_engine.training.augmentation import DeviceImages, augmented, mixed, unmixed
from delt_engine.training.distributed import ALONE, Team
from delt_engine.training.draws import ImageDraws, draw_epoch
from delt_engine.training.relabel import TeacherLabels
from delt_engine.training.shown_batches import ShownBatches
from delt_engine.training.students import TrainedEpoch, evaluate
from tests.tiny_students import TEST, TRAIN, ColourTeacher, config, same

CPU = torch.device("cpu")
SETTINGS = config(augmented=True, epochs=3, batch_size=10, cutout=0.25)  # 24 images: batches of 10, 10 and 4


class NotedLabels(TeacherLabels):
    """Notes which batches are labelled; with ``stored`` also gives the draws, as a store does, and notes the epochs."""

    def __init__(self, *, stored: bool) -> None:
        super().__init__(ColourTeacher())
        self.asked, self.stored = [], stored

    def draws(self, epoch):
        if not self.stored:
            return None
        self.asked.append(("draws", epoch))
        return draw_epoch(SETTINGS, len(TRAIN), TRAIN.image_size, seed=7, epoch=epoch)

    def soft_logits(self, epoch, batch_number, images, rows=slice(None)):
        self.asked.append((epoch, batch_number))
        return super().soft_logits(epoch, batch_number, images, rows)


LABELS = NotedLabels(stored=False)


def shown(monkeypatch, ahead, labels=LABELS, team=ALONE, epoch=1, settings=SETTINGS):
    monkeypatch.setattr(shown_batches, "images_ahead", lambda *_: ahead)
    batches = ShownBatches(TRAIN, DeviceImages(TRAIN, CPU), settings, 7, labels, team, torch.channels_last)
    return list(batches.from_epoch(epoch))


def equal(first, second) -> bool:
    parts = [
        (one, other)
        for one, other in zip((first.images, *first.target[:3]), (second.images, *second.target[:3]), strict=True)
        if one is not None or other is not None
    ]
    rest = [(one.target[3], one.count, one.dropout_seed) for one in (first, second)]
    return all(torch.equal(one, other) for one, other in parts) and rest[0] == rest[1]


@pytest.mark.parametrize(
    ("ahead", "sizes"),
    [
        (1, [10, 10, 4] * 3),
        (24, [24] * 3),
        (30, [34, 34, 4]),  # into the next epoch, and the rest
        (1000, [72]),
    ],
)
def test_as_many_images_are_augmented_together_as_are_asked_for(monkeypatch, ahead, sizes) -> None:
    found = []

    def noted(image_u8, *rest):
        found.append(len(image_u8))
        return unmixed(image_u8, *rest)

    monkeypatch.setattr(shown_batches, "unmixed", noted)
    shown(monkeypatch, ahead)
    assert found == sizes


@pytest.mark.parametrize("changes", [{"mix": "mixup"}, {"labels": "hard", "loss": "ce"}, {"batch_size": 23}])
def test_so_are_batches_of_other_mixes_and_labels(monkeypatch, changes) -> None:
    settings = SETTINGS.replace(**changes)
    labels = None if "labels" in changes else LABELS
    alone, together = (shown(monkeypatch, ahead, labels, settings=settings) for ahead in (1, 1000))
    assert all(equal(one, other) for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize("ahead", [11, 24, 1000])
def test_batches_are_the_same_however_many_are_augmented_together(monkeypatch, ahead) -> None:
    alone, together = shown(monkeypatch, 1), shown(monkeypatch, ahead)
    assert [batch.count for batch in alone] == [10, 10, 4] * 3
    assert all(equal(one, other) for one, other in zip(alone, together, strict=True))
    later = shown(monkeypatch, ahead, epoch=3)
    assert all(equal(one, other) for one, other in zip(alone[6:], later, strict=True))


def test_a_batch_is_what_augmented_gives_and_its_labels_are_of_the_mixed_images(monkeypatch) -> None:
    (batch, *_), teacher = shown(monkeypatch, 1000), ColourTeacher().eval()
    draws = draw_epoch(SETTINGS, len(TRAIN), TRAIN.image_size, seed=7, epoch=1).batch(0, 10)
    image_u8 = torch.from_numpy(TRAIN.image_u8)[draws.order]
    expected = augmented(image_u8, draws, SETTINGS, TRAIN.mean, TRAIN.std)
    apart = unmixed(image_u8, draws, SETTINGS, TRAIN.mean, TRAIN.std)
    assert torch.equal(batch.images, expected)
    assert torch.equal(mixed(apart, SETTINGS.mix, draws.share, draws.box, draws.partner), expected)
    assert not torch.equal(apart, expected)
    soft, classes, partners, share = batch.target
    labels = torch.from_numpy(TRAIN.labels)[draws.order]
    torch.testing.assert_close(soft, teacher(expected).detach(), rtol=1e-5, atol=1e-4)
    assert torch.equal(classes, labels)
    assert torch.equal(partners, labels[draws.partner])
    assert share == draws.share


def test_a_rank_takes_its_rows_of_every_batch(monkeypatch) -> None:
    whole = shown(monkeypatch, 24)
    halves = [shown(monkeypatch, 24, team=Team(number, 2)) for number in range(2)]
    for batch, first, second in zip(whole, *halves, strict=True):
        assert torch.equal(torch.cat([first.images, second.images]), batch.images)
        assert first.count == second.count == batch.count


def test_a_store_is_read_an_epoch_at_a_time(monkeypatch) -> None:
    labels = NotedLabels(stored=True)
    shown(monkeypatch, 1000, labels)
    assert labels.asked == [each for epoch in (1, 2, 3) for each in (("draws", epoch), *((epoch, n) for n in range(3)))]


def test_no_tiles_and_no_cutouts_stay_none() -> None:
    plain = config(augmented=True)
    parts = list(draw_epoch(plain, 16, 8, seed=0, epoch=1).batches(8))
    joined = ImageDraws.joined(parts)
    assert (joined.tiles, joined.cutout, len(joined)) == (None, None, 16)
    assert torch.equal(joined.crop, torch.cat([part.crop for part in parts]))


@pytest.mark.parametrize("stop", [1, 2])
def test_a_student_that_goes_on_is_the_one_that_was_not_stopped(monkeypatch, stop) -> None:
    monkeypatch.setattr(shown_batches, "images_ahead", lambda *_: 30)

    def states(state=None):
        records = evaluate(TRAIN, TEST, ColourTeacher(), SETTINGS, seed=1, device="cpu", state=state)
        return [record.state for record in records if isinstance(record, TrainedEpoch)]

    whole = states()
    rest = states(whole[stop - 1])
    assert len(rest) == 3 - stop
    assert same(rest[-1], whole[-1])
