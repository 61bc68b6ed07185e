"""The switches of DELT+, each by itself, as the ablation turns them on against plain DELT.

Source: each names where its idea is from; ours is that they stand on DELT's loop, at no more image-iterations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from delt_engine.config.command_line import flag_words
from delt_engine.config.methods import DELT_PLUS
from delt_engine.config.recover import RecoverConfig
from delt_engine.config.settings import field_specs


@dataclass(frozen=True)
class Switch:
    """What a row of the ablation sets in the recovery, on top of DELT's settings.

    ``share`` is that of MI and RI which it takes.
    """

    title: str
    origin: str
    settings: dict[str, Any]
    share: float = 1.0

    @property
    def words(self) -> str:
        """What is set, as it is typed.

        >>> SWITCHES["class"].words
        '--bn-targets class'
        """
        flags = {spec.name: spec.flag for spec in field_specs(RecoverConfig)}
        typed = {"method": self.settings["method"]} if "method" in self.settings else self.settings
        return " ".join(word for name, value in typed.items() for word in flag_words(flags[name], value))

    def applied(self, config: RecoverConfig) -> RecoverConfig:
        """Return the settings of a recovery by DELT with the switch on.

        >>> SWITCHES["delt-plus-half"].applied(RecoverConfig()).iterations
        2000

        Raises:
            ConfigError: half of MI is no multiple of half of RI.
        """
        iterations, length = (round(value * self.share) for value in (config.iterations, config.round_iterations))
        return config.replace(**self.settings, iterations=iterations, round_iterations=length)


SWITCHES = {
    "delt": Switch("DELT", "DELT Table 8b", {}),
    "remix": Switch("Re-mix", "FADRM", {"remix": 0.5}),
    "class": Switch("BatchNorm targets by class", "EDC, PSM", {"bn_targets": "class"}),
    "difficulty": Switch("BatchNorm targets by difficulty", "PSM", {"bn_targets": "difficulty"}),
    "counters": Switch("Adam's counters per image", "ours", {"adam_counters": "per-image"}),
    "restart": Switch("Restart each round", "ours; a flag of DELT's code without effect", {"restart_rounds": True}),
    "committee": Switch("Committee in turn", "G-VBSM", {"committee": True}),
    "delt-plus": Switch("DELT+", "ours", {"method": "delt-plus", **DELT_PLUS}),
    "delt-plus-half": Switch("DELT+, half of MI", "ours", {"method": "delt-plus", **DELT_PLUS}, share=0.5),
}
"""The rows of the ablation by name, DELT first."""
