from __future__ import annotations

import pytest
import torch

from delt_engine.errors import ConfigError
from delt_engine.models.device import device_names, pick_device


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def apple(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)


def test_auto_takes_cuda_first(two_gpus):
    assert device_names() == ("cuda:0", "cuda:1", "cpu")
    assert pick_device("auto") == torch.device("cuda:0")
    assert pick_device("cuda") == torch.device("cuda")
    assert pick_device("cuda:1") == torch.device("cuda:1")


def test_auto_takes_mps_next(apple):
    assert pick_device("auto") == torch.device("mps")
    assert pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:2", "mps", "gpu", "CPU", ""])
def test_absent_or_unknown_is_one_sentence(two_gpus, name):
    with pytest.raises(ConfigError, match=rf"device: '{name}' given, .* one of auto, cuda:0, cuda:1, cpu\.$"):
        pick_device(name)
