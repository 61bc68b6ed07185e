"""How threads wait: by the load of the machine, and as the user says where the user says something."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from delt_engine import threads


@pytest.fixture
def four_cores(monkeypatch) -> None:
    monkeypatch.setattr(threads.sys, "platform", "linux")
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _process: {0, 1, 2, 3}, raising=False)


@pytest.mark.parametrize(
    ("load", "wanted"),
    [
        (0.0, {"GOMP_SPINCOUNT": "10000"}),
        (1.99, {"GOMP_SPINCOUNT": "10000"}),
        (2.0, {"OMP_WAIT_POLICY": "PASSIVE"}),
        (40.0, {"OMP_WAIT_POLICY": "PASSIVE"}),
    ],
)
def test_threads_sleep_at_once_where_half_of_the_cores_are_busy(monkeypatch, four_cores, load, wanted) -> None:
    monkeypatch.setattr(threads.os, "getloadavg", lambda: (load, 0.0, 0.0))
    environment = {"HOME": "/"}
    threads.settle_waiting(environment)
    assert environment == {"HOME": "/", **wanted}


def test_threads_sleep_at_once_where_the_load_is_not_known(monkeypatch, four_cores) -> None:
    def unknown() -> None:
        raise OSError("no load")

    monkeypatch.setattr(threads.os, "getloadavg", unknown)
    environment: dict[str, str] = {}
    threads.settle_waiting(environment)
    assert environment == {"OMP_WAIT_POLICY": "PASSIVE"}


def test_threads_sleep_at_once_where_torch_has_another_openmp(monkeypatch, four_cores) -> None:
    monkeypatch.setattr(threads.os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    monkeypatch.setattr(threads.sys, "platform", "darwin")
    environment: dict[str, str] = {}
    threads.settle_waiting(environment)
    assert environment == {"OMP_WAIT_POLICY": "PASSIVE"}


@pytest.mark.parametrize("given", [{"OMP_WAIT_POLICY": "ACTIVE"}, {"GOMP_SPINCOUNT": "0"}])
def test_what_the_user_has_chosen_stays(monkeypatch, four_cores, given) -> None:
    monkeypatch.setattr(threads.os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    environment = dict(given)
    threads.settle_waiting(environment)
    assert environment == given


def test_it_is_decided_without_loading_torch() -> None:
    code = "import sys, delt_engine.threads as w; w.settle_waiting({}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=dict(os.environ)).returncode == 0
