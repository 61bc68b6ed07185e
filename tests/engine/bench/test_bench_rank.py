"""The benchmark of ranking: both sides score the same, and its plain side is the formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from delt_engine.bench.cases import RankCase
from delt_engine.bench.rank import PlainImages, bench_rank, rank_as_published

CPU = torch.device("cpu")


@pytest.mark.parametrize(("is_files", "image_size"), [(False, 16), (True, 224)])
def test_both_sides_score_the_same(is_files, image_size):
    case = RankCase("small", "Small", image_size, 0.0625, 5, is_files)
    (result,) = bench_rank([case], quick=False, rounds=1, device=CPU)
    assert result.max_abs_diff < 1e-5
    assert result.ratio == pytest.approx(result.fast_rate / result.plain_rate)
    record = result.to_record()
    assert {"case", "plain_rate", "fast_rate", "ratio", "max_abs_diff"} <= record.keys()
    assert 0 < record["decode_percent"] + record["copy_percent"] + record["network_percent"] <= 100.3


def test_the_plain_side_is_the_softmax_of_the_label():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 3))
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    labels = np.array([0, 1, 2, 0, 1])
    found = rank_as_published(network, PlainImages(pixels, labels, 8, (0.5,) * 3, (0.25,) * 3), 2, CPU)
    images = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - 0.5) / 0.25
    expected = network(images).softmax(1)[torch.arange(5), torch.from_numpy(labels)]
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-5)
