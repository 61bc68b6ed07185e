"""Named settings: valid, with the numbers of the tables they name."""

import pytest

from delt_engine.config import RecoverConfig
from delt_engine.config.presets import PAPER_PRESETS, PRESETS, PUBLISHED, Preset
from delt_engine.data.catalogue import CATALOGUE

ALL = {preset.title: preset for preset in (*PRESETS, *PAPER_PRESETS)}


@pytest.mark.parametrize("preset", ALL.values(), ids=lambda preset: preset.title)
def test_every_preset_is_valid_and_names_its_origin(preset: Preset) -> None:
    recover = preset.experiment().recover
    assert recover.schedule.num_rounds == preset.iterations // preset.round_iterations
    assert preset.origin
    assert not preset.dataset or preset.dataset in CATALOGUE
    if preset in PAPER_PRESETS:
        assert (recover.batch_size, recover.beta1, recover.beta2) == (100, 0.5, 0.9)  # the same in every table


def test_the_published_settings_are_the_defaults() -> None:
    assert PUBLISHED.experiment().recover == RecoverConfig()
    assert ALL["DELT, ImageNet-1K"].recover() == RecoverConfig()


def test_images_per_class_are_kept_where_the_table_has_them() -> None:
    assert ALL["DELT, CIFAR-10"].recover(ipc=50).ipc == 50
    assert ALL["DELT, CIFAR-10"].recover(ipc=7).ipc == 10
    assert ALL["CDA, CIFAR-100"].recover(ipc=7).ipc == 7
    assert ALL["Quick look"].recover(ipc=50).ipc == 10


def test_rows_of_the_tables() -> None:
    one = ALL["DELT, CIFAR-10, IPC 1"].recover(ipc=10)
    assert (one.ipc, one.iterations, one.schedule.has_rounds) == (1, 2000, False)
    tiny = ALL["CDA, Tiny-ImageNet"].recover()
    assert (tiny.r_bn, tiny.learning_rate, tiny.iterations, tiny.curriculum) == (1.0, 0.1, 4000, "cosine")
    assert not tiny.early_late
    cifar = ALL["SRe²L, CIFAR-100"].recover()
    assert (cifar.min_crop, cifar.max_crop, cifar.flip, cifar.curriculum) == (1.0, 1.0, False, "constant")
    assert ALL["CDA, CIFAR-100"].recover().min_crop == 0.4
