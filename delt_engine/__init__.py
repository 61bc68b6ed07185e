"""DELT Studio's engine: squeeze, rank, select, recover, evaluate, and the runs that keep what they made.

What is named here is the public API; ``assets/docs/api.md`` shows it at work. Work is done by generators: each yields
small records of how far it is, and its result last. Names are loaded on first use, so that ``import delt_engine`` stays
free of torch: the app's process reads runs and settings and never loads a network.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers and editors, the same names as in _PUBLIC
    from delt_engine.config import EvaluateConfig as EvaluateConfig
    from delt_engine.config import Experiment as Experiment
    from delt_engine.config import RankConfig as RankConfig
    from delt_engine.config import RecoverConfig as RecoverConfig
    from delt_engine.config import SelectConfig as SelectConfig
    from delt_engine.config import SqueezeConfig as SqueezeConfig
    from delt_engine.config.schedule import EarlyLateSchedule as EarlyLateSchedule
    from delt_engine.data.catalogue import load_dataset as load_dataset
    from delt_engine.data.dataset import Dataset as Dataset
    from delt_engine.errors import ConfigError as ConfigError
    from delt_engine.errors import DataError as DataError
    from delt_engine.errors import DeltError as DeltError
    from delt_engine.models.networks import build_network as build_network
    from delt_engine.models.teachers import Teacher as Teacher
    from delt_engine.models.teachers import load_teacher as load_teacher
    from delt_engine.patches.ranking import Ranking as Ranking
    from delt_engine.patches.ranking import rank as rank
    from delt_engine.patches.selection import SelectedImage as SelectedImage
    from delt_engine.patches.selection import select as select
    from delt_engine.pipeline.export_set import export_run as export_run
    from delt_engine.pipeline.in_memory import evaluate as evaluate
    from delt_engine.pipeline.in_memory import recover as recover
    from delt_engine.recovery.loop import RecoverStep as RecoverStep
    from delt_engine.runs.store import Run as Run
    from delt_engine.training.image_table import ImageTable as ImageTable
    from delt_engine.training.records import StudentResult as StudentResult
    from delt_engine.training.squeeze import squeeze as squeeze

__version__ = "0.2.0"

_PUBLIC = {
    "ConfigError": "errors",
    "DataError": "errors",
    "DeltError": "errors",
    "EvaluateConfig": "config",
    "Experiment": "config",
    "RankConfig": "config",
    "RecoverConfig": "config",
    "SelectConfig": "config",
    "SqueezeConfig": "config",
    "Dataset": "data.dataset",
    "load_dataset": "data.catalogue",
    "build_network": "models.networks",
    "Teacher": "models.teachers",
    "load_teacher": "models.teachers",
    "squeeze": "training.squeeze",
    "Ranking": "patches.ranking",
    "rank": "patches.ranking",
    "SelectedImage": "patches.selection",
    "select": "patches.selection",
    "RecoverStep": "recovery.loop",
    "recover": "pipeline.in_memory",
    "ImageTable": "training.image_table",
    "evaluate": "pipeline.in_memory",
    "StudentResult": "training.records",
    "EarlyLateSchedule": "config.schedule",
    "Run": "runs.store",
    "export_run": "pipeline.export_set",
}
__all__ = ["__version__", *sorted(_PUBLIC)]


def __getattr__(name: str) -> Any:
    """Import the public name from its module on first use."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
