"""How threads wait: by the load of the machine, and as the user says where the user says something."""

import pytest

from delt_engine import threads

SPINS, SLEEPS = {"GOMP_SPINCOUNT": "10000"}, {"OMP_WAIT_POLICY": "PASSIVE"}


@pytest.mark.parametrize(
    ("load", "platform", "given", "wanted"),
    [
        (0.0, "linux", {"HOME": "/"}, {"HOME": "/", **SPINS}),
        (1.99, "linux", {}, SPINS),
        (2.0, "linux", {}, SLEEPS),  # half of the cores are busy
        (None, "linux", {}, SLEEPS),  # the load is not known
        (0.0, "darwin", {}, SLEEPS),  # torch has another OpenMP there
        (0.0, "linux", {"OMP_WAIT_POLICY": "ACTIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}),
        (9.0, "linux", {"GOMP_SPINCOUNT": "0"}, {"GOMP_SPINCOUNT": "0"}),
    ],
)
def test_threads_sleep_at_once_where_cores_are_wanted_and_the_user_has_the_last_word(
    monkeypatch, load, platform, given, wanted
) -> None:
    def averages() -> tuple[float, float, float]:
        if load is None:
            raise OSError("no load")
        return load, 0.0, 0.0

    monkeypatch.setattr(threads.sys, "platform", platform)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda _process: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(threads.os, "getloadavg", averages)
    environment = dict(given)
    threads.set_thread_waiting(environment)
    assert environment == wanted
