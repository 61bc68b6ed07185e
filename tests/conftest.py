"""What all tests share: a home of their own for runs, caches and locks, so that nothing of the user is touched."""

from __future__ import annotations

import os
import tempfile

_HOME = tempfile.TemporaryDirectory(prefix="delt-tests-")
os.environ["DELT_HOME"] = _HOME.name
os.environ.pop("DELT_RUNS", None)
os.environ["DELT_WARM"] = "0"  # no page of a test loads torch in advance; test_warm.py turns it on
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # tests share their cores with servers and browsers
