"""What can go wrong, by kind: every message is one sentence that names the field, what came, what is allowed."""

from __future__ import annotations

import re

MOST_LETTERS = 600
"""Letters of a message; of a longer one, which repeats something long that came, the middle is left out."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class DeltError(Exception):
    """Base of every error a user can cause or meet; its text is one line, fit to be shown as it stands."""

    def __str__(self) -> str:
        text = _CONTROL.sub(" ", super().__str__())
        half = MOST_LETTERS // 2
        return text if len(text) <= MOST_LETTERS else f"{text[: half - 2]} … {text[1 - half :]}"


class AccessError(DeltError):
    """A visitor of a shared server asks for what only its owner, or somebody with another role, may do."""


class ConfigError(DeltError, ValueError):
    """A setting has a value that is not allowed."""


class DataError(DeltError):
    """A dataset, an image or a class is missing or cannot be used."""


class CheckpointError(DeltError):
    """A teacher or a checkpoint cannot be read, or does not fit the network or the data."""


class ShapeError(DeltError, ValueError):
    """A tensor has another shape than the one asked for."""


class RunError(DeltError):
    """A run folder cannot be created, read, written or resumed."""


class RanksLost(RunError):
    """One of several ranks that train one network together is gone, so that the others cannot go on."""


class LeaseLost(RunError):
    """A worker was silent for so long that the others have taken its work."""


class RunCancelled(DeltError):
    """The run was asked to stop before it was finished."""


class RunPaused(RunCancelled):
    """The run was asked to stop for now, by its user or by a signal of the system: it is to go on."""
