"""Runs of the methods that take real images by a score: which images, scored once, the same again."""

import numpy as np
import pytest
import torch
from tiny_data import tiny_dataset
from tiny_world import SQUEEZE, finished, images_of

from delt_engine.config import SqueezeConfig
from delt_engine.config.methods import CORESETS
from delt_engine.models.card import read_card
from delt_engine.models.teachers import load_teacher
from delt_engine.patches import coresets
from delt_engine.runs.events import StageEvent
from delt_engine.runs.strips import read_png
from delt_engine.training.squeeze import squeeze

pytest_plugins = ["tiny_world"]

QUICK = {"score_networks": 2, "score_epochs": 2}


@pytest.mark.parametrize("method", CORESETS)
def test_a_coreset_is_of_real_images_and_is_scored_once(world, settings, method):
    quick = {} if method == "herding" else QUICK
    run = finished(world / "one", settings(method, select=quick))
    train = tiny_dataset().train
    for image in run.selection():
        row = image.patches[0].image_index
        assert np.array_equal(read_png(run.image_path(image.class_index, image.index)), train.pixels([row])[0])
        assert train.labels[row] == image.class_index
    scored = [event for event in run.events(StageEvent) if event.stage == "scores"]
    assert not any(event.cached for event in scored)
    again = finished(world / "two", settings(method, select=quick))
    assert [event.cached for event in again.events(StageEvent) if event.stage == "scores"] in ([True], [])
    assert [image.patches for image in again.selection()] == [image.patches for image in run.selection()]
    assert len(images_of(run)) == len(images_of(again))


def test_el2n_is_the_mean_over_its_trainings(world, settings):
    run = finished(world / "one", settings("el2n", select=QUICK))
    data, card = tiny_dataset(), read_card(world / "home" / "teachers" / "colours.safetensors")
    images = torch.from_numpy(data.train.pixels(np.arange(len(data.train)))).permute(0, 3, 1, 2) / 255
    images = (images - 0.4) / 0.3
    norms = []
    for seed in (0, 1):
        config = SqueezeConfig(network=SQUEEZE.network, width=SQUEEZE.width, epochs=2)
        *_, result = squeeze(data, config, seed=seed, device="cpu")
        with torch.no_grad():
            errors = result.network(images).softmax(1).numpy() - np.eye(data.spec.num_classes)[data.train.labels]
        norms.append(np.linalg.norm(errors, axis=1))
    found = coresets.stored_scores(data.fingerprint, card, run.experiment.select, 0)
    assert np.allclose(found, np.mean(norms, axis=0), atol=1e-5)


def test_herding_goes_by_the_teachers_features(world, settings):
    run = finished(world / "one", settings("herding"))
    data = tiny_dataset()
    teacher = load_teacher(str(world / "home" / "teachers" / "colours.safetensors"))
    images = torch.from_numpy(data.train.pixels(np.arange(len(data.train)))).permute(0, 3, 1, 2) / 255
    layer = [one for one in teacher.network.modules() if isinstance(one, torch.nn.Linear)][-1]
    given = []
    layer.register_forward_pre_hook(lambda _layer, inputs: given.append(inputs[0].flatten(1)))
    teacher.network((images - 0.4) / 0.3)
    first = [image.patches[0].image_index for image in run.selection() if image.index == 0]
    for label, chosen in enumerate(first):
        rows = np.flatnonzero(data.train.labels == label)
        own = given[0].detach().numpy()[rows]
        assert chosen == rows[np.linalg.norm(own - own.mean(0), axis=1).argmin()]
