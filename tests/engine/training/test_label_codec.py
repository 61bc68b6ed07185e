from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from delt_engine.config.students import RelabelConfig
from delt_engine.errors import ConfigError
from delt_engine.training.label_codec import Basis, LabelCodec

T = 20.0


def logits(count: int = 64, num_classes: int = 50, spread: float = 4.0) -> torch.Tensor:
    return spread * torch.randn(count, num_classes, generator=torch.Generator().manual_seed(0)) + 3


def codec(form: str, top_k: int = 0, num_classes: int = 50) -> LabelCodec:
    return LabelCodec.of(RelabelConfig(form=form, top_k=top_k), num_classes, T)


def log_probs(values: torch.Tensor) -> torch.Tensor:
    return torch.log_softmax(values.double() / T, dim=1)


@pytest.mark.parametrize("form", ["float32", "float16", "uint8"])
@pytest.mark.parametrize("top_k", [0, 1, 5, 49, 50, 1000])
@pytest.mark.parametrize("num_classes", [50, 300])
def test_arrays_are_those_of_the_spec(form, top_k, num_classes):
    own = codec(form, top_k, num_classes)
    given = logits(7, num_classes)
    arrays = own.encode(given)
    assert {name: (array.dtype, array.shape) for name, array in arrays.items()} == own.spec(7)
    assert own.decode(arrays).shape == (7, num_classes)
    assert own.decode(arrays).dtype == torch.float32


def test_float32_keeps_every_bit():
    given = logits()
    assert torch.equal(codec("float32").decode(codec("float32").encode(given)), given)


def test_float16_rounds_each_logit():
    given = logits()
    assert torch.equal(codec("float16").decode(codec("float16").encode(given)), given.half().float())


@pytest.mark.parametrize("form", ["float32", "uint8"])
@pytest.mark.parametrize("top_k", [1, 5, 49])
def test_the_kept_are_the_most_probable_and_the_rest_shares_what_they_leave(form, top_k):
    given, own = logits(), codec(form, top_k)
    wanted, found = log_probs(given), log_probs(own.decode(own.encode(given)))
    order = given.argsort(dim=1, descending=True)
    kept, others = order[:, :top_k], order[:, top_k:]
    mass = wanted.gather(1, others).exp().sum(dim=1) / (50 - top_k)
    bound = 2e-6 if form == "float32" else (given.max() - given.min()).item() / (255 * T)
    assert (found.gather(1, kept) - wanted.gather(1, kept)).abs().max() <= bound
    assert (found.gather(1, others) - mass.log()[:, None]).abs().max() <= bound
    assert found.exp().sum(dim=1).numpy() == pytest.approx(1)


@pytest.mark.parametrize("top_k", [0, 10])
def test_the_documented_bound_of_8_bits_holds_for_every_label(top_k):
    given, own = logits(2000), codec("uint8", top_k)
    arrays = own.encode(given)
    scale = torch.from_numpy(arrays["scale"].astype(np.float64))[:, None]
    found = own.decode(arrays)
    kept = given.argsort(dim=1, descending=True)[:, : top_k or 50]
    shift = (given.amax(dim=1) - found.amax(dim=1))[:, None]
    assert ((found + shift - given).gather(1, kept).abs() <= 0.501 * scale).all()
    off = (log_probs(found) - log_probs(given)).gather(1, kept).abs()
    assert (off <= scale / T).all()
    assert off.max() > 0.1 * scale.min() / T  # the bound is not an idle one


def test_8_bits_by_hand():
    """Top 4, then 2, and three classes of 0 that share code 255: scale 4 / 255."""
    given = torch.tensor([[0.0, 4.0, 0.0, 2.0, 0.0]])
    own = codec("uint8", 2, num_classes=5)
    arrays = own.encode(given)
    assert arrays["classes"].tolist() == [[1, 3]]
    assert arrays["codes"].tolist() == [[127]] or arrays["codes"].tolist() == [[128]]  # 127.5 steps below the top
    assert arrays["top"].tolist() == [4.0]
    assert arrays["scale"][0] == np.float16(4 / 255)
    found = own.decode(arrays)[0].tolist()
    assert found == pytest.approx([0, 4, 0, 2, 0], abs=0.009)


def test_bytes_of_a_label_of_100_classes():
    spec = codec("uint8", 8, num_classes=100).spec(1)
    assert {name: dtype.itemsize * math.prod(shape) for name, (dtype, shape) in spec.items()} == {
        "classes": 8,
        "codes": 7,
        "top": 2,
        "scale": 2,
    }
    assert codec("uint8", 8, num_classes=257).spec(1)["classes"][0] == np.uint16


@pytest.mark.parametrize("form", ["float16", "uint8"])
def test_labels_without_a_difference_and_huge_ones_stay_finite(form):
    own = codec(form, 5)
    assert torch.equal(own.decode(own.encode(torch.full((2, 50), 1.5))), torch.full((2, 50), 1.5))
    wild = torch.zeros(1, 50)
    wild[0, 3] = 1e6
    found = own.decode(own.encode(wild))
    assert found.isfinite().all()
    assert found.argmax() == 3


def in_few_directions(count: int = 400, num_classes: int = 50, rank: int = 6) -> torch.Tensor:
    """Labels that differ in ``rank`` directions, with some noise in all of them."""
    chance = torch.Generator().manual_seed(1)
    places = torch.randn(count, rank, generator=chance) * torch.tensor([9.0, 7.0, 5.0, 4.0, 3.0, 2.0])
    directions = torch.randn(rank, num_classes, generator=chance)
    noise = 0.01 * torch.randn(count, num_classes, generator=chance)
    return places @ directions + noise + 5 + torch.arange(count)[:, None] % 3


def reduced(form: str, directions: int, given: torch.Tensor) -> LabelCodec:
    own = LabelCodec.of(RelabelConfig(form=form, directions=directions), given.shape[1], T)
    return replace(own, basis=Basis.of(given, own.directions))


def test_directions_are_those_of_most_variance():
    given = in_few_directions()
    basis = Basis.of(given, 6)
    assert torch.allclose(basis.directions @ basis.directions.T, torch.eye(6), atol=1e-5)
    centred = given - given.mean(dim=1, keepdim=True)
    assert torch.allclose(basis.centre, centred.mean(dim=0), atol=1e-5)
    wanted = torch.linalg.svd((centred - centred.mean(dim=0)).double(), full_matrices=False).Vh[:6].float()
    assert torch.allclose((basis.directions * wanted).sum(dim=1).abs(), torch.ones(6), atol=1e-4)


@pytest.mark.parametrize("form", ["float32", "float16", "uint8"])
def test_labels_in_few_directions_are_kept_by_as_many(form):
    given = in_few_directions()
    own = reduced(form, 6, given)
    arrays = own.encode(given)
    assert {name: (array.dtype, array.shape) for name, array in arrays.items()} == own.spec(400)
    off = own.decode(arrays) - given
    lost = 0.01 * 6  # the noise
    if form == "uint8":
        scale = torch.from_numpy(arrays["scale"].astype(np.float32))
        assert (off.norm(dim=1) <= scale / 2 * 6**0.5 + lost * 50**0.5).all()
    else:
        assert off.abs().max() < lost + (0.05 if form == "float16" else 0)
    fewer = reduced(form, 2, given)
    assert (fewer.decode(fewer.encode(given)) - given).abs().mean() > 5 * off.abs().mean()


def test_bytes_of_16_directions():
    spec = LabelCodec.of(RelabelConfig(form="uint8", directions=16), 100, T).spec(1)
    assert sum(dtype.itemsize * math.prod(shape) for dtype, shape in spec.values()) == 20
    assert LabelCodec.of(RelabelConfig(directions=500), 100, T).directions == 100


def test_a_label_is_reduced_in_one_way():
    with pytest.raises(ConfigError, match="directions: 4 given together with top_k 3"):
        RelabelConfig(top_k=3, directions=4)
