"""FKD's labels: replayed as published code does they give the teacher's logits again; nothing pickled is run."""

import numpy as np
import pytest
import torch
from tiny_data import tiny_dataset
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from delt_engine.data.pixels import normalise, to_pixels
from delt_engine.errors import DataError
from delt_engine.training.fkd_labels import fkd_batch_size, fkd_order, fkd_path, read_fkd, write_fkd
from delt_engine.training.image_table import real


@pytest.fixture
def table():
    return real(tiny_dataset(train=3))  # 9 images of 8 px


@pytest.fixture
def teacher():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 3)).eval().requires_grad_(False)


@pytest.mark.parametrize("mix", ["cutmix", "mixup", "none"])
def test_a_replay_in_plain_words_gives_the_same_logits(table, teacher, tmp_path, mix):
    assert list(write_fkd(tmp_path, table, teacher, epochs=2, batch_size=5, mix=mix, is_half=False)) == [1, 2]
    loader = DataLoader(range(9), batch_size=5, sampler=RandomSampler(range(9), generator=seeded()))
    images = normalise(to_pixels(table.image_u8), table.mean, table.std)
    for epoch in range(2):
        for number, indices in enumerate(loader):
            found = read_fkd(fkd_path(tmp_path, epoch, number))
            shown = torch.stack(
                [crop(images[i], *at) for i, *at in zip(indices, found.crops, found.flips, strict=True)]
            )
            if mix == "cutmix":
                top, left, bottom, right = found.box
                mixed = shown.clone()
                mixed[:, :, top:bottom, left:right] = shown[found.partner, :, top:bottom, left:right]
                shown = mixed
            elif mix == "mixup":
                shown = found.share * shown + (1 - found.share) * shown[found.partner]
            assert torch.allclose(teacher(shown), found.logits, atol=1e-3)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(42)


def crop(image: torch.Tensor, box: torch.Tensor, flip: torch.Tensor) -> torch.Tensor:
    top, left, height, width = (box * 8).round().int().tolist()
    part = image[None, :, top : top + height, left : left + width]
    part = nn.functional.interpolate(part, (8, 8), mode="bilinear", align_corners=False)[0]
    return part.flip(-1) if flip else part


def test_the_order_is_that_of_published_code():
    sampler = BatchSampler(RandomSampler(range(7), generator=seeded()), 3, drop_last=False)
    ours = fkd_order(7, 3)
    assert [next(ours), next(ours)] == [list(sampler), list(sampler)]
    assert fkd_batch_size(9, most=4) == 3  # 4 + 4 + 1 would leave one alone


def test_numbers_of_numpy_are_read_and_code_is_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path, two = tmp_path / "batch_0.tar", torch.zeros(2, 4)
    parts = [two, torch.tensor([True, False]), torch.tensor([1, 0]), np.float64(0.25), [np.int64(1)] * 4, two]
    torch.save(parts, path)
    before = set(torch.serialization.get_safe_globals())
    found = read_fkd(path)
    assert (found.share, found.box, found.flips.tolist()) == (0.25, (1, 1, 1, 1), [True, False])
    assert set(torch.serialization.get_safe_globals()) == before

    torch.save([*parts[:5], Evil()], path)
    with pytest.raises(DataError, match="holds code or objects, which are not loaded"):
        read_fkd(path)
    assert not (tmp_path / "ran.txt").exists()


class Evil:
    def __reduce__(self):
        return open, ("ran.txt", "w")


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ([1, 2], "holds no batch of FKD"),
        ([torch.zeros(2, 4), torch.zeros(3), None, None, None, torch.zeros(2, 3)], "different numbers of images"),
        ([torch.zeros(2, 4), torch.zeros(2), None, None, [1, 2], torch.zeros(2, 3)], "a box of 2 numbers"),
    ],
)
def test_other_content_is_a_sentence(tmp_path, parts, sentence):
    torch.save(parts, tmp_path / "x.tar")
    with pytest.raises(DataError, match=sentence):
        read_fkd(tmp_path / "x.tar")
    with pytest.raises(DataError, match="does not exist"):
        read_fkd(tmp_path / "y.tar")
