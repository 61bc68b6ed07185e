"""How far a run is, in the numbers a reader wants: round, iteration, rate, time left."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from delt_engine.runs.events import RoundEvent, SqueezeStepEvent, StageEvent, StepEvent, StudentStepEvent
from delt_engine.runs.store import Run
from delt_engine.runs.workers import workers_at
from pages.shared.wording import count, duration, plural

_MOST_BATCHES = 8
_RATE_WINDOW = 20
_RATE_SECONDS = 30.0
_RATE_MOST = 200
"""The rate is taken over the last steps, at least 20 and half a minute of them: short enough that waiting and resuming
do not blur it, long enough that the time left does not jump."""


@dataclass(frozen=True)
class Progress:
    """How far a run is: the share of its image-iterations that is done, and words such as "2 of 4".

    ``rate`` is image-iterations per second over the last steps, None before there are two, and ``left_s`` what is left
    at that rate; ``memory_mb`` the most that the run's process, or its GPU, has needed; ``students`` are those at work.
    """

    fraction: float
    text: str
    round_text: str = "–"
    iteration_text: str = "–"
    rate: float | None = None
    left_s: float | None = None
    memory_mb: float | None = None
    students: tuple[int, ...] = ()


def progress(run: Run) -> Progress:
    """Read how far the run is from its events."""
    kind, of = _KINDS.get(run.record().kind, _KINDS["recover"])
    steps = run.events(kind, last=_RATE_MOST)
    return of(run, steps) if steps else _before_the_first_step(run)


def workers_text(run: Run) -> str:
    """Return how many workers share a run at work, and their batches; "" of a run that is not shared."""
    workers = workers_at(run.path) if run.is_active else None
    if workers is None:
        return ""
    if not workers:
        return f"waits for workers: delt work {run.id}"
    batches = sorted(worker.batch + 1 for worker in workers if worker.batch is not None)
    shown = ", ".join(map(count, batches[:_MOST_BATCHES])) + (", …" if len(batches) > _MOST_BATCHES else "")
    where = f" at batch {shown}" if len(batches) == 1 else f" at batches {shown}" if batches else ""
    return f"{plural(len(workers), 'worker')}{where}"


def stopped_at(run: Run) -> int | None:
    """Return the iteration at which a run was stopped within a round, None of any other run.

    Of a run in several batches only one stands there, so it has no such place either.
    """
    if run.is_active or run.status == "finished":
        return None
    last = run.latest_event(RoundEvent)
    return last.iteration if last is not None and last.partial and last.batches == 1 else None


def _of_recovery(run: Run, steps: list[StepEvent]) -> Progress:
    step, rate = steps[-1], _rate(steps)
    total, done = step.image_iterations_total, step.image_iterations
    iteration = min(step.iterations, step.iteration + 1)
    later = (stopped_at(run) or 0) - iteration  # steps are told of now and then only
    if later > 0:
        iteration, done = iteration + later, done + step.joined * later
    left_s = max(0, total - step.image_iterations) / rate if rate and run.status == "running" else None
    batch = f"batch {step.batch + 1} of {step.batches}, " if step.batches > 1 else ""
    where = f"{count(iteration)} of {count(step.iterations)}"
    return Progress(
        fraction=_share(run, done, total),
        text=f"{batch}round {step.round} of {step.rounds}, iteration {where}{_left(left_s)}",
        round_text=f"{step.round} of {step.rounds}",
        iteration_text=where,
        rate=rate,
        left_s=left_s,
        memory_mb=step.memory_mb,
    )


def _of_training(run: Run, steps: list[SqueezeStepEvent]) -> Progress:
    step, rate = steps[-1], _training_rate(steps)
    done, total = step.steps_done, step.epochs * step.steps
    left_s = max(0, total - done) / rate if rate and run.status == "running" else None
    accuracy = f"training accuracy {step.train_accuracy:.0f} %"
    text = f"epoch {step.epoch} of {step.epochs}, {accuracy}{_left(left_s)}"
    return Progress(fraction=_share(run, done, total), text=text, left_s=left_s)


def _training_rate(steps: list[SqueezeStepEvent]) -> float | None:
    """Return the steps a second of the last ``_RATE_MOST`` events: those since some were made again, if any were."""
    last, since = (steps[-1].t, steps[-1].steps_done), (0.0, 0)
    for step, following in zip(steps[-2::-1], steps[:0:-1], strict=True):
        if step.steps_done > following.steps_done:
            since = following.t, following.steps_done
            break
    else:
        if len(steps) == _RATE_MOST:
            since = steps[0].t, steps[0].steps_done
    passed, moved = last[0] - since[0], last[1] - since[1]
    return moved / passed if passed > 0 and moved > 0 else None


def _at_work(steps: list[StudentStepEvent]) -> tuple[int, ...]:
    """Return which students are trained, from 0, by the newest events: those side by side report in turn."""
    many = len({step.student for step in steps})
    is_beside = any(one.student > following.student for one, following in pairwise(steps[-2 * many :]))
    return tuple(sorted({step.student for step in steps[-many:]})) if is_beside else (steps[-1].student,)


def _students_share(steps: list[StudentStepEvent]) -> list[float]:
    """Return the share of all students' steps that was done at each event."""
    own = [step.steps_done / (step.epochs * step.steps) for step in steps]
    if len(_at_work(steps)) == 1:
        return [(step.student + share) / step.students for step, share in zip(steps, own, strict=True)]
    done, shares = {step.student: share for step, share in zip(steps[::-1], own[::-1], strict=True)}, []
    before = max(done) + 1 - len(done)  # students before these that report no more
    for step, share in zip(steps, own, strict=True):
        done[step.student] = share
        shares.append((before + sum(done.values())) / step.students)
    return shares


def _of_students(run: Run, steps: list[StudentStepEvent]) -> Progress:
    steps = steps[-_RATE_WINDOW:]
    step, shares, at_work = steps[-1], _students_share(steps), _at_work(steps)
    passed, moved = step.t - steps[0].t, shares[-1] - shares[0]
    left_s = passed * (1 - shares[-1]) / moved if passed > 0 and moved > 0 and run.status == "running" else None
    student = f"training student {step.student + 1} of {step.students}, " if step.students > 1 else ""
    if len(at_work) > 1:
        student = f"training {len(at_work)} of {step.students} students side by side, "
    text = f"{student}epoch {step.epoch} of {step.epochs}{_left(left_s)}"
    return Progress(fraction=_share(run, shares[-1]), text=text, left_s=left_s, students=at_work)


_KINDS = {
    "recover": (StepEvent, _of_recovery),
    "squeeze": (SqueezeStepEvent, _of_training),
    "evaluate": (StudentStepEvent, _of_students),
}


def _share(run: Run, done: float, total: int = 1) -> float:
    return 1.0 if run.status == "finished" else min(1.0, max(0.0, done / max(1, total)))


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f", {duration(seconds)} left"


def _rate(steps: list[StepEvent]) -> float | None:
    recent = [step for step in steps if step.t >= steps[-1].t - _RATE_SECONDS]
    steps = steps[-max(_RATE_WINDOW, len(recent)) :]
    passed, moved = steps[-1].t - steps[0].t, steps[-1].image_iterations - steps[0].image_iterations
    return moved / passed if passed > 0 else None


_STAGES = {
    "data": "reading the dataset",
    "statistics": "gathering statistics of the convolutions",
    "rank": "ranking patches by the teacher's probability",
    "select": "selecting patches",
    "scores": "scoring the training images",
    "images": "writing images",
    "recover": "starting the optimisation",
    "evaluate": "training students",
}


def _before_the_first_step(run: Run) -> Progress:
    if run.status == "queued":
        return Progress(0.0, "waiting for its turn on the device" if run.record().process else "starting")
    stage = run.latest_event(StageEvent)
    if stage is None:
        return Progress(_share(run, 0, 1), "done" if run.status == "finished" else "starting")
    words = _STAGES.get(stage.stage, stage.stage)
    whole = run.record().kind == stage.stage  # the stage is all that this run does
    fraction = _share(run, stage.done if whole else 0, stage.total)
    return Progress(fraction, f"{words}, {count(stage.done)} of {count(stage.total)}" if stage.total else words)
