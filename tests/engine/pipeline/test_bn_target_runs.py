"""Runs whose BatchNorm targets are those of each class's real images: gathered once, kept, the same after a stop."""

import numpy as np
import pytest
from tiny_data import tiny_dataset
from tiny_world import finished, images_of, run_until_stopped, stop_at

from delt_engine.data.pixels import normalise, to_pixels
from delt_engine.models.bn_layers import bn_layers
from delt_engine.models.teachers import load_teacher
from delt_engine.pipeline import bn_targets, recover_batch
from delt_engine.pipeline.run import run_experiment
from delt_engine.runs.store import Run

pytest_plugins = ["tiny_world"]
pytestmark = pytest.mark.usefixtures("one_thread")


def seen_targets(monkeypatch):
    """Collect what the loop is given."""
    seen, loop = [], recover_batch.recover

    def watched(*args, **kwargs):
        seen.append((args[3], kwargs["targets"]))
        return loop(*args, **kwargs)

    monkeypatch.setattr(recover_batch, "recover", watched)
    return seen


@pytest.mark.parametrize("by", ["class", "difficulty"])
def test_a_class_is_matched_with_its_own_images_and_they_are_shown_once(world, settings, monkeypatch, by) -> None:
    finished(world / "first", settings("random"))  # ranks all classes, of which only two are recovered
    experiment = settings("delt", bn_targets=by, remix=0.5, batch_size=4, classes=("green", "blue"))
    seen = seen_targets(monkeypatch)
    whole = finished(world / "home" / "runs" / "whole", experiment)
    monkeypatch.setattr(bn_targets, "moments_by_group", lambda *a: pytest.fail("gathered again"))
    run = Run.create(world / "a", experiment)
    with monkeypatch.context() as patched:
        stop_at(patched, 4)
        run_until_stopped(run)
    run_experiment(run)
    assert images_of(run) == images_of(whole)
    # the first layer's mean of the last class, from the images that count for it
    plan, (targets,) = seen[1]  # a batch of four images a class
    assert [number for _, number in plan.class_groups] == [2]
    data, teacher = tiny_dataset().train, load_teacher("colours")
    rows = np.flatnonzero(data.labels == 2)
    if by == "difficulty":
        shown = normalise(to_pixels(data.pixels(rows)), teacher.card.mean, teacher.card.std)
        probability = dict(zip(rows, teacher.network(shown).softmax(1)[:, 2].tolist(), strict=True))
        order = sorted(rows, key=probability.__getitem__)
        third = {row: place * 3 // len(rows) for place, row in enumerate(order)}
        own = [patch.image_index for image in whole.selection() if image.class_index == 2 for patch in image.patches]
        wanted = np.mean([layer_mean(teacher, data, [r for r in rows if third[r] == third[o]]) for o in own], axis=0)
    else:
        wanted = layer_mean(teacher, data, rows)
    np.testing.assert_allclose(targets[0][0][0], wanted, rtol=1e-4, atol=1e-5)


def layer_mean(teacher, data, rows):
    """Mean a channel of what the first BatchNorm layer is given, by numpy."""
    found = []
    handle = bn_layers(teacher.network)[0].register_forward_pre_hook(lambda _layer, inputs: found.append(inputs[0]))
    teacher.network(normalise(to_pixels(data.pixels(rows)), teacher.card.mean, teacher.card.std))
    handle.remove()
    return found[0].numpy().mean((0, 2, 3))
