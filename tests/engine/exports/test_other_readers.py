"""Exports opened by the readers of others: torchvision, datasets, timm, webdataset, mlcroissant, NumPy and torch."""

import json
import runpy

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tiny_world import finished
from torchvision import models

from delt_engine.exports.contents import Contents
from delt_engine.exports.formats import FORMATS
from delt_engine.exports.parquet_shards import write_parquet
from delt_engine.exports.tar_shards import write_webdataset
from delt_engine.exports.training_lines import training_lines
from delt_engine.pipeline.export_set import export_run
from delt_engine.runs.strips import read_png

pytest_plugins = ["tiny_world"]

NAMES = ["red", "green", "blue"]


@pytest.fixture
def run(world, settings):
    return finished(world / "run", settings("random", ipc=2))


@pytest.fixture
def images(run) -> np.ndarray:
    return np.stack([read_png(run.image_path(c, index)) for c in run.classes for index in range(2)])


@pytest.fixture
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return str(tmp_path / "hf")


LABELS = [0, 0, 1, 1, 2, 2]


def same(found, images) -> bool:
    return np.array_equal(np.stack([np.asarray(one.convert("RGB")) for one in found]), images)


def test_torchvision_and_timm_read_the_folders(run, images, tmp_path):
    from timm.data import create_dataset
    from torchvision.datasets import ImageFolder

    done = export_run(run, "imagefolder", tmp_path / "out")
    found = ImageFolder(done.path / "train")
    assert [name.split("-")[-1] for name in found.classes] == NAMES
    assert found.targets == LABELS
    assert same([found[i][0] for i in range(6)], images)
    assert len(create_dataset("", root=str(done.path), split="train")) == 6
    soft = np.load(done.path / "soft_labels.npy")
    assert soft.shape == (6, 3)
    rows = [json.loads(line) for line in (done.path / "images.jsonl").read_text().splitlines()]
    assert [str(done.path / row["file"]) for row in rows] == [path for path, _ in found.samples]


def test_datasets_reads_table_folder_and_shards(run, images, tmp_path, offline):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    paths = {form: export_run(run, form, tmp_path / form).path for form in ("hf", "imagefolder", "webdataset")}
    for form, path in paths.items():
        found = datasets.load_dataset(str(path), split="train", cache_dir=offline)
        assert same(found["png" if form == "webdataset" else "image"], images)
        if form == "webdataset":
            assert found["cls"] == LABELS
            continue
        assert found["label"] == LABELS
        assert [name.split("-")[-1] for name in found.features["label"].names] == NAMES
    table = datasets.load_dataset(str(paths["hf"]), split="train", cache_dir=offline)
    assert table["class_id"] == LABELS
    assert np.allclose(table["soft_label"], np.load(paths["imagefolder"] / "soft_labels.npy"))


def test_timm_and_webdataset_read_the_shards(run, images, tmp_path):
    webdataset = pytest.importorskip("webdataset")
    from timm.data import create_dataset

    write_webdataset(Contents.of(run), tmp_path / "out", shard_images=4)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "_info.json",
        "train-00000.tar",
        "train-00001.tar",
    ]
    found = list(create_dataset("wds/x", root=str(tmp_path / "out"), split="train"))
    assert [label for _, label in found] == LABELS
    assert same([image for image, _ in found], images)
    urls = sorted(str(path) for path in (tmp_path / "out").glob("*.tar"))
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("pil").to_tuple("png", "cls", "json"))
    assert [about["class"] for _, _, about in samples] == [NAMES[label] for label in LABELS]


def test_mlcroissant_reads_the_tables(run, images, tmp_path):
    pytest.importorskip("mlcroissant")
    import mlcroissant

    export_run(run, "hf", tmp_path / "out")
    described = mlcroissant.Dataset(str(tmp_path / "out" / "croissant.json"))
    assert not described.metadata.ctx.issues.errors
    assert not described.metadata.ctx.issues.warnings
    assert described.metadata.ctx.is_v1_1()
    rows = list(described.records("images"))
    assert [row["images/label"] for row in rows] == LABELS
    assert same([row["images/image"] for row in rows], images)
    named = [row["classes/name"] for row in described.records("classes")]
    assert [name if isinstance(name, str) else name.decode() for name in named] == NAMES


def test_tables_are_cut_at_a_size_and_numbered(run, tmp_path):
    from pyarrow import parquet

    paths = write_parquet(Contents.of(run), tmp_path, shard_bytes=1)
    assert [path.name for path in paths][::5] == ["train-00000-of-00006.parquet", "train-00005-of-00006.parquet"]
    assert [parquet.read_table(path)["label"][0].as_py() for path in paths] == LABELS


def test_tensors_are_class_by_class_and_normalised(run, images, tmp_path):
    path = export_run(run, "dd-ranking", tmp_path / "out").path
    tensor = torch.load(path / "images.pt", weights_only=True)
    assert tensor.shape == (6, 3, 8, 8)
    assert np.allclose(tensor.permute(0, 2, 3, 1).numpy() * 0.3 + 0.4, images / 255, atol=1e-6)
    assert torch.load(path / "labels.pt", weights_only=True).shape == (6, 3)
    assert float(torch.load(path / "lr.pt", weights_only=True)) > 0
    bare = export_run(run, "dd-ranking", tmp_path / "bare", soft_labels=False).path
    assert torch.load(bare / "labels.pt", weights_only=True).tolist() == LABELS


def test_published_names_and_pixels(run, images, tmp_path):
    path = export_run(run, "published", tmp_path / "out").path
    found = sorted(path.rglob("*.jpg"))
    assert [str(one.relative_to(path)) for one in found[:3]] == [
        "new000/class000_id000.jpg",
        "new000/class000_id001.jpg",
        "new001/class001_id000.jpg",
    ]
    pixels = np.stack([np.asarray(Image.open(one)) for one in found]).astype(int)
    assert np.abs(pixels - images).max() <= 4


def test_a_card_is_filled_from_the_run(run, tmp_path):
    path = export_run(run, "hf", tmp_path / "out").path
    _, front, body = (path / "README.md").read_text().split("---\n", 2)
    matter = yaml.safe_load(front)
    assert matter["tags"] == ["dataset-distillation", "dataset-compression", "ipc-2"]
    assert matter["license"] == "unknown"
    assert matter["dataset_info"]["features"][1]["dtype"]["class_label"]["names"] == dict(
        zip("012", NAMES, strict=True)
    )
    for words in ("Images per class (IPC): 2", "Seed: 0", "Teacher: colours", "No student was trained", "shen2025delt"):
        assert words in body
    assert "yin2024cda" in body


def small_network(num_classes: int) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, num_classes))


@pytest.mark.parametrize("form", FORMATS)
def test_the_lines_shown_train_on_the_export(run, tmp_path, form, offline, monkeypatch):
    monkeypatch.setattr(models, "resnet18", small_network)
    if form in ("hf", "webdataset"):
        pytest.importorskip({"hf": "datasets"}.get(form, form))
    done = export_run(run, form, tmp_path / "out", label_epochs=1 if form == "fkd" else None)
    if form == "zip":
        import zipfile

        with zipfile.ZipFile(done.path) as archive:
            archive.extractall(tmp_path / "unzipped")
        place = tmp_path / "unzipped" / run.id
    else:
        place = done.path
    lines = training_lines(form, str(place), mean=(0.4,) * 3, std=(0.3,) * 3, num_classes=3, ipc=2)
    (tmp_path / "train.py").write_text(lines)
    if form in ("published", "fkd"):  # opened as ImageFolder is; one of the kind is enough to train
        return
    left = runpy.run_path(str(tmp_path / "train.py"))
    assert torch.isfinite(left["loss"])
    assert sorted(int(label) for _, label in left["data"]) == LABELS
