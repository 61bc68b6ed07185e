"""What a visitor of a shared server may do: which paths a visitor may name, and whether anything may be changed.

Whoever types commands on a machine owns it and may name any path. A server that others reach sets ``DELT_SHARED``,
which the processes that it starts inherit: from then on only folders that hold datasets, runs and teachers can be
named, links and ``..`` followed. Whether the visitor at hand may start, delete or upload is asked of a guard that the
app sets.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from delt_engine.errors import AccessError, DeltError
from delt_engine.paths import assets_dir, cache_dir, data_dirs, expanded, home, labels_dir, runs_dir, teachers_dir

SWITCH = "DELT_SHARED"
"""Environment variable that says that others reach this server, when it is ``1``."""

_guard: Callable[[str], None] | None = None


def is_shared() -> bool:
    """Return whether paths are named by visitors, not by the owner alone."""
    return os.environ.get(SWITCH, "").strip().lower() in ("1", "true", "yes", "on")


def share() -> None:
    """Take whoever names a path for a visitor, in this process and in those that it starts."""
    os.environ[SWITCH] = "1"


def roots() -> tuple[Path, ...]:
    """Return the folders that visitors may name, with all that is in them: those of ``DELT_DATA``, and our own."""
    here = (home() / name for name in ("datasets", "uploads", "second"))
    return (*data_dirs(), *here, cache_dir(), runs_dir(), teachers_dir(), labels_dir(), assets_dir())


def is_allowed(path: str | Path) -> bool:
    """Return whether a path may be named here; on the owner's own machine every one may."""
    if not is_shared():
        return True
    try:
        place = expanded(path).resolve()
        return any(place.is_relative_to(root.resolve()) for root in roots())
    except (OSError, ValueError, RuntimeError):  # too long, no path, or a loop of links
        return False


def check_path(path: str | Path, field: str, kind: type[DeltError] = AccessError) -> None:
    """Refuse a path that may not be named here, whether there is something or not, so that nobody can find out.

    Raises:
        DeltError: of this kind, begun with ``field``.
    """
    if not is_allowed(path):
        raise kind(
            f"{field}: {path} is outside the folders that visitors of this server may name; its owner can add some in "
            "the environment variable DELT_DATA."
        )


def set_guard(guard: Callable[[str], None] | None) -> None:
    """Let ``guard`` be asked before anything is changed; it gets what is about to be done and raises AccessError."""
    global _guard
    _guard = guard


def check_change(deed: str) -> None:
    """Refuse what the visitor at hand may not do; ``deed`` says it, as "start a run".

    Raises:
        AccessError: the guard refuses.
    """
    if _guard is not None:
        _guard(deed)
