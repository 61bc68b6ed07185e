"""What the missing work of a cell takes: each network by its own data and size, the images, and the students."""

from __future__ import annotations

import pytest
from paper_runs import printed

from delt_engine.analysis.cost import Rate, RateKey, predicted_bytes
from delt_engine.config import SqueezeConfig
from delt_engine.jobs.prices import Known, Price, recovery_price, teacher_price
from delt_engine.papers.cells import paper_cell
from delt_engine.papers.published import PublishedValue
from delt_engine.pipeline import table_view
from delt_engine.pipeline.table_records import CellView

NOTHING = Known((), (), "cuda", None)
"""A machine with a graphics card on which nothing was measured yet."""

TRAIN_IMAGES = {"imagenet-100": 126_689, "imagenet-1k": 1_281_167, "cifar100": 50_000}


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))


def view_of(value: PublishedValue, device: str = "cuda") -> CellView:
    """A number of a table as it stands where there is nothing yet."""
    looked = table_view._Looked.at((), device)  # noqa: SLF001 (one cell; a table of them takes long)
    return table_view._cell_view(CellView(value, (), (), paper_cell(value)), looked)  # noqa: SLF001


def trainings(view: CellView) -> dict[str, float]:
    """Hours of the networks that are trained first, by dataset and kind."""
    parts = {key: price for key, price in view.parts.items() if key.startswith("squeeze ")}
    words = {key: [word.split("=")[1].strip("',") for word in key.split("(")[1].split()[:3]] for key in parts}
    return {f"{words[key][0]} {words[key][2]}": price.hours for key, price in parts.items()}


def hours(dataset: str, size: int, squeeze: SqueezeConfig) -> float:
    return teacher_price(squeeze, TRAIN_IMAGES[dataset], size, NOTHING).hours


def test_a_ranker_of_other_data_costs_what_its_own_data_takes() -> None:
    value = printed("DELT Table 10", order="delt")
    squeeze = paper_cell(value).experiment.squeeze
    found = trainings(view_of(value))
    assert found == pytest.approx(
        {
            "imagenet-100 resnet18": hours("imagenet-100", 224, squeeze),
            "imagenet-1k resnet18": hours("imagenet-1k", 224, squeeze),
        }
    )
    assert found["imagenet-1k resnet18"] / found["imagenet-100 resnet18"] == pytest.approx(1_281_167 / 126_689)
    assert min(found.values()) > 1


@pytest.mark.parametrize(
    ("about", "kinds", "fetched"),
    [
        (
            {"dataset": "imagenet-1k"},
            {"resnet18", "mobilenet_v2", "efficientnet_b0", "shufflenet_v2_x0_5"},
            {"resnet18", "mobilenet_v2", "efficientnet_b0", "shufflenet_v2_x0_5"},
        ),
        (
            {"dataset": "tiny-imagenet"},
            {"resnet18", "mobilenet_v2", "efficientnet_b0", "shufflenet_v2_x0_5", "convnet-3"},
            set(),
        ),
    ],
)
def test_a_committee_is_in_the_price_and_published_weights_save_their_trainings(about, kinds, fetched) -> None:
    view = view_of(printed("DELT Table 6", method="gvbsm", **about))
    assert trainings(view).keys() == {f"{about['dataset']} {kind}" for kind in kinds}
    assert set(view.published.values()) == {f"torchvision:{kind}" for kind in fetched}
    assert view.published.keys() <= view.parts.keys()


def test_who_relabels_is_in_the_price() -> None:
    value = printed("CDA Table 19", relabel="resnet18", student="resnet50")
    squeeze = paper_cell(value).experiment.squeeze
    found = trainings(view_of(value))
    assert found == pytest.approx(
        {
            "imagenet-1k densenet121": hours("imagenet-1k", 224, squeeze),
            "imagenet-1k resnet18": hours("imagenet-1k", 224, squeeze.replace(network="resnet18")),
        }
    )


def test_disk_is_that_of_the_images_and_memory_is_known_from_a_like_recovery() -> None:
    view = view_of(printed("DELT Table 4c", MI=1000, RI=500))
    experiment = view.cell.experiment
    assert view.price.memory_mb is None
    assert view.price.disk_bytes == predicted_bytes(experiment.recover, 1000, 224)
    rate = Rate(RateKey("cuda", "teacher", 224, 100), 0.0, 0.001, memory_mb=3000.0)
    known = Known((rate,), (), "cuda", None)
    price = recovery_price(experiment, 1000, 224, "teacher", known)
    assert (price.memory_mb, price.disk_bytes) == (3000.0, view.price.disk_bytes)
    both = price + Price(60.0) + Price(60.0, 5000.0, 7)
    assert (both.memory_mb, both.disk_bytes) == (5000.0, price.disk_bytes + 7)  # one after the other, and side by side


def test_what_starts_from_random_patches_pays_for_no_ranker() -> None:
    value = printed("CDA Table 1", ipc=10, method="dm")
    assert trainings(view_of(value)).keys() == {"cifar100 convnet-3"}
