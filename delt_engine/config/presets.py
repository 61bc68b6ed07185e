"""Named settings to start a run from, for any dataset: small ones for a laptop, and the published length of a run.

The experiments of the papers' tables are :mod:`delt_engine.papers.presets`.

Source: each names its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from delt_engine.config import Experiment, RecoverConfig, is_optimised


@dataclass(frozen=True)
class Preset:
    """A starting point; dataset and method stay as they are."""

    title: str  # unique
    origin: str  # where its numbers are from
    iterations: int
    round_iterations: int
    ipc: int

    def recover(self, method: str = "delt", size: int | None = None) -> RecoverConfig:
        """Return the settings of the recovery; of a method that optimises nothing only IPC is set.

        ``size`` is the side of the images in pixels, where it is known.
        """
        values = {"iterations": self.iterations, "round_iterations": self.round_iterations}
        return RecoverConfig.for_method(method, size=size, ipc=self.ipc, **(values if is_optimised(method) else {}))

    def experiment(self, method: str = "delt") -> Experiment:
        """Return the settings as an experiment on the default dataset."""
        return Experiment(recover=self.recover(method))


GLANCE = Preset("Tiny", "ours, seconds on two CPU cores", 40, 10, 4)
QUICK = Preset("Small", "ours, under a minute on two CPU cores", 200, 50, 10)
FINER = Preset("Finer rounds", "ours, eight rounds in which two images join each", 400, 50, 16)
PUBLISHED = Preset("As published", "DELT Table 8b", 4000, 500, 10)
PRESETS = (GLANCE, QUICK, FINER, PUBLISHED)
"""Settings for any dataset, the smallest first."""
