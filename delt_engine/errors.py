"""What can go wrong, by kind: every message is one sentence that names the field, what came, what is allowed."""

from __future__ import annotations


class DeltError(Exception):
    """Base of every error a user can cause or meet; its text is fit to be shown as it stands."""


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


class RunCancelled(DeltError):
    """The run was asked to stop before it was finished."""


class RunPaused(RunCancelled):
    """The run was asked to stop for now, by its user or by a signal of the system: it is to go on."""
