import pytest

from delt_engine.models import processor
from delt_engine.models.processor import bfloat16_warning, has_slow_bfloat16, instruction_set, this_machine

AVX2 = "sse4_1 avx avx2"
AVX512 = f"{AVX2} avx512f avx512bw"
BF16 = f"{AVX512} avx512_bf16"
AMX = f"{BF16} amx_bf16 amx_tile"


@pytest.fixture
def with_flags(monkeypatch):
    def use(flags: str) -> None:
        monkeypatch.setattr(processor, "_cpuinfo", lambda: f"model name\t: Some CPU @ 2 GHz\nflags\t\t: fpu {flags}\n")

    for name in ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"):
        monkeypatch.delenv(name, raising=False)
    return use


@pytest.mark.parametrize(
    ("flags", "environment", "instructions", "is_slow"),
    [
        ("sse4_1", {}, "SSE4.1", True),
        (AVX2, {}, "AVX2", True),
        (AVX512, {}, "AVX-512", True),
        (BF16, {}, "AVX-512 with bfloat16", False),
        (AMX, {}, "AVX-512 with bfloat16 and AMX", False),
        (AMX, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}, "AVX-512 with bfloat16", False),
        (AMX, {"ONEDNN_MAX_CPU_ISA": "avx2"}, "AVX2", True),
        (AMX, {"ONEDNN_MAX_CPU_ISA": "DEFAULT"}, "AVX-512 with bfloat16 and AMX", False),
        (BF16, {"ATEN_CPU_CAPABILITY": "avx2"}, "AVX2", True),
        (AVX2, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, "AVX2", True),
    ],
)
def test_the_lower_of_processor_and_environment_counts(with_flags, flags, environment, instructions, is_slow):
    with_flags(flags)
    assert instruction_set(environment) == instructions
    assert has_slow_bfloat16(environment) is is_slow


def test_a_run_in_imitated_bfloat16_is_warned(with_flags):
    with_flags(AVX2)
    assert "bfloat16 is about 20 times slower than float32 on this processor (AVX2)" in bfloat16_warning(
        "bfloat16", "cpu"
    )
    assert [bfloat16_warning(*asked) for asked in (("auto", "cpu"), ("float32", "cpu"), ("bfloat16", "cuda:0"))] == [
        "",
        "",
        "",
    ]
    with_flags(BF16)
    assert bfloat16_warning("bfloat16", "cpu") == ""


def test_nothing_is_claimed_of_a_processor_that_tells_nothing(monkeypatch):
    monkeypatch.setattr(processor, "_cpuinfo", lambda: "")
    assert (instruction_set({}), has_slow_bfloat16({})) == ("", False)
    assert this_machine(2).processor


def test_what_a_result_was_computed_on(with_flags):
    with_flags(AVX2)
    found = this_machine(2).to_record()
    assert list(found) == ["processor", "instructions", "torch", "threads"]
    assert (found["processor"], found["instructions"], found["threads"]) == ("Some CPU @ 2 GHz", "AVX2", 2)
