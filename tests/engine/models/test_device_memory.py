from __future__ import annotations

import numpy as np
import psutil
import torch

from delt_engine.models import device_memory as memory
from delt_engine.models.device_memory import peak_memory

CPU = torch.device("cpu")


def test_the_peak_stays_when_memory_is_given_back() -> None:
    before = peak_memory(CPU)
    block = np.ones(60 * 2**20, np.uint8)
    during = psutil.Process().memory_info().rss
    del block
    assert peak_memory(CPU) >= max(before, during - 2**20)
    assert peak_memory(CPU) > 60 * 2**20


def test_the_peak_of_a_gpu_begins_anew_after_a_trial(monkeypatch) -> None:
    done = []
    monkeypatch.setattr(memory, "free_reserve", lambda device: done.append(("free", device.type)))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: done.append(("reset", device.type)))
    memory.forget_peak(torch.device("cuda"))
    memory.forget_peak(CPU)
    assert done == [("free", "cuda"), ("reset", "cuda"), ("free", "cpu")]


def test_without_a_kept_peak_it_is_what_is_used_now(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "none")
    assert peak_memory(CPU) > 2**20
