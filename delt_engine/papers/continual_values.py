"""The accuracies of class-incremental learning that the papers print, step by step.

Source: CDA Tables 14 and 15, in assets/published/results.csv. DELT Fig. 8 is drawn and not printed, so that it has no
values here.
"""

from __future__ import annotations

from delt_engine.papers.published import PublishedValue, all_published

TASK = "class-incremental"


def steps_of(value: PublishedValue) -> int:
    """Return in how many steps the classes come; 0 for a number of something else."""
    return int(value.words["steps"]) if value.words.get("task") == TASK else 0


def step_of(value: PublishedValue) -> int:
    """Return after which step, from 1, a printed accuracy is.

    >>> [step_of(one) for one in printed_steps("tiny-imagenet", 100, 5)["cda"]]
    [1, 2, 3, 4, 5]
    """
    same = (one for one in all_published() if (one.where, one.method) == (value.where, value.method))
    counts = sorted(int(one.words["classes"]) for one in same)
    return counts.index(int(value.words["classes"])) + 1


def step_number(value: PublishedValue) -> tuple[int, int]:
    """Return in how many steps the classes come and after which one a number is; zeros for one of something else."""
    return (steps_of(value), step_of(value)) if steps_of(value) else (0, 0)


def printed_steps(dataset: str, ipc: int | None, steps: int) -> dict[str, list[PublishedValue]]:
    """Return the printed accuracies of a setting by method, in the order of the steps; none where none is printed."""
    found: dict[str, list[PublishedValue]] = {}
    for one in all_published():
        if steps_of(one) == steps and (one.dataset, one.ipc) == (dataset, ipc):
            found.setdefault(one.method, []).append(one)
    return {method: sorted(own, key=lambda one: int(one.words["classes"])) for method, own in found.items()}
