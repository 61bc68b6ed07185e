"""Steps with static shapes end in the images of the plain loop, and are one graph to the compiler."""

import weakref

import pytest
import torch
from tiny_networks import SIZE, ResidualNet, conv_net, prepared, teacher

from delt_engine.config import RecoverConfig
from delt_engine.models.bn_layers import bn_layers
from delt_engine.recovery import static_step as static
from delt_engine.recovery.augment import crop_plan
from delt_engine.recovery.batches import pack_batches, plan_batches
from delt_engine.recovery.loop import recover
from delt_engine.recovery.matching import in_turn
from delt_engine.recovery.objective import Losses
from delt_engine.recovery.speed import FastPath, choose
from delt_engine.recovery.static_step import Buffers, StaticSteps, Tables, rates, static_step
from delt_engine.seeding import generator

CONFIG = RecoverConfig(ipc=4, iterations=10, round_iterations=5, batch_size=4, jitter=1)
STATIC = FastPath(fold=True, static=True)


def run(fast, config=CONFIG, pack=1, dtype=torch.float64, network=ResidualNet):
    """Return losses and images of every iteration."""
    torch.manual_seed(0)
    plan = pack_batches(plan_batches(3, config), pack)[0]
    draw = generator(0, "start")
    images = torch.randn(len(plan.slots), 3, SIZE, SIZE, generator=draw, dtype=torch.float64).to(dtype)
    labels = torch.tensor([slot.class_index for slot in plan.slots])
    rows = torch.stack([crop_plan(config, SIZE, generator(0, "crops", member)) for member in plan.members])
    prepared_teacher = prepared(teacher(network()).to(dtype))
    targets = []
    if config.bn_targets == "class":
        shapes = [(len(plan.class_groups), layer.num_features) for layer in bn_layers(prepared_teacher.network)]
        pairs = [torch.rand(2, *shape, generator=draw, dtype=torch.float64).to(dtype) for shape in shapes]
        targets = [[tuple(pair) for pair in pairs]]
    steps = recover(images, labels, prepared_teacher, plan, config, rows, fast=fast, targets=targets)
    return [(step.losses(), step.state.images.clone(), step.no_graph) for step in steps]


@pytest.mark.parametrize("pack", [1, 2])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"adam_counters": "per-image"},
        {"early_late": False, "restart_rounds": True},
        {"pad": 2, "remix": 0.5},
        {"bn_targets": "class", "batch_size": 8},
    ],
)
def test_images_are_those_of_the_plain_path(changes, pack):
    config = CONFIG.replace(**changes)
    for (losses, images, _), (expected, plain, _) in zip(
        run(STATIC, config, pack), run(FastPath(fold=True), config, pack), strict=True
    ):
        assert losses == pytest.approx(expected, rel=1e-9)
        torch.testing.assert_close(images, plain, rtol=0, atol=1e-8)


def test_one_kernel_for_adam_gives_the_same_images():
    config = CONFIG.replace(learning_rate=0.01)
    fused = FastPath(fold=True, static=True, fused_adam=True, channels_last=True)
    found, plain = run(fused, config, 2, torch.float32), run(FastPath(fold=True), config, 2, torch.float32)
    assert found[-1][0] == pytest.approx(plain[-1][0], rel=1e-4)
    # Adam's first step is the gradient's sign: a rounding beside zero moves a value by two learning rates.
    gaps = (found[-1][1] - plain[-1][1]).abs()
    assert (gaps > 1e-4).float().mean() < 0.01


def test_what_cannot_be_captured_goes_on_without_a_graph_and_says_why():
    asked = FastPath(fold=True, static=True, graph=True)
    found, plain = run(asked), run(STATIC)
    assert {reason for *_, reason in found} == {"a step cannot be captured as a CUDA graph: there are none on cpu"}
    assert all(torch.equal(one, other) for (_, one, _), (_, other, _) in zip(found, plain, strict=True))
    assert {reason for *_, reason in plain} == {""}


def test_a_round_is_captured_once_and_replayed(monkeypatch):
    """With a stand-in for a graph, which does again what it was given and writes into the same losses."""
    captured, replayed = [], []

    class Graph:
        def __init__(self, work):
            self.work, self.losses = work, Losses(*(torch.empty(0, dtype=torch.float64) for _ in range(4)))

        def replay(self):
            replayed.append(self)
            for into, value in zip(self.losses, self.work(), strict=True):
                into.set_(value)

    def capture(work, _device):
        captured.append(Graph(work))
        return captured[-1], captured[-1].losses

    monkeypatch.setattr(static, "capture", capture)
    found, plain = run(FastPath(fold=True, static=True, graph=True), pack=2), run(STATIC, pack=2)
    assert [losses for losses, *_ in found] == [losses for losses, *_ in plain]
    assert all(torch.equal(one, other) for (_, one, _), (_, other, _) in zip(found, plain, strict=True))
    assert [captured.index(graph) for graph in replayed] == [0] * 5 + [1] * 5
    assert {reason for *_, reason in found} == {""}


def test_the_graph_of_a_round_is_gone_before_the_next_is_captured(monkeypatch):
    """So that its memory is free for the next one, which begins with memory of its own."""
    graphs = []

    class Graph:
        def replay(self):
            """Move nothing."""

    def capture(_work, _device):
        assert not graphs or graphs[-1]() is None
        graph = Graph()
        graphs.append(weakref.ref(graph))
        return graph, Losses(*torch.zeros(4, dtype=torch.float64))

    monkeypatch.setattr(static, "capture", capture)
    run(FastPath(fold=True, static=True, graph=True))
    assert len(graphs) == 2


@pytest.mark.parametrize("fast", [FastPath(), FastPath(static=True)])
def test_a_steps_convolutions_are_held_to_the_same_bits_and_other_work_is_not(monkeypatch, fast):
    cudnn, seen = torch.backends.cudnn, []
    monkeypatch.setattr(cudnn, "benchmark", True)
    monkeypatch.setattr(cudnn, "deterministic", False)
    plan = plan_batches(3, CONFIG)[0]
    rows = crop_plan(CONFIG, SIZE, generator(0, "crops", 0))
    images = torch.randn(len(plan.slots), 3, SIZE, SIZE)
    labels = torch.tensor([slot.class_index for slot in plan.slots])
    network = teacher(conv_net())

    def note(*_):
        seen.append((cudnn.benchmark, cudnn.deterministic))

    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(note)
            layer.register_full_backward_hook(note)
    loops = [recover(images, labels, prepared(network), plan, CONFIG, rows, fast=fast) for _ in range(2)]
    for loop in loops:
        next(loop)
        assert (cudnn.benchmark, cudnn.deterministic) == (True, False)
    for loop in loops:  # in another order than they would have to be closed in
        loop.close()
    assert (cudnn.benchmark, cudnn.deterministic) == (True, False)
    assert len(seen) >= 4
    assert set(seen) == {(False, True)}


def test_the_whole_step_is_one_graph_to_the_compiler():
    if not torch._dynamo.is_dynamo_supported() or torch.torch_version.TorchVersion(torch.__version__) < (2, 14):
        pytest.skip("torch.compile is not there or, as that of 2.11, stops at requires_grad_")
    torch.manual_seed(0)
    draw, fast = generator(0, "start"), STATIC
    rows = torch.stack([crop_plan(CONFIG, SIZE, generator(0, "crops", member)) for member in (0, 1)], 1)
    images = torch.randn(4, 3, SIZE, SIZE, generator=draw)
    bounds = (torch.full((3, 1, 1), value) for value in (-2.0, 2.0))
    tables = Tables(rows, rates(CONFIG), torch.tensor([0]), *bounds, torch.tensor([0, 1, 2, 0]))
    start = Buffers(images, torch.zeros_like(images), torch.zeros_like(images), torch.tensor([3]))
    plain, compiled = start.copy(), start.copy()
    with in_turn(prepared(teacher(conv_net())), CONFIG, fast, 2) as losses_of:

        def step(buffers):
            return static_step(buffers, tables, lambda *given: losses_of(0, {}, *given)[0], (0.5, 0.9), fast)

        expected = step(plain)
        # The compiler's front end takes the step apart and refuses what would need the host; no C++ compiler is used.
        with torch._dynamo.config.patch(trace_autograd_ops=True):
            found = torch.compile(step, fullgraph=True, backend="aot_eager")(compiled)
    torch.testing.assert_close(found.total, expected.total)
    torch.testing.assert_close(compiled.images, plain.images, rtol=0, atol=1e-5)
    assert compiled.iteration.item() == plain.iteration.item() == 4


def test_auto_takes_it_on_cards_alone():
    card = choose(RecoverConfig(), "cuda", 32)
    assert (card.static, card.graph, card.channels_last, card.fused_adam) == (True,) * 4
    assert choose(RecoverConfig(), "cpu", 32) == FastPath(fold=True)
    asked = choose(RecoverConfig(static_shapes="on"), "cpu", 32)
    assert (asked.static, asked.fused_adam, asked.graph) == (True, True, False)
    assert not choose(RecoverConfig(static_shapes="off"), "cuda", 32).static
    committee = choose(RecoverConfig(committee=True), "cuda", 32)
    assert (committee.static, committee.graph) == (True, False)
    assert FastPath.from_record(card.to_record()) == card


def test_a_step_in_less_memory_has_no_graph():
    config = CONFIG.replace(iterations=5)
    steps = StaticSteps(None, None, config, FastPath(static=True, graph=True, low_memory=True))
    assert not steps._is_captured
