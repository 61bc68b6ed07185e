"""The public API: its document runs as it stands, its images are those of delt recover, and type checkers see it."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest
from tiny_data import tiny_dataset
from tiny_world import finished

import delt_engine
from delt_engine.config import EvaluateConfig, RecoverConfig
from delt_engine.errors import ConfigError, DataError
from delt_engine.models.teachers import load_teacher
from delt_engine.paths import assets_dir
from delt_engine.pipeline.in_memory import evaluate, recover
from delt_engine.recovery.loop import RecoverStep
from delt_engine.runs.strips import read_png
from delt_engine.training.image_table import ImageTable
from delt_engine.training.records import StudentResult

pytest_plugins = ["tiny_world"]


def test_the_document_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    first, second = re.findall(r"```python\n(.*?)```", (assets_dir() / "docs" / "api.md").read_text(), re.DOTALL)
    names: dict = {}
    exec(first, names)
    exec(second, names)
    assert len(names["losses"]) == 4
    assert names["images"].image_u8.shape == (4, 32, 32, 3)
    assert re.search(r"top-1 \d+\.\d %\n.*cifar10-delt 100", capsys.readouterr().out)
    assert (tmp_path / "cifar10-delt" / "train").is_dir()


def test_images_are_those_of_a_run_to_the_bit(world, settings):
    run = finished(world / "run", settings("delt"))
    dataset, config = tiny_dataset(), run.experiment.recover
    teacher = load_teacher("colours", dataset=dataset)
    records = list(recover(dataset, teacher, config, run.selection(), seed=0, device="cpu"))
    assert sum(isinstance(one, RecoverStep) for one in records) == config.iterations
    table = records[-1]
    assert isinstance(table, ImageTable)
    made = np.stack([read_png(run.image_path(c, index)) for c in run.classes for index in range(config.ipc)])
    assert np.array_equal(table.image_u8, made)
    config = EvaluateConfig.for_recipe("delt", epochs=1, batch_size=4)
    *_, result = evaluate(table, dataset, teacher, config, device="cpu")
    assert isinstance(result, StudentResult)
    assert len(result.per_class) == 3


def test_what_it_cannot_do_is_a_sentence(world):
    dataset = tiny_dataset()
    teacher = load_teacher("colours", dataset=dataset)
    with pytest.raises(ConfigError, match="method: 'rded' given"):
        next(recover(dataset, teacher, RecoverConfig.for_method("rded", ipc=1)))
    with pytest.raises(DataError, match="selection: image 0 of 'red' has no patch"):
        next(recover(dataset, teacher, RecoverConfig(ipc=1, iterations=1, round_iterations=1), device="cpu"))


def test_type_checkers_see_the_names_that_load_on_first_use():
    tree = ast.parse(Path(delt_engine.__file__).read_text())
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.asname: node.module.removeprefix("delt_engine.")
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == delt_engine._PUBLIC
