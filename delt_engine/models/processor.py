"""The processor that results were computed on, and whether it computes bfloat16 quickly; torch-free.

oneDNN and PyTorch choose their code by what the processor can do, and by ``ONEDNN_MAX_CPU_ISA`` and
``ATEN_CPU_CAPABILITY`` if those ask for less. Without AVX-512-BF16 or AMX, bfloat16 is imitated: measured about 20
times slower than float32 (ResNet-18, 32 px, AVX2). Only Linux on x86 tells its instructions; elsewhere nothing is
claimed.

Source: the flags of /proc/cpuinfo; oneDNN's documentation of CPU dispatcher control.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

_CPUINFO = Path("/proc/cpuinfo")

_LEVELS = ("SSE4.1", "AVX", "AVX2", "AVX-512", "AVX-512 with bfloat16", "AVX-512 with bfloat16 and AMX")
_FLAGS = (("sse4_1",), ("avx",), ("avx2",), ("avx512f", "avx512bw"), ("avx512_bf16",), ("amx_bf16", "amx_tile"))
"""Flags of /proc/cpuinfo that a level needs beside those of the levels below."""

_BFLOAT16 = _LEVELS.index("AVX-512 with bfloat16")
_ONEDNN = {"SSE41": 0, "AVX": 1, "AVX2": 2, "AVX2_VNNI": 2, "AVX2_VNNI_2": 2, "AVX512_CORE": 3, "AVX512_CORE_VNNI": 3}
_ONEDNN |= {"AVX512_CORE_BF16": 4, "AVX512_CORE_FP16": 4, "AVX10_1_512": 4}
_ATEN = {"default": 0, "avx2": 2}
"""Highest level that a value of the environment variable leaves; others leave all."""


@dataclass(frozen=True)
class Machine:
    """What a result was computed on."""

    processor: str
    instructions: str  # the best set that is used, as "AVX2" or "AVX-512 with bfloat16"; empty if unknown
    torch: str  # its version
    threads: int | None = None  # of a computation; None where it was not asked

    def to_record(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    def __str__(self) -> str:
        """Return it in one line.

        >>> str(Machine("AMD EPYC 9B14", "AVX2", "2.14.1", 2))
        'AMD EPYC 9B14 (AVX2), torch 2.14.1, 2 threads'
        """
        name = f"{self.processor} ({self.instructions})" if self.instructions else self.processor
        return f"{name}, torch {self.torch}" + (f", {self.threads} threads" if self.threads else "")


def this_machine(threads: int | None = None) -> Machine:
    """Return what this process computes on."""
    try:
        torch_version = metadata.version("torch")
    except metadata.PackageNotFoundError:
        torch_version = "not installed"
    found = re.search(r"^model name\s*:\s*(.+)$", _cpuinfo(), re.MULTILINE)
    name = found.group(1).strip() if found else platform.processor() or platform.machine() or "unknown"
    return Machine(name, instruction_set(), torch_version, threads)


def instruction_set(environment: Mapping[str, str] = os.environ) -> str:
    """Return the best instruction set that is there and that the environment allows; empty where nothing tells it."""
    level = _level(environment)
    return "" if level is None else _LEVELS[level]


def has_slow_bfloat16(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether this processor is known to imitate bfloat16."""
    level = _level(environment)
    return level is not None and level < _BFLOAT16


def bfloat16_warning(precision: str, device: str) -> str:
    """Return a sentence for a run that asks for bfloat16 on a processor that imitates it; empty for others.

    ``auto`` never is bfloat16 on a CPU.
    """
    if precision != "bfloat16" or device != "cpu" or not has_slow_bfloat16():
        return ""
    return (
        f"bfloat16 is about 20 times slower than float32 on this processor ({instruction_set()}), which has no "
        "instructions for it; take precision auto or float32."
    )


@cache
def _cpuinfo() -> str:
    try:
        return _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _level(environment: Mapping[str, str]) -> int | None:
    found = re.search(r"^flags\s*:\s*(.+)$", _cpuinfo(), re.MULTILINE)
    if not found:
        return None
    flags, level = set(found.group(1).split()), 0
    while level + 1 < len(_LEVELS) and flags.issuperset(_FLAGS[level + 1]):
        level += 1
    for name, levels in (("ONEDNN_MAX_CPU_ISA", _ONEDNN), ("ATEN_CPU_CAPABILITY", _ATEN)):
        asked = environment.get(name, "")
        level = min(level, levels.get(asked, levels.get(asked.upper(), level)))
    return level
