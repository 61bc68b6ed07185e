"""A made-up measurement of accuracy over MI, for tests only: no number in it was measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TOP1 = {"delt": (40.0, 44.9, 45.4, 46.0), "cda": (30.0, 31.0, 35.0, 36.5)}
ITERATIONS = (504, 1000, 2000, 4000)


def some_curve(**changes: Any) -> dict[str, Any]:
    """Return a curve of DELT and CDA; of each MI the spread is 1.0 over three students."""
    rows = [
        {
            "method": method,
            "method_title": method.upper(),
            "iterations": iterations,
            "round_iterations": iterations // 8,
            "image_iterations": 50 * iterations,
            "synthesis_seconds": 1.0,
            "top1_last": top1,
            "top1_last_std": 1.0,
            "top1_last_each": [top1 - 1, top1, top1 + 1],
            "top1_best": top1 + 0.5,
            "top1_best_std": 1.0,
            "top1_best_each": [top1 - 0.5, top1 + 0.5, top1 + 1.5],
        }
        for method, values in TOP1.items()
        for iterations, top1 in zip(ITERATIONS, values, strict=True)
    ]
    place = {"dataset": "cifar10", "dataset_title": "CIFAR-10", "dataset_fingerprint": "1", "test_images": 10000}
    network = {"network": "resnet18", "width": 0.25, "teacher_fingerprint": "2"}
    asked = {"seed": 0, "ipc": 10, "rounds": 8, "methods": list(TOP1), "iterations": list(ITERATIONS)}
    how = {"settings": {"delt": "DELT Table 8b", "cda": "CDA Table 10b"}, "training": "resnet18 x 0.25", "seeds": 3}
    told = {"machine": "a processor", "command": ["delt", "compare", "--over-mi", "504,1000,2000,4000"]}
    return {"format": 1, **place, **network, **asked, **how, **told, "rows": rows, **changes}


def ship(assets: Path, **changes: Any) -> None:
    """Write the curve where shipped ones lie."""
    file = assets / "mi_curves" / "some.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(some_curve(**changes)))
