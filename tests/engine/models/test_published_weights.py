"""Published weights as teachers: which are found, how they are read, and what is said where there is no network."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision.models import get_model, get_model_weights

from delt_engine.data.class_lists import imagenet_titles
from delt_engine.errors import CheckpointError
from delt_engine.models.card import find_teacher
from delt_engine.models.networks import build_network
from delt_engine.models.published_weights import PUBLISHED, _find, _state, is_published, load_published

SMALL = "shufflenet_v2_x0_5"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of checkpoints of torch."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


def test_torchvisions_weights_are_fetched_once_and_become_a_teacher(hub: Path, monkeypatch) -> None:
    torch.manual_seed(3)
    theirs, asked = get_model(SMALL, weights=None), []

    def download(url: str, path: str, hash_prefix: str, progress: bool) -> None:
        asked.append((url, hash_prefix, progress))
        torch.save({key: value for key, value in theirs.state_dict().items() if "num_batches" not in key}, path)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    told: list[tuple[str, int, int]] = []
    teacher = load_published(f"torchvision:{SMALL}", report=lambda *what: told.append(what))
    weights = get_model_weights(SMALL).IMAGENET1K_V1
    assert asked == [(weights.url, weights.url.rsplit("-", 1)[1].removesuffix(".pth"), False)]
    assert told == [("download", 0, 1)]
    card = teacher.card
    assert (card.name, card.network, card.stem, card.image_size) == (f"{SMALL}-imagenet1k_v1", SMALL, "stock", 224)
    assert card.class_names == tuple(weights.meta["categories"])
    assert card.accuracy == weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]
    assert (card.mean, card.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert (card.dataset, card.added_from) == ("imagenet-1k", f"torchvision:{SMALL}")
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(teacher.network(images), theirs.eval()(images))
    assert load_published(f"torchvision:{SMALL}").card.fingerprint == card.fingerprint
    assert len(asked) == 1


def test_timms_weights_come_from_its_hub_and_keep_their_tag(hub: Path, monkeypatch) -> None:
    name, asked = "mobilenetv3_small_050.lamb_in1k", []
    theirs = timm.create_model(name, pretrained=False)

    def download(url: str, path: str, hash_prefix: str | None, progress: bool) -> None:
        asked.append((url, hash_prefix, progress))
        save_file(theirs.state_dict(), path)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    card = load_published("timm:mobilenetv3_small_050").card
    assert (card.network, card.name, card.accuracy, card.num_classes) == (name, name, None, 1000)
    assert asked == [(f"https://huggingface.co/timm/{name}/resolve/main/model.safetensors", None, False)]
    assert load_published(f"timm:{name}").card.fingerprint == card.fingerprint
    assert len(asked) == 1
    assert [path.name for path in hub.iterdir()] == [f"{name}.safetensors"]


def test_without_a_network_it_says_which_file_goes_where(hub: Path, monkeypatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(CheckpointError) as caught:
        load_published("torchvision:resnet18")
    file = "resnet18-f37072fd.pth"
    assert str(caught.value) == (
        "teacher: torchvision:resnet18 could not be fetched (no route to host); get "
        f"https://download.pytorch.org/models/{file} where there is a network, and put it in {hub} as {file}."
    )
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror")
    with pytest.raises(CheckpointError, match=r"get https://mirror/timm/resnet18.a1_in1k/.* as resnet18.a1_in1k.safe"):
        load_published("timm:resnet18")


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("torchvision:resnet19", r"'torchvision:resnet19' given, but torchvision has no classifier 'resnet19'\."),
        ("torchvision:resnet50:V9", r"its weights must be one of IMAGENET1K_V1, IMAGENET1K_V2, DEFAULT\."),
        ("torchvision:inception_v3", r"inception_v3's weights need inputs scaled in their own way\."),
        ("timm:nothing", r"timm has no weights of that name\."),
        ("timm:resnet18.nothing", r"timm has no weights of that name\."),
        ("timm:mobilenetv3_large_100.miil_in21k", r"its weights know 11221 classes, not ImageNet-1K's 1,000\."),
    ],
)
def test_what_there_is_not_is_one_sentence(ref: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_published(ref)


def test_the_papers_weights_are_the_first_and_all_offered_ones_are_there() -> None:
    found = {ref: _find(ref) for ref in PUBLISHED}
    assert found["torchvision:resnet50"].name == "resnet50-imagenet1k_v1"
    assert found["timm:deit_tiny_patch16_224"].network == "deit_tiny_patch16_224.fb_in1k"
    assert {one.image_size for one in found.values()} == {224}
    assert _find("torchvision:resnet50:IMAGENET1K_V2").name == "resnet50-imagenet1k_v2"
    for ref in PUBLISHED:
        weights = ref.startswith("torchvision") and get_model_weights(ref.partition(":")[2]).IMAGENET1K_V1
        assert not weights or tuple(weights.meta["categories"]) == tuple(imagenet_titles().values())


def test_old_names_of_densenets_layers_are_read(hub: Path, monkeypatch) -> None:
    with torch.device("meta"):
        own = build_network("densenet121", 1000, stem="stock", image_size=224).state_dict()
    old = {}
    for key in own:
        for kind in ("norm", "conv"):
            key = key.replace(f".{kind}1.", f".{kind}.1.").replace(f".{kind}2.", f".{kind}.2.")
        old[key] = torch.zeros(1)
    hub.mkdir(parents=True)
    torch.save(old, hub / "densenet121-a639ec97.pth")
    assert set(_state("", _find("torchvision:densenet121"), None)) == set(own)


def test_a_reference_is_no_file_and_no_teacher_yet(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_published("torchvision:resnet18")
    assert not is_published("torchvision.pth")
    (tmp_path / "timm:net.pth").touch()
    assert not is_published("timm:net.pth")
    with pytest.raises(CheckpointError, match=r"taken in first, with `delt teachers add torchvision:resnet18`"):
        find_teacher("torchvision:resnet18")
