"""Methods in a comparison: each under its own paper's settings for the dataset, or all under the same."""

import pytest

from delt_engine.config import METHOD_SETTINGS, Experiment, RankConfig, RecoverConfig, SelectConfig
from delt_engine.config.methods import DELT_PLUS
from delt_engine.papers.method_settings import method_settings, published_squares, settings_like, taken_over

NAMES = ("iterations", "round_iterations", "r_bn", "learning_rate", "min_crop", "flip", "jitter", "curriculum")
NAMES += ("batching", "initialization", "early_late")
# DELT Table 8b; CDA Tables 10b, 12b and 16d, B.1; SRe2L's recover_cifar.py, recover_tiny.py and data_synthesis.py
NOISE = ("one-per-class", "noise", False)
TABLES = {
    ("tiny-imagenet", 64): {
        "delt": (4000, 500, 0.01, 0.25, 0.08, True, 0, "cosine", "classes", "patches", True),
        "cda": (4000, 4000, 1.0, 0.1, 0.08, True, 4, "cosine", *NOISE),
        "sre2l": (4000, 4000, 1.0, 0.1, 0.08, True, 4, "constant", *NOISE),
    },
    ("cifar100", 32): {
        "delt": (4000, 500, 0.01, 0.25, 0.08, True, 0, "cosine", "classes", "patches", True),
        "cda": (1000, 1000, 0.01, 0.25, 0.4, True, 4, "cosine", *NOISE),
        "sre2l": (1000, 1000, 0.01, 0.25, 1.0, False, 4, "constant", *NOISE),
    },
    ("imagenette", 224): {
        "delt": (4000, 500, 0.01, 0.25, 0.08, True, 0, "cosine", "classes", "patches", True),
        "cda": (4000, 4000, 0.01, 0.25, 0.08, True, 32, "cosine", *NOISE),
        "sre2l": (4000, 4000, 0.01, 0.25, 0.08, True, 32, "constant", *NOISE),
    },
}
TABLES["photos", 32] = TABLES["cifar100", 32]
# nearest to Tiny-ImageNet's 64 px, but rolled as larger images
TABLES["/some/folder", 100] = {
    name: (*row[:6], 32 if row[6] else 0, *row[7:]) for name, row in TABLES["tiny-imagenet", 64].items()
}


def of(method: str, dataset: str, size: int, basis: str = "published", **typed):
    return method_settings(method, Experiment(dataset=dataset), basis, typed, size)


def row(recover: RecoverConfig) -> tuple:
    return tuple(getattr(recover, name) for name in NAMES)


@pytest.mark.parametrize(("dataset", "size"), TABLES)
def test_each_method_has_its_papers_settings_or_those_nearest_in_size(dataset, size) -> None:
    for method, expected in TABLES[dataset, size].items():
        assert row(of(method, dataset, size).experiment.recover) == expected, method


@pytest.mark.parametrize(("dataset", "size"), TABLES)
@pytest.mark.parametrize("basis", ["published", "equal"])
def test_variants_take_the_settings_of_what_they_vary(dataset, size, basis) -> None:
    for base, variant, differs in (
        ("delt", "delt-plus", {*DELT_PLUS}),
        ("cda", "cda-init", {"initialization"}),
        ("sre2l", "sre2l-init", {"initialization"}),
        ("cda", "cda-early-late", {"early_late", "batching", "round_iterations"}),
    ):
        one, other = (of(name, dataset, size, basis).experiment.recover.model_dump() for name in (base, variant))
        assert {name for name in one if one[name] != other[name]} == {"method", *differs}
    assert of("cda-early-late", dataset, size, basis).experiment.recover.round_iterations == 500  # DELT's


@pytest.mark.parametrize(("dataset", "size"), TABLES)
def test_equal_settings_are_the_defaults_whatever_the_dataset(dataset, size) -> None:
    for method in ("delt", "cda", "sre2l"):
        made = of(method, dataset, size, "equal", r_bn=0.02).experiment.recover
        plain = RecoverConfig.for_method(method, size=size, r_bn=0.02)
        assert made == plain.replace(round_iterations=500 if method == "delt" else 4000)


def test_where_the_settings_are_from_is_said() -> None:
    assert of("cda", "tiny-imagenet", 64).origin == "CDA Table 12b"
    assert of("cda-init", "photos", 32).origin == "CDA Table 10b for CIFAR-100"
    assert of("delt", "photos", 64).origin == "DELT Table 8b for Tiny-ImageNet"
    assert of("sre2l", "imagenet-1k", 224).origin == "SRe2L's published code (data_synthesis.py)"
    assert of("rded", "photos", 32).origin == "RDED's published code"
    assert of("cda", "photos", 32, "equal").origin == "the same settings"


def test_one_image_a_class_and_other_teachers_have_their_own_rows() -> None:
    assert of("delt", "cifar10", 32, ipc=1).experiment.recover.iterations == 2000  # DELT Table 8c
    dense = method_settings("cda", Experiment(dataset="imagenet-1k"), "published", {}, 224, "densenet121")
    assert (dense.experiment.recover.learning_rate, dense.experiment.recover.iterations) == (0.5, 1000)  # Table 16d


@pytest.mark.parametrize(
    ("methods", "dataset", "size", "resize"),
    [
        ("sre2l cda rded delt random", "imagenet-1k", 224, "published"),
        ("sre2l cda", "imagenet-1k", 224, "published"),
        ("sre2l cda delt", "tiny-imagenet", 64, "published"),  # DELT's and RDED's, who rank real pictures
        ("sre2l cda", "tiny-imagenet", 64, "whole"),  # recover_tiny.py
        ("cda delt", "imagenet-21k", 224, "published"),  # CDA's code shows all of them, DELT has none for it
        ("cda", "imagenet-21k", 224, "whole"),
        ("delt rded", "cifar10", 32, "whole"),  # its pictures are of 32 px themselves
        ("delt rded", "photos", 64, "whole"),  # built in
        ("delt rded", "/some/folder", 96, "published"),
    ],
)
def test_pictures_become_squares_in_one_way_for_all_methods(methods, dataset, size, resize) -> None:
    assert published_squares(methods.split(), dataset, size) == resize


CHOSEN = {"select": SelectConfig(criterion="min", mosaic=3, pinned=(4,)), "rank": RankConfig(crops=2)}


@pytest.mark.parametrize("basis", ["published", "equal"])
def test_chosen_patches_reach_the_methods_that_start_from_them(basis) -> None:
    plan = Experiment(dataset="photos", seed=3, classes=("cat",), **CHOSEN)
    for method in METHOD_SETTINGS:
        made = method_settings(method, plan, basis, {}, 32).experiment
        own = made.recover.initialization == "patches" and made.recover.is_optimised
        plain = Experiment.for_method(method, size=32)
        assert (made.select, made.rank) == ((plan.select, plan.rank) if own else (plain.select, plain.rank)), method
        assert (made.seed, made.classes) == (3, ("cat",))
    rded = Experiment.for_method("rded", size=32, dataset="photos")  # its patches are its method
    assert method_settings("delt", rded, basis, {}, 32).experiment.select == SelectConfig()


def test_beside_a_shortened_run_all_methods_are_shortened() -> None:
    short = Experiment(dataset="cifar10", recover={"ipc": 4, "iterations": 200, "round_iterations": 50, "r_bn": 0.5})
    cda = settings_like("cda", short, "published", 32).experiment.recover
    assert (cda.ipc, cda.iterations, cda.round_iterations, cda.r_bn, cda.min_crop) == (4, 200, 50, 0.01, 0.4)
    cda = settings_like("cda", short, "equal", 32).experiment.recover
    assert (cda.iterations, cda.r_bn, cda.min_crop, cda.jitter) == (200, 0.5, 0.08, 4)
    whole = Experiment(dataset="cifar10", recover={"ipc": 10})
    cda = settings_like("cda", whole, "published", 32).experiment.recover
    assert (cda.iterations, cda.round_iterations) == (1000, 500)  # CDA's own, pictured every RI of the run
    assert "iterations" not in taken_over(whole, "published", 32)
    assert "iterations" in taken_over(whole.replace(dataset="photos"), "published", 32)  # which no paper has
    still = Experiment.for_method("random", dataset="cifar10", recover={"ipc": 7})
    assert taken_over(still, "equal", 32) == {"ipc": 7}
    assert settings_like("cda", still, "published", 32).experiment.recover.iterations == 1000


@pytest.mark.parametrize(("method", "iterations", "rate"), [("dm", 20_000, 1.0), ("dc", 10_000, 0.1)])
def test_batch_to_batch_methods_keep_their_own_rate_whatever_is_shared(method, iterations, rate):
    base = Experiment(dataset="photos")
    found = method_settings(method, base, "published", {"ipc": 10}, 32)
    assert (found.experiment.recover.iterations, found.experiment.recover.sgd_rate) == (iterations, rate)
    assert found.origin.endswith(" (main_DM.py)" if method == "dm" else " (main.py)")
    equal = settings_like(method, base, "equal", 32).experiment.recover
    assert (equal.iterations, equal.round_iterations, equal.sgd_rate, equal.siamese) == (4000, 500, rate, False)
