"""Numbers of finished images that no student is needed for: similarity within a class, and an outside network's word.

Source: DELT Fig. 2 (mean cosine of a class's images in the features of a ResNet-18); CDA Table 9 and Sec. 3.7
(MobileNet-V2's top-1 on synthetic and real images, whole and as the mean of ten random crops).
Differs: the features are the recovering teacher's; the outside network is the one that is there for the dataset, see
:mod:`delt_engine.models.held_out`.
"""

from __future__ import annotations

from delt_engine.papers.cells import Cell
from delt_engine.pipeline.image_sets import of_run
from delt_engine.pipeline.measure import measured, stored_result
from delt_engine.runs.store import Run


def stored_measure(cell: Cell, run: Run) -> float | None:
    """Return a number of a run's images that was measured before, or None; torch-free."""
    if cell.measure == "cosine":
        found = stored_result(of_run(run))
        return found.mean if found else None
    return None


def measure_images(cell: Cell, run: Run, device: str = "auto") -> None:
    """Measure a number of a run's images and store it."""
    if cell.measure == "cosine":
        measured(of_run(run), device=device)
