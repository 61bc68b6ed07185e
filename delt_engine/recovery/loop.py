"""The loop that turns start images into synthetic ones: EarlyLate recovery, also CDA's, SRe2L's and G-VBSM's.

N images of a batch stand in the order in which they join, so the joined ones are one slice; images that wait are not
moved, not counted in the statistics, and cost nothing. ``images`` are normalised float ``(N, C, H, W)``, ``labels``
int64 ``(N,)``.

Source: DELT Sec. 3, Eq. 6-8 and Fig. 4, recover/recover.py; CDA Algorithm 1. Adam is torch.optim.Adam's with the
published betas and eps 1e-8. As published, all images share its step count: an image that joins late gets no bias
correction, so its first steps are about 1.7 times the learning rate. ``adam_counters="per-image"`` counts from each
image's own start.
With ``remix`` s, x = (1 - s) x + s x_0 when a round begins, for all images x that joined before, x_0 being their start;
so what a round, and the run, ends with is never mixed.
Source: FADRM, Data Residual Matching. Differs: it makes Adam anew there; here its moments go on, which reach back some
ten iterations.
Differs: images that wait are not clipped either (published code clips the whole batch, which would move waiting
noise). Batches may be packed into one step, the teacher's BatchNorm folded and its work done in bfloat16, see
:mod:`delt_engine.recovery.speed`. :mod:`delt_engine.recovery.reference` is the same loop without any of this; tests
hold one to the other.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from delt_engine.config import RecoverConfig
from delt_engine.data.pixels import value_bounds
from delt_engine.errors import ShapeError
from delt_engine.models.device import memory_format, same_bits
from delt_engine.recovery.augment import COLUMNS, apply_crop, crop_bounds
from delt_engine.recovery.batches import BatchPlan, clock
from delt_engine.recovery.curriculum import learning_rate_at
from delt_engine.recovery.folding import PreparedTeacher, Targets
from delt_engine.recovery.matching import in_turn
from delt_engine.recovery.speed import FastPath, choose
from delt_engine.recovery.static_step import ADAM_EPS, Buffers, StaticSteps, Tables, rates
from delt_engine.seeding import generator

_AVERAGE, _WEIGHT = "average.", "weight."


@dataclass
class BatchState:
    """All that changes in a batch: images, Adam's moments, and how many iterations are completed.

    ``averages`` are running averages of statistics, where they are matched; see :mod:`delt_engine.recovery.matching`.
    ``weights`` are those of a network that is trained along, with its momentum, and ``exp_avg`` is SGD's momentum then;
    see :mod:`delt_engine.recovery.batch_to_batch`.
    """

    images: Tensor
    exp_avg: Tensor
    exp_avg_sq: Tensor
    iteration: int = 0
    averages: dict[str, Tensor] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def start(cls, images: Tensor) -> BatchState:
        """Return the state before the first iteration; the images are copied."""
        return cls(images.detach().clone(), torch.zeros_like(images), torch.zeros_like(images))

    def to_tensors(self) -> dict[str, Tensor]:
        """Return a copy as contiguous CPU tensors, fit for safetensors."""
        tensors = {"images": self.images, "exp_avg": self.exp_avg, "exp_avg_sq": self.exp_avg_sq}
        tensors |= {_AVERAGE + name: average for name, average in self.averages.items()}
        tensors |= {_WEIGHT + name: weight for name, weight in self.weights.items()}
        for name, tensor in tensors.items():
            tensors[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {**tensors, "iteration": torch.tensor(self.iteration)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> BatchState:
        """Return the state that :meth:`to_tensors` gave, on the device of the tensors.

        Raises:
            ShapeError: a tensor is missing, or the moments are not shaped as the images.
        """
        missing = [name for name in ("images", "exp_avg", "exp_avg_sq", "iteration") if name not in tensors]
        if missing:
            raise ShapeError(f"state: {', '.join(missing)} missing, but a batch state needs it to go on.")
        images, exp_avg, exp_avg_sq = tensors["images"], tensors["exp_avg"], tensors["exp_avg_sq"]
        for name, moment in (("exp_avg", exp_avg), ("exp_avg_sq", exp_avg_sq)):
            if moment.shape != images.shape:
                raise ShapeError(f"{name}: shape {tuple(moment.shape)} given, but it must be {tuple(images.shape)}.")
        averages, weights = (
            {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            for prefix in (_AVERAGE, _WEIGHT)
        )
        return cls(images, exp_avg, exp_avg_sq, int(tensors["iteration"]), averages, weights)


@dataclass(frozen=True, eq=False)
class RecoverStep:
    """What one iteration did. Losses are those before its step, over the joined images; not-a-number where none is.

    ``crop_scale`` is the (lower, upper) bound of the crop's area share; ``ends_round`` is whether this was the last
    iteration of round ``round_number`` (from 1). ``state`` is the live one, and the next iteration changes it: take
    what is to be kept with :meth:`BatchState.to_tensors`.
    """

    iteration: int
    round_number: int
    joined: int
    ce_loss: Tensor
    bn_loss: Tensor
    total_loss: Tensor
    learning_rate: float
    crop_scale: tuple[float, float]
    ends_round: bool
    state: BatchState
    logits: Tensor
    labels: Tensor
    order: list[int] | None = None
    no_graph: str = ""
    """Why the steps are not replayed by a CUDA graph, where they should be."""

    def losses(self) -> tuple[float, float, float]:
        """Return (ce_loss, bn_loss, total_loss) as floats; on a GPU this waits for the iteration."""
        ce_loss, bn_loss, total_loss = torch.stack((self.ce_loss, self.bn_loss, self.total_loss)).tolist()
        return ce_loss, bn_loss, total_loss

    def ce_losses(self) -> Tensor:
        """Return the cross-entropy of each joined image, ``(joined,)`` on its device, from the step's own forward.

        Their mean is ``ce_loss``. Nothing is computed in iterations that are not asked.
        """
        each = F.cross_entropy(self.logits.float(), self.labels, reduction="none")
        return each if self.order is None else each[torch.tensor(self.order, device=each.device).argsort()]


def start_noise(plan: BatchPlan, image_size: int, *, seed: int) -> Tensor:
    """Return Gaussian noise for the images of a batch to start from, the same however they are batched.

    It is float32 ``(N, 3, S, S)``, standard normal in normalised space.

    Source: SRe2L data_synthesis.py, CDA Algorithm 1.
    """
    draws = (generator(seed, "noise", slot.class_index, slot.index) for slot in plan.slots)
    return torch.stack([torch.randn(3, image_size, image_size, generator=draw) for draw in draws])


def recover(
    images: Tensor,
    labels: Tensor,
    teacher: PreparedTeacher,
    plan: BatchPlan,
    config: RecoverConfig,
    crop_rows: Tensor,
    *,
    state: BatchState | None = None,
    fast: FastPath | None = None,
    dropped: Tensor | None = None,
    targets: Sequence[Targets] = (),
) -> Generator[RecoverStep, None, None]:
    """Optimise the images of one batch; stop asking to cancel.

    Args:
        images: ``(N, 3, H, W)`` normalised start images in the order of ``plan.slots``; not changed.
        labels: int64 ``(N,)``.
        teacher: with others, they take the iterations in turn; frozen while the loop is open, then as it was; its mean
            and std give the bounds of valid pixels.
        crop_rows: int64 ``(MI, 7)`` of :func:`delt_engine.recovery.augment.crop_plan`, on the CPU; of a packed batch
            ``(G, MI, 7)``, in the order of ``plan.members``, where G may be 1 as well.
        state: where to go on; not changed. On a CPU the images come out bit for bit as without the stop.
        fast: how it is computed; what the settings mean on the images' device when not given.
        dropped: of :func:`delt_engine.recovery.matching.drop_plan`, where convolutions are dropped.
        targets: with ``bn_targets``, what each teacher's ``plan.class_groups`` are matched with.

    Yields:
        One record an iteration.

    Raises:
        ShapeError: images, labels, crops or state do not fit the plan.
        CheckpointError: the teacher has no BatchNorm layers, or uses one twice.

    Source: DELT Eq. 7-8; CDA Algorithm 1.
    """
    _check_shapes(images, labels, plan, config, crop_rows, state)
    if len(targets) != (len(teacher.members) if config.bn_targets != "running" else 0):
        raise ShapeError(f"targets: those of {len(targets)} teachers given, which does not fit {config.bn_targets}.")
    state = BatchState.start(images) if state is None else state
    # Channels-last on a CPU saves a quarter of an iteration (ResNet-18, 32 px, batch 100); elsewhere it does not.
    device = state.images.device
    layout = memory_format(teacher.network, device) if device.type == "cpu" else torch.contiguous_format
    start = images.detach()
    moving = (state.images, state.exp_avg, state.exp_avg_sq)
    images, exp_avg, exp_avg_sq = (tensor.detach().clone(memory_format=layout) for tensor in moving)
    state = BatchState(images, exp_avg, exp_avg_sq, state.iteration, dict(state.averages))
    low, high = (bound.to(state.images) for bound in value_bounds(teacher.mean, teacher.std))
    first_iterations = plan.first_iterations(config.round_iterations)
    first_steps = torch.tensor(first_iterations, dtype=low.dtype, device=low.device).view(-1, 1, 1, 1)

    rows = crop_rows.view(len(plan.members), config.iterations, len(COLUMNS)).tolist()
    fast = fast or choose(config, images.device.type, images.shape[-1])
    order: list[int] | None = None  # of packed batches: which image stands where, group after group
    places: Tensor | None = None
    goals = labels[:0]
    static: StaticSteps | None = None

    groups = len(plan.class_groups) if targets else len(rows)
    with in_turn(teacher, config, fast, groups, dropped, targets) as losses_of:
        if fast.static:
            firsts = torch.tensor(first_iterations, device=device).view(-1, 1, 1, 1)
            firsts = firsts[0, 0, 0] if config.adam_counters == "shared" else firsts
            table = crop_rows.view(len(rows), config.iterations, -1).movedim(0, 1).to(device)
            tables = Tables(table, rates(config).to(device), firsts, low, high, labels)
            static = StaticSteps(tables, lambda *given: losses_of(iteration, {}, *given)[0], config, fast)
        for iteration in range(max(state.iteration, first_iterations[0]), config.iterations):
            round_number = iteration // config.round_iterations + 1
            joined = plan.joined(round_number)
            learning_rate = learning_rate_at(*clock(iteration, config), config.learning_rate)

            if len(goals) != joined:  # once a round: a GPU is waited for here
                has_groups = len(rows) > 1 or bool(targets)
                order = plan.group_order(joined, by_class=bool(targets)) if has_groups else None
                places = None if order is None else torch.tensor(order, device=device)
                goals = labels[:joined] if places is None else labels[places]
                if static is not None:
                    done = torch.tensor([iteration], device=device)
                    buffers = Buffers(state.images[:joined], state.exp_avg[:joined], state.exp_avg_sq[:joined], done)
                    static.begin_round(buffers, goals, places)

            begins_round = round_number > 1 and iteration % config.round_iterations == 0
            is_remixed = config.remix > 0 and begins_round
            if static is not None:
                if is_remixed:
                    state.images[:joined].lerp_(start[:joined], config.remix)
                losses = static.take()
            else:
                leaf = state.images[:joined].detach()
                if is_remixed:  # images that join now are what they start from
                    leaf = leaf.lerp(start[:joined], config.remix)
                leaf.requires_grad_()
                if places is None:
                    crops = apply_crop(leaf, rows[0][iteration])
                else:  # each group with its own crop, group after group
                    parts = zip(leaf.index_select(0, places).chunk(len(rows)), rows, strict=True)
                    crops = torch.cat([apply_crop(part, row[iteration]) for part, row in parts])
                with same_bits():
                    losses, averages = losses_of(iteration, state.averages, crops, goals)
                    # each group's images see its loss alone
                    (gradient,) = torch.autograd.grad(len(rows) * losses.total, leaf)

                if is_remixed:
                    state.images[:joined] = leaf.detach()
                is_shared = config.adam_counters == "shared"
                steps = iteration + 1 - (first_iterations[0] if is_shared else first_steps[:joined])
                _adam_step(state, gradient, learning_rate, steps, (config.beta1, config.beta2))
                state.images[:joined].clamp_(low, high)
                state.averages.update(averages)
            state.iteration = iteration + 1

            yield RecoverStep(
                iteration=iteration,
                round_number=round_number,
                joined=joined,
                ce_loss=losses.ce.detach(),
                bn_loss=losses.bn.detach(),
                total_loss=losses.total.detach(),
                learning_rate=learning_rate,
                crop_scale=crop_bounds(iteration, config),
                ends_round=state.iteration % config.round_iterations == 0,
                state=state,
                logits=losses.logits,
                labels=goals,
                order=order,
                no_graph=static.reason if static else "",
            )


def _adam_step(
    state: BatchState, gradient: Tensor, learning_rate: float, steps: int | Tensor, betas: tuple[float, float]
) -> None:
    """Move the joined images, the first ``len(gradient)``, by one step of Adam.

    ``steps`` counts from 1, for all images or as ``(n, 1, 1, 1)`` for each. Images that join late were given no
    gradient before, so their moments are zero, as torch.optim.Adam's would be.
    """
    beta1, beta2 = betas
    joined = len(gradient)
    exp_avg, exp_avg_sq = state.exp_avg[:joined], state.exp_avg_sq[:joined]
    exp_avg.lerp_(gradient, 1 - beta1)
    exp_avg_sq.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    denominator = (exp_avg_sq.sqrt() / (1 - beta2**steps) ** 0.5).add_(ADAM_EPS)
    state.images[:joined].sub_(exp_avg / denominator * (learning_rate / (1 - beta1**steps)))


def _check_shapes(
    images: Tensor,
    labels: Tensor,
    plan: BatchPlan,
    config: RecoverConfig,
    crop_rows: Tensor,
    state: BatchState | None,
) -> None:
    number = len(plan.slots)
    if images.dim() != 4 or len(images) != number:
        raise ShapeError(f"images: shape {tuple(images.shape)} given, but the batch needs ({number}, 3, H, W).")
    if labels.shape != (number,):
        raise ShapeError(f"labels: shape {tuple(labels.shape)} given, but the batch needs ({number},).")
    one = (config.iterations, len(COLUMNS))
    needed = (len(plan.members), *one) if len(plan.members) > 1 else one
    if crop_rows.shape != needed and crop_rows.shape != (len(plan.members), *one):
        raise ShapeError(
            f"crop_rows: shape {tuple(crop_rows.shape)} given, but MI = {config.iterations} iterations need {needed}."
        )
    if state is not None and state.images.shape != images.shape:
        raise ShapeError(
            f"state: images of shape {tuple(state.images.shape)} given, but the batch has {tuple(images.shape)}."
        )
