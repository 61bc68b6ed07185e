"""What all tests share: a home of their own for runs, caches and locks, so that nothing of the user is touched."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest

_HOME = tempfile.TemporaryDirectory(prefix="delt-tests-")
os.environ["DELT_HOME"] = _HOME.name
os.environ.pop("DELT_RUNS", None)
os.environ["DELT_WARM"] = "0"  # no page of a test loads torch in advance; test_warm.py turns it on
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # tests share their cores with servers and browsers


@pytest.fixture
def one_thread() -> Iterator[None]:
    """What runs in this process computes as each rank does: sums of several threads may differ in their last bits."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
