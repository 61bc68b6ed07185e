"""The squeeze stage of a run: a teacher trained by all ranks together, leaving events, checkpoints and its file.

What is drawn at random is keyed by seed and epoch, so a squeeze that was stopped anywhere ends in the weights of one
that never was, bit for bit on a CPU (with another number of ranks than before in other last digits).
"""

from __future__ import annotations

from functools import partial

from delt_engine import files
from delt_engine.models.card import SUFFIX, free_teacher_path
from delt_engine.models.checkpoints import save_teacher
from delt_engine.pipeline.context import StageContext
from delt_engine.pipeline.train import TrainingRun, note_team, read_state, state_path
from delt_engine.runs.checkpoint import remove_checkpoint
from delt_engine.training.distributed import Team
from delt_engine.training.squeeze import squeeze


def squeeze_stage(context: StageContext) -> None:
    """Train a teacher, all ranks together, and put it where ``auto`` finds it."""
    run, team = context.run, Team(context.rank.number, context.rank.size)
    note_team(context, team)
    training = TrainingRun(context, state_path(run, "teacher"), team, run.record().seconds)
    result = training.finish(
        squeeze(
            context.inputs.dataset,
            context.experiment.squeeze,
            seed=context.experiment.seed,
            device=context.device,
            state=team.first(partial(read_state, training.path)),
            team=team,
        )
    )
    if not team.is_first:
        return
    own, name = run.path / "teacher.safetensors", result.card.name
    save_teacher(own, result.network, result.card)
    if run.record().options.keep_teacher:
        kept = free_teacher_path(name, result.card.fingerprint)
        files.write_bytes(kept, own.read_bytes(), durable=True)
        name = kept.name.removesuffix(SUFFIX)
    facts = {"teacher": str(own), "name": name, "accuracy": result.card.accuracy, "epochs": result.card.epochs}
    context.update(seconds=training.seconds, result=facts)
    remove_checkpoint(run)
