from dataclasses import replace

import numpy as np
import pytest

from delt_engine.config.students import EvaluateConfig
from delt_engine.errors import ConfigError
from delt_engine.models.card import TeacherCard, find_teacher, read_card
from delt_engine.training.image_table import ImageTable
from delt_engine.training.recipe import recipe_changes, resolve


def table(ipc: int, classes: int = 10, size: int = 32) -> ImageTable:
    names = tuple(f"class {index}" for index in range(classes))
    labels = np.repeat(np.arange(classes), ipc)
    return ImageTable(np.zeros((len(labels), size, size, 3), np.uint8), labels, names, (0.5,) * 3, (0.5,) * 3, ipc=ipc)


def card(network: str = "resnet18", width: float = 0.25) -> TeacherCard:
    return replace(read_card(find_teacher("photos")), network=network, width=width)


def test_what_was_given_stays():
    given = EvaluateConfig(
        student="mobilenet_v2",
        student_width=0.5,
        student_stem="stock",
        batch_size=7,
        learning_rate=0.3,
        rand_augment="none",
    )
    assert resolve(given, card=card(), train=table(10)) == given


@pytest.mark.parametrize(
    ("settings", "known", "expected"),
    [
        ({}, {"train": table(10), "dataset_name": "photos"}, ("resnet18", 0.25, "small", 50, 0.001, "m5-n4-mstd1")),
        ({"student": "mobilenet_v2"}, {"train": table(1), "dataset_name": "cifar10"}, (1.0, 10, 0.0025)),
        ({}, {"train": table(1), "image_size": 224}, ("stock", "m6-n2-mstd1")),
        *(
            ({}, {"train": table(ipc, classes, size=2), "dataset_name": name, "image_size": 32}, (size,))
            for ipc, classes, name, size in (
                (1, 10, "cifar10", 10),
                (50, 10, "cifar10", 100),
                (10, 100, "cifar100", 100),
                (2, 200, "tiny-imagenet", 100),
                (1, 4, "", 4),
            )
        ),
        *(
            ({"student": student}, {"train": table(50, 100, size=2), "dataset_name": name, "image_size": 224}, (size,))
            for student, name, size in (
                ("resnet101", "imagenet-1k", 100),  # half a batch
                ("resnet101", "imagenet-100", 100),
                ("resnet50", "imagenet-1k", 200),
                ("resnet101", "imagenette", 200),
            )
        ),
        ({"recipe": "sre2l"}, {"train": table(10)}, (100,)),  # never larger than the set
    ],
)
def test_what_is_left_open_is_filled_in(settings, known, expected):
    config = resolve(EvaluateConfig.for_recipe(**{"recipe": "delt", **settings}), card=card(), **known)
    found = [config.student, config.student_width, config.student_stem, config.batch_size, config.learning_rate]
    assert set(expected) <= {*found, config.rand_augment}


def test_a_convnet3_that_learns_cifar100_from_another_one_is_the_published_exception():
    known = {"train": table(10, 100), "dataset_name": "cifar100"}
    found = resolve(EvaluateConfig(student="convnet-3"), card=card("convnet-3"), **known)
    assert (found.batch_size, found.learning_rate) == (25, 0.002)
    found = resolve(EvaluateConfig(student="convnet-3"), card=card("resnet18"), **known)
    assert (found.batch_size, found.learning_rate) == (100, 0.001)


def test_rded_crops_by_the_tiles_of_its_mosaics():
    # RDED's validation: shares from 1 / factor, with factor 1 up to 64 px and 2 above
    config = EvaluateConfig.for_recipe("rded")
    known = {"card": card(), "train": table(10)}
    assert resolve(config, **known).min_crop == 1.0
    assert resolve(config, **known, image_size=224).min_crop == 0.5
    assert resolve(config.replace(min_crop=0.3), **known).min_crop == 0.3
    assert resolve(EvaluateConfig(), **known).min_crop == 0.25
    assert recipe_changes(config, **known) == {}
    assert recipe_changes(config.replace(min_crop=0.3), **known) == {"min_crop": (1.0, 0.3)}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"student": "resnet19"}, r"network: 'resnet19' given, .*near it are resnet18"),
        ({"student": "convnet-6"}, r"convnet-6 given, but it needs images of at least 64 px, not 32 px"),
        ({"student": "densenet121", "student_width": 0.5}, r"width: 0.5 given, but densenet121 comes in width 1 only"),
        ({}, r"student: 'auto' given, but there is no teacher to take the network from"),
    ],
)
def test_a_student_that_cannot_be_is_one_sentence(settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        resolve(EvaluateConfig(**settings), card=None, train=table(1))
    assert "\n" not in str(caught.value)


NETWORKS = """
resnet18 resnet50 resnet101 mobilenet_v2 efficientnet_b0 mnasnet1_3 regnet_y_8gf regnet_y_400mf convnet-3 convnet-4
convnet-5 densenet121 convnext_tiny deit_tiny_patch16_224 resnet10t
"""


@pytest.mark.parametrize(
    ("name", "size", "stem"),
    [
        *((name, 32, "stock" if name.startswith("convnet-") else "small") for name in NETWORKS.split()),
        *((name, 64, "small") for name in ("resnet18", "mnasnet1_3", "convnext_tiny", "deit_tiny_patch16_224")),
        *((name, 224, "stock") for name in ("resnet18", "convnet-6", "mnasnet1_3", "deit_tiny_patch16_224")),
    ],
)
def test_students_of_the_papers_exist_at_usual_sizes(name, size, stem):
    assert resolve(EvaluateConfig(student=name), card=None, train=table(1), image_size=size).student_stem == stem


def test_changes_are_told_against_the_resolved_recipe():
    known = {"card": card(), "train": table(10), "dataset_name": "photos"}
    assert recipe_changes(EvaluateConfig(), **known) == {}
    assert recipe_changes(resolve(EvaluateConfig(), **known), **known) == {}
    assert recipe_changes(EvaluateConfig(batch_size=50), **known) == {}
    changes = recipe_changes(EvaluateConfig(batch_size=25, epochs=30, student="convnet-3"), **known)
    assert changes == {"batch_size": (50, 25), "epochs": (300, 30)}
