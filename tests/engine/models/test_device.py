import os
import subprocess
import sys

import numpy as np
import psutil
import pytest
import torch
from torch import nn

from delt_engine.errors import ConfigError
from delt_engine.models import device as module
from delt_engine.models.device import (
    device_names,
    forget_peak,
    free_reserve,
    is_out_of_memory,
    memory_format,
    peak_memory,
    pick_device,
)
from delt_engine.models.networks import build_network

CPU = torch.device("cpu")


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def test_auto_takes_cuda_and_then_mps(two_gpus, monkeypatch):
    assert device_names() == ("cuda:0", "cuda:1", "cpu")
    assert pick_device("auto") == torch.device("cuda:0")
    assert pick_device("cuda") == torch.device("cuda")
    assert pick_device("cuda:1") == torch.device("cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device("auto") == torch.device("mps")
    assert pick_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:2", "mps", "gpu", "CPU", ""])
def test_absent_or_unknown_is_one_sentence(two_gpus, name):
    with pytest.raises(ConfigError, match=rf"device: '{name}' given, .* one of auto, cuda:0, cuda:1, cpu\.$"):
        pick_device(name)


NARROW = nn.Conv2d(4, 8, 1, stride=2)


@pytest.mark.parametrize(
    ("network", "device", "is_channels_last"),
    [
        (NARROW, "cpu", False),
        (nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(NARROW)), "cpu", False),
        (nn.Conv2d(4, 8, 1, stride=(1, 3)), "cpu", False),
        (NARROW, "cuda", True),
        (NARROW, "mps", False),
        (nn.Conv2d(8, 8, 1, stride=2), "cpu", True),
        (nn.Conv2d(4, 8, 1), "cpu", True),
        (nn.Conv2d(4, 8, 3, stride=2), "cpu", True),
        (nn.Conv2d(4, 4, 1, stride=2, groups=4), "cpu", True),
        (nn.Conv2d(64, 64, 3), "mps", False),
        *((build_network("resnet18", 10, width=width), "cpu", True) for width in (0.125, 0.25, 1.0)),
    ],
)
def test_networks_that_a_processor_computes_wrong_channels_last_are_not(network, device, is_channels_last):
    expected = torch.channels_last if is_channels_last else torch.contiguous_format
    assert memory_format(network, torch.device(device)) is expected


TRAINED = """
import torch
from delt_engine.models.device import memory_format
torch.set_num_threads(1)
torch.manual_seed(0)
layer = torch.nn.Conv2d(4, 8, 1, stride=2)
order = memory_format(layer, torch.device("cpu"))
layer, images = layer.to(memory_format=order), torch.randn(16, 4, 8, 8).contiguous(memory_format=order)
exact = torch.autograd.grad((images[:, :, ::2, ::2].requires_grad_().permute(0, 2, 3, 1) @ layer.weight[:, :, 0, 0].T
    + layer.bias).square().sum(), layer.weight)[0]
for _ in range(60):
    layer.zero_grad()
    layer(images.clone().requires_grad_()).square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, exact)
"""


def test_a_narrow_network_is_trained_right_on_every_processor():
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    done = subprocess.run([sys.executable, "-c", TRAINED], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]


def test_the_peak_stays_when_memory_is_given_back():
    before = peak_memory(CPU)
    block = np.ones(60 * 2**20, np.uint8)
    during = psutil.Process().memory_info().rss
    del block
    assert peak_memory(CPU) >= max(before, during - 2**20)
    assert peak_memory(CPU) > 60 * 2**20


def test_the_peak_of_a_gpu_begins_anew_after_a_trial(monkeypatch):
    done = []
    monkeypatch.setattr(module, "free_reserve", lambda device: done.append(("free", device.type)))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: done.append(("reset", device.type)))
    forget_peak(torch.device("cuda"))
    forget_peak(CPU)
    assert done == [("free", "cuda"), ("reset", "cuda"), ("free", "cpu")]


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)."), True),
        (
            RuntimeError("alloc_cpu.cpp:118 err == 0. DefaultCPUAllocator: can't allocate memory"),
            True,
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 400 bytes."), True),
        (MemoryError(), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("memory"), False),
    ],
)
def test_errors_about_memory_are_told_from_others(error, is_memory):
    assert is_out_of_memory(error) is is_memory


def test_the_real_allocator_of_a_cpu_is_understood():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    free_reserve(CPU)
