import socket
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from delt_engine.data import downloads
from delt_engine.data.catalogue import load_dataset
from delt_engine.errors import DataError


class FakeSets:
    """Stands for torchvision.datasets: tiny sets that are there only after a download."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[tuple[str, bool]] = []

    def _get(self, root: str, download: bool) -> None:
        self.calls.append((root, download))
        if download and self.error:
            raise self.error
        if download:
            (Path(root) / "there").mkdir(parents=True, exist_ok=True)
        elif not (Path(root) / "there").is_dir():
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")

    def CIFAR10(self, root: str, train: bool, download: bool) -> types.SimpleNamespace:  # noqa: N802
        sys.stdout.write("Files already downloaded and verified")
        self._get(root, download)
        count = 20 if train else 10
        data = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 32, 32, 3), dtype=np.uint8)
        return types.SimpleNamespace(data=data, targets=[i % 10 for i in range(count)])

    def SVHN(self, root: str, split: str, download: bool) -> types.SimpleNamespace:  # noqa: N802
        self._get(root, download)
        data = np.zeros((10, 3, 32, 32), dtype=np.uint8)
        data[:, 0, 0, 5] = 200
        return types.SimpleNamespace(data=data, labels=np.arange(10))

    def MNIST(self, root: str, train: bool, download: bool) -> types.SimpleNamespace:  # noqa: N802
        import torch

        self._get(root, download)
        return types.SimpleNamespace(data=torch.full((10, 28, 28), 9, dtype=torch.uint8), targets=torch.arange(10))

    def Imagenette(self, root: str, download: bool) -> None:  # noqa: N802
        self._get(root, download)
        for split in ("train", "val"):
            for number in range(10):
                folder = Path(root) / "imagenette2" / split / f"n{number:02d}"
                folder.mkdir(parents=True)
                Image.new("RGB", (9, 9)).save(folder / "0.png")


@pytest.fixture
def sets(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSets:
    fake = FakeSets()
    monkeypatch.setattr(downloads, "_torchvision", lambda: fake)
    return fake


def test_downloaded_once_and_then_read_without_torchvision(
    sets: FakeSets, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    told: list[tuple[str, int, int]] = []
    first = load_dataset("cifar10", report=lambda *what: told.append(what))
    assert [download for _, download in sets.calls] == [False, True, True]
    assert told == [("download", 0, 1), ("download", 1, 1)]
    assert capsys.readouterr().out == ""
    assert (first.spec.train_size, first.spec.test_size) == (20, 10)
    assert first.train.names[11] == "train/automobile/00011"
    assert (first.train.pixels([7]) == 7).all()
    monkeypatch.setattr(downloads, "_torchvision", lambda: pytest.fail("torchvision again"))
    second = load_dataset("CIFAR-10")
    assert second.fingerprint == first.fingerprint
    assert second.train.labels.tolist() == first.train.labels.tolist()


def test_files_that_are_there_need_no_download(sets: FakeSets, tmp_path: Path) -> None:
    (tmp_path / "mine" / "there").mkdir(parents=True)
    load_dataset("cifar10", root=tmp_path / "mine")
    assert sets.calls == [(str(tmp_path / "mine"), False)] * 2


def test_channels_and_grey_are_brought_into_one_form(sets: FakeSets) -> None:
    assert load_dataset("svhn").test.original(3)[0, 5].tolist() == [200, 0, 0]
    mnist = load_dataset("mnist")
    assert mnist.train.original(0).shape == (28, 28, 3)
    assert mnist.train.pixels([0]).shape == (1, 32, 32, 3)
    assert (mnist.train.pixels([0]) == 9).all()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("no network"), "no network"),
        (RuntimeError("Error downloading x.gz:\nmore"), "Error downloading x.gz"),
        (ModuleNotFoundError("No module named 'scipy'"), "No module named 'scipy'"),
    ],
)
def test_a_failed_download_says_what_to_put_where(
    sets: FakeSets, own_cache: Path, error: Exception, reason: str
) -> None:
    sets.error = error
    with pytest.raises(DataError) as caught:
        load_dataset("cifar10")
    assert str(caught.value) == (
        f"dataset: cifar10 could not be downloaded ({reason}); get "
        f"https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz and put cifar-10-batches-py in "
        f"{own_cache / 'cifar10'}, or give a folder of images in its place."
    )


def test_real_torchvision_without_a_network(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("network is off")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(DataError, match=r"cifar100 could not be downloaded \(network is off\); get https://www\.cs"):
        load_dataset("cifar100")
    assert "torchvision" in sys.modules


def test_imagenette_is_unpacked_beside_and_renamed(sets: FakeSets, own_cache: Path) -> None:
    loaded = load_dataset("imagenette", 16)
    assert loaded.root == str(own_cache / "imagenette" / "imagenette2")
    assert (len(loaded.train), len(loaded.test)) == (10, 10)
    assert [path.name for path in (own_cache / "imagenette").iterdir()] == ["imagenette2"]
    calls = len(sets.calls)
    load_dataset("imagenette", 16)
    assert len(sets.calls) == calls


def test_a_broken_download_of_imagenette_leaves_nothing(sets: FakeSets, own_cache: Path) -> None:
    sets.error = OSError("cut off")
    with pytest.raises(DataError, match=r"imagenette could not be downloaded \(cut off\); unpack https://s3.*or give"):
        load_dataset("imagenette")
    assert list((own_cache / "imagenette").iterdir()) == []
