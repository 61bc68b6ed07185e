"""Settings of every stage: one frozen, validated record each, gathered in an Experiment; no torch.

Limits, defaults, help and the table a default is from stand here once; the command line's options, the app's
controls and the docs are drawn from :func:`field_specs`. A wrong value raises ConfigError with one sentence that
names the field, what came and what is allowed.
"""

from delt_engine.config.experiment import DEFAULT_DATASET, Experiment, Resize
from delt_engine.config.methods import METHOD_SETTINGS, METHOD_STAGES, is_optimised, stage_settings
from delt_engine.config.real_data import RankConfig, SelectConfig, SqueezeConfig
from delt_engine.config.recover import RecoverConfig
from delt_engine.config.settings import FieldSpec, Settings, field_specs
from delt_engine.config.students import EvaluateConfig, RelabelConfig

__all__ = [
    "DEFAULT_DATASET",
    "METHOD_SETTINGS",
    "METHOD_STAGES",
    "EvaluateConfig",
    "Experiment",
    "FieldSpec",
    "RankConfig",
    "RecoverConfig",
    "RelabelConfig",
    "Resize",
    "SelectConfig",
    "Settings",
    "SqueezeConfig",
    "field_specs",
    "is_optimised",
    "stage_settings",
]
