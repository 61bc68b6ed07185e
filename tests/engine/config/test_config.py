import json

import pytest

from delt_engine.config import (
    METHOD_SETTINGS,
    EvaluateConfig,
    Experiment,
    RankConfig,
    RecoverConfig,
    SelectConfig,
    SqueezeConfig,
    field_specs,
)
from delt_engine.config.methods import DELT_PLUS
from delt_engine.config.presets import PRESETS, PUBLISHED, Preset
from delt_engine.errors import ConfigError


@pytest.mark.parametrize(
    ("record", "values", "sentence"),
    [
        (RecoverConfig, {"ipc": 0}, r"ipc: 0 given, but it must be at least 1\."),
        (RecoverConfig, {"learning_rate": 0}, r"learning_rate: 0 given, but it must be above 0"),
        (RecoverConfig, {"r_bn": float("nan")}, r"r_bn: nan given, but .*finite"),
        (RecoverConfig, {"r_bn": "much"}, r"r_bn: 'much' given, but .*number"),
        (
            RecoverConfig,
            {"curriculum": "sine"},
            r"curriculum: 'sine' given, but it must be one of 'cosine', 'linear'",
        ),
        (RecoverConfig, {"ricecake": 1}, r"ricecake: there is no such setting in RecoverConfig"),
        (
            RecoverConfig,
            {"min_crop": 0.9, "max_crop": 0.5},
            r"min_crop: 0.9 given, but it must not be above max_crop = 0.5",
        ),
        (RankConfig, {"min_crop": 0.9, "max_crop": 0.5}, r"min_crop: 0.9 given"),
        (SelectConfig, {"mosaic": 7}, r"mosaic: 7 given, but it must be at most 6"),
        (SelectConfig, {"pinned": [3, -1]}, r"pinned: -1 given, but rows of a ranking count from 0"),
        (SelectConfig, {"pinned": [3], "dropped": [4, 3]}, r"patch 3 given, but it is dropped as well"),
        (SqueezeConfig, {"epochs": 0}, r"epochs: 0 given, but it must be at least 1"),
        (Experiment, {"classes": []}, r"classes: an empty list given, but at least one class is needed"),
        (Experiment, {"recover": {"ipc": 0}}, r"ipc: 0 given, but it must be at least 1"),
    ],
)
def test_a_wrong_value_is_one_sentence(record, values, sentence) -> None:
    with pytest.raises(ConfigError, match=sentence) as caught:
        record(**values)
    assert "\n" not in str(caught.value)


def test_records_are_frozen_and_hash_by_value() -> None:
    config = RecoverConfig(ipc=3)
    with pytest.raises(Exception, match="frozen"):
        config.ipc = 4
    assert hash(config) == hash(RecoverConfig(ipc=3))
    assert config.replace(ipc=4).ipc == 4
    with pytest.raises(ConfigError, match="ipc"):
        config.replace(ipc=-1)


def test_defaults_are_those_of_the_paper_table() -> None:
    config = RecoverConfig()
    assert (config.iterations, config.round_iterations, config.batch_size) == (4000, 500, 100)
    assert (config.learning_rate, config.beta1, config.beta2) == (0.25, 0.5, 0.9)
    assert (config.r_bn, config.first_bn_multiplier) == (0.01, 10.0)
    assert (config.milestone, config.min_crop, config.max_crop) == (1.0, 0.08, 1.0)
    assert PUBLISHED.experiment().recover == config


@pytest.mark.parametrize(
    ("method", "initialization", "early_late", "curriculum", "jitter"),
    [
        ("delt", "patches", True, "cosine", 0),
        ("cda-init", "patches", False, "cosine", 4),
        ("cda", "noise", False, "cosine", 4),
        ("sre2l", "noise", False, "constant", 4),
    ],
)
def test_methods_are_the_same_record_with_other_settings(method, initialization, early_late, curriculum, jitter):
    settings = {"initialization": initialization, "early_late": early_late, "curriculum": curriculum, "jitter": jitter}
    config = RecoverConfig.for_method(method, ipc=2)
    assert {name: getattr(config, name) for name in settings} == settings
    assert RecoverConfig.for_method(method, learning_rate=0.1).learning_rate == 0.1
    with pytest.raises(ConfigError, match="method: 'dalt' given, but it must be one of delt, delt-plus, cda, cda-init"):
        RecoverConfig.for_method("dalt")


@pytest.mark.parametrize("method", ["rded", "random"])
def test_methods_that_optimise_nothing_have_no_iterations_and_no_rounds(method) -> None:
    recover = RecoverConfig.for_method(method, ipc=3)
    schedule = recover.schedule
    assert (recover.is_optimised, recover.iterations, recover.initialization) == (False, 0, "patches")
    assert (schedule.num_rounds, schedule.has_rounds) == (0, False)
    assert (schedule.newcomers, schedule.start_rounds) == ((3,), (1, 1, 1))
    assert (schedule.image_iterations(10), schedule.image_iterations_each, schedule.saved_percent) == (0, (0, 0, 0), 0)
    with pytest.raises(ConfigError, match=f"{method} given with MI = 40 from patches, but it optimises nothing"):
        RecoverConfig.for_method(method, iterations=40, round_iterations=10)
    with pytest.raises(ConfigError, match="iterations: 0 given, but delt needs at least 1"):
        RecoverConfig(iterations=0)


def test_a_method_sets_the_stages_before_the_recovery() -> None:
    rded = Experiment.for_method("rded", size=32, recover={"ipc": 2})
    assert (rded.rank.crops, rded.select.criterion, rded.select.mosaic, rded.recover.ipc) == (5, "top", 1, 2)
    assert rded.select.one_per_image
    assert (rded.rank.min_crop, rded.rank.max_crop) == (0.08, 1.0)  # RandomResizedCrop's own limits
    assert [Experiment.for_method("rded", size=size).select.mosaic for size in (64, 65, 224, None)] == [1, 2, 2, 1]
    assert Experiment.for_method("rded", image_size=128).select.mosaic == 2
    assert Experiment.for_method("random").select.criterion == "random"
    assert Experiment.for_method("cda") == Experiment(recover=RecoverConfig.for_method("cda"))
    given = Experiment.for_method("rded", size=224, select={"mosaic": 3}, rank=RankConfig(crops=7))
    assert (given.select.mosaic, given.select.criterion, given.rank) == (3, "top", RankConfig(crops=7))


@pytest.mark.parametrize(
    ("base", "variant", "differs"),
    [
        ("delt", "delt-plus", {*DELT_PLUS}),
        ("cda", "cda-init", {"initialization"}),
        ("sre2l", "sre2l-init", {"initialization"}),
        ("cda", "sre2l", {"curriculum"}),
        ("cda", "cda-early-late", {"early_late", "batching"}),
        ("cda-early-late", "delt", {"initialization", "jitter"}),
    ],
)
@pytest.mark.parametrize("size", [32, 224])
def test_a_variant_differs_in_one_thing(base, variant, differs, size) -> None:
    one, other = (RecoverConfig.for_method(name, size=size).model_dump() for name in (base, variant))
    assert {name for name in one if one[name] != other[name]} == {"method", *differs}


def test_the_jitter_of_cda_and_sre2l_goes_by_the_size_of_the_images() -> None:
    sizes = (None, 32, 64, 65, 224)
    for method in ("cda", "cda-init", "cda-early-late", "sre2l", "sre2l-init"):
        assert [RecoverConfig.for_method(method, size=size).jitter for size in sizes] == [4, 4, 4, 32, 32]
        assert Experiment.for_method(method, image_size=128).recover.jitter == 32
    assert RecoverConfig.for_method("cda", size=224, jitter=7).jitter == 7
    assert RecoverConfig.for_method("delt", size=224).jitter == 0


def test_g_vbsm_goes_by_the_size_of_the_images_and_matches_more_than_others() -> None:
    names = ("learning_rate", "batch_size", "statistics_ema", "layer_drop", "patch_side", "pad", "jitter")
    found = {size: RecoverConfig.for_method("gvbsm", size=size) for size in (32, 64, 224)}
    assert {size: tuple(getattr(config, name) for name in names) for size, config in found.items()} == {
        32: (0.05, 100, 0.8, 0.4, 4, 4, 32),
        64: (0.05, 100, 0.8, 0.4, 4, 8, 32),
        224: (0.1, 80, 0.4, 0.0, 16, 0, 32),
    }
    for method in METHOD_SETTINGS:
        own = RecoverConfig.for_method(method)
        assert (own.matches_generally, own.committee) == (method == "gvbsm", method in ("gvbsm", "delt-plus"))


@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_an_experiment_is_read_back_as_written(tmp_path, suffix) -> None:
    experiment = Experiment(
        classes=("cat", "retina"),
        seed=7,
        recover=RecoverConfig.for_method("sre2l", ipc=3),
        select={"mosaic": 2},
    )
    text = experiment.to_yaml() if suffix == "yaml" else json.dumps(json.loads(experiment.model_dump_json()))
    path = tmp_path / f"experiment.{suffix}"
    path.write_text(text, encoding="utf-8")
    assert Experiment.read(path) == experiment


def test_an_experiment_file_may_name_only_the_method_and_asks_for_the_images_size(tmp_path) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text("recover: {method: cda, ipc: 2}\n", encoding="utf-8")
    assert Experiment.read(path).recover == RecoverConfig.for_method("cda", ipc=2)
    path.write_text("dataset: large\nrecover: {method: cda}\n", encoding="utf-8")
    assert Experiment.read(path, {"large": 224}.get).recover.jitter == 32
    path.write_text("dataset: large\nrecover: {method: rded}\nrank: {crops: 3}\n", encoding="utf-8")
    found = Experiment.read(path, {"large": 224}.get)
    assert (found.rank.crops, found.select.mosaic, found.select.criterion) == (3, 2, "top")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read"),
        ("recover: [", "neither YAML nor JSON"),
        ("- 1\n- 2\n", "must hold names and values, but holds list"),
        ("datset: photos\n", "datset: there is no such setting in Experiment"),
        ("classes: 5\n", "classes: 5 given"),
        ("2024: x\n", "2024: there is no such setting in Experiment"),
        ("on: 1\n", "True: there is no such setting in Experiment"),
        ("self: 1\n", "self: there is no such setting in Experiment"),
        ("size: 32\nrecover: {ipc: 1}\n", "size: there is no such setting in Experiment"),
        ("method: cda\nrecover: {}\n", "method: there is no such setting in Experiment"),
        ("recover: {method: [delt]}\n", r"method: \['delt'\] given, but it must be one of delt"),
        ("recover: {method: a}\n", "method: 'a' given, but it must be one of delt"),
        ("recover: {size: 5}\n", "size: there is no such setting in RecoverConfig"),
        ("evaluate: {recipe: [delt]}\n", r"recipe: \['delt'\] given, but it must be one of"),
        ("rank: {no: 1}\n", "False: there is no such setting in RankConfig"),
        ("image_size: x\nrecover: {method: cda}\n", "image_size: 'x' given"),
        ("a: " + "[" * 1_000, "nested too deeply"),
        ("seed: 2020-13-45\n", "neither YAML nor JSON"),
        ("seed: " + "9" * 5000, "neither YAML nor JSON"),
        ("a: &a !!python/object/apply:os.system [id]\n", "neither YAML nor JSON"),
        ('dataset: "\\ud800"\n', "neither YAML nor JSON"),
    ],
)
def test_a_wrong_experiment_file_is_one_sentence(tmp_path, content, sentence) -> None:
    path = tmp_path / "experiment.yaml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=sentence):
        Experiment.read(path)


def test_field_specs_carry_what_a_control_needs() -> None:
    specs = {spec.name: spec for spec in field_specs(RecoverConfig)}
    assert specs["iterations"].flag == "--mi"
    assert specs["round_iterations"].flag == "--ri"
    assert (specs["ipc"].kind, specs["ipc"].minimum, specs["ipc"].default) == ("int", 1, 10)
    assert specs["curriculum"].choices == ("cosine", "linear", "step", "constant", "reverse")
    assert specs["early_late"].kind == "bool"
    assert all(spec.help.endswith(".") and spec.title for spec in specs.values())
    assert {spec.name: spec.kind for spec in field_specs(Experiment)}["classes"] == "texts"


def test_every_flag_is_used_once_in_a_command() -> None:
    records = (Experiment, RankConfig, SelectConfig, RecoverConfig)
    flags = [spec.flag for record in records for spec in field_specs(record)]
    assert len(flags) == len(set(flags))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.title)
def test_every_preset_is_valid_and_names_its_origin(preset: Preset) -> None:
    recover = preset.experiment().recover
    assert recover.schedule.num_rounds == preset.iterations // preset.round_iterations
    assert recover.ipc == preset.ipc
    assert preset.origin
    assert preset.recover("random").iterations == 0


@pytest.mark.parametrize(
    ("record", "name", "words"),
    [
        (RecoverConfig, "flip", ("RandomHorizontalFlip", "recovery code of SRe2L, CDA and DELT")),
        (RecoverConfig, "first_bn_multiplier", ("--first-bn-multiplier", "no paper prints it")),
        (RecoverConfig, "min_crop", ("DELT Table 12", "CDA Sec. 3.1", "gamma 0.92")),  # 1 - 0.08
        (
            EvaluateConfig,
            "batch_size",
            ("10 at IPC 1, 50 at IPC 10, 100 at IPC 50", "doubles them from 100 classes on"),
        ),
    ],
)
def test_settings_say_where_their_defaults_are_from(record, name, words) -> None:
    (source,) = [spec.source for spec in field_specs(record) if spec.name == name]
    assert all(word in source for word in words)


def test_a_variant_says_all_that_it_changes() -> None:
    cda, late = METHOD_SETTINGS["cda"], METHOD_SETTINGS["cda-early-late"]
    assert {name for name in late if late[name] != cda[name]} == {"early_late", "batching"}
    (said,) = [spec.help for spec in field_specs(RecoverConfig) if spec.name == "method"]
    assert "cda-early-late adds EarlyLate and, for it, batches of whole classes" in said
