"""ImageNet and what is made of it: class lists, parts of one folder, lists of test images, many classes."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from small_pictures import flat

from delt_engine.data.available import place_of
from delt_engine.data.catalogue import CATALOGUE, load_dataset
from delt_engine.data.class_lists import class_title, class_titles, imagenet_titles
from delt_engine.data.dataset import ArrayImages
from delt_engine.data.layout import list_files
from delt_engine.errors import DataError

RED = (255, 0, 0)
WOOF = [folder for folder, _ in class_titles("imagewoof")]
TENCH, SHARK = "n01440764", "n01484850"


def test_the_lists_are_those_of_the_field() -> None:
    from timm.data import ImageNetInfo
    from torchvision.models import ResNet18_Weights

    assert list(imagenet_titles()) == ImageNetInfo("imagenet-1k").label_names()
    assert list(imagenet_titles().values()) == ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    for name in ("tiny-imagenet", "imagenette", "imagewoof", "imagenet-100"):
        folders = [folder for folder, _ in class_titles(name)]
        assert folders == sorted(set(folders))
        assert len(folders) == CATALOGUE[name].num_classes
    first_ten = {"bonnet", "green mamba", "langur", "Doberman", "gyromitra", "Saluki", "vacuum", "window screen"}
    assert first_ten <= {title for _, title in class_titles("imagenet-100")}  # IDC's ImageNet-10 is of these
    assert (class_title(TENCH), class_title("a cat"), class_titles("photos")) == ("tench", "a cat", ())


@pytest.fixture
def imagenet(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of twelve classes of ImageNet under a folder of DELT_DATA: ImageWoof's ten, and two more."""
    root = own_cache.parents[2] / "data" / "imagenet"
    for split, count in (("train", 2), ("val", 1)):
        for name in (*WOOF, TENCH, SHARK):
            for number in range(count):
                flat(root / split / name / f"{name}_{number}.JPEG", RED)
    monkeypatch.setenv("DELT_DATA", str(root.parent))
    return root


def test_a_subset_is_read_out_of_the_whole_folder(imagenet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert place_of("imagewoof").state == "unread"
    found = load_dataset("imagewoof", 16)
    assert (found.root, found.spec.name, found.spec.train_size, found.spec.test_size) == (
        *(str(imagenet), "imagewoof"),
        *(20, 10),
    )
    assert found.spec.class_names == tuple(title for _, title in class_titles("imagewoof"))
    assert found.train.names[0] == f"train/{WOOF[0]}/{WOOF[0]}_0.JPEG"
    assert (place_of("imagewoof").state, place_of(str(imagenet)).state) == ("ready", "unread")
    assert load_dataset(str(imagenet), 16).spec.num_classes == 12  # the whole folder, and its own scan
    monkeypatch.setattr("delt_engine.data.scan._look_at", lambda *_: pytest.fail("both are known already"))
    monkeypatch.setattr("delt_engine.data.folder.MAX_STORED_BYTES", 0)
    assert load_dataset("imagewoof", 16).fingerprint == found.fingerprint
    assert load_dataset(str(imagenet), 16).spec.num_classes == 12


def test_what_is_known_of_the_whole_folder_serves_its_parts(imagenet: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delt_engine.data.folder.MAX_STORED_BYTES", 0)
    load_dataset(str(imagenet), 16)
    assert place_of("imagewoof").state == "ready"
    monkeypatch.setattr("delt_engine.data.scan._look_at", lambda *_: pytest.fail("all files are known"))
    assert load_dataset("imagewoof", 16).spec.train_size == 20


def test_a_folder_without_all_of_the_classes_is_no_part(imagenet: Path) -> None:
    with pytest.raises(DataError, match=r"imagenet-100 has 100 classes, but .*imagenet holds 12 class folders; give"):
        load_dataset("imagenet-100", 16)
    with pytest.raises(DataError, match=r"imagenet-1k has 1000 classes, but .* holds 12"):
        load_dataset("imagenet-1k", 16)


def test_imagenet_21k_is_found_in_its_own_layout_and_counted(own_cache: Path) -> None:
    root = own_cache / "imagenet21k_resized"
    for folder in ("imagenet21k_train", "imagenet21k_val", "imagenet21k_small_classes"):
        for name in ("n00005787", "n00006484"):
            flat(root / folder / name / "0.JPEG", RED)
    flat(root / "imagenet21k_small_classes" / "n00000001" / "0.JPEG", RED)
    assert list_files(root).names[0] == "imagenet21k_train/n00005787/0.JPEG"
    with pytest.raises(DataError, match=r"imagenet-21k has 10450 classes, but .*imagenet21k_resized holds 2 class"):
        load_dataset("imagenet-21k", 16)


def flat_validation(root: Path) -> Path:
    """Make an ImageNet of two classes with three validation images in one folder."""
    for name in (TENCH, SHARK):
        flat(root / "train" / name / "0.JPEG", RED)
    for number in (1, 2, 3):
        flat(root / "val" / f"ILSVRC2012_val_{number:08d}.JPEG", RED)
    return root


def kaggle(root: Path) -> None:
    """Write the list as Kaggle has it, four folders above the images; the third class is not in train."""
    lines = ["ImageId,PredictionString"]
    lines += [f"ILSVRC2012_val_{at:08d},{name} 85 1 499 272" for at, name in enumerate((SHARK, TENCH, "n9"), 1)]
    (root.parents[2] / "LOC_val_solution.csv").write_text("\n".join(lines))


def devkit(root: Path) -> None:
    """Write the devkit's two files: numbers of synsets, of which those with children are no classes."""
    kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("num_children", "O")]
    synsets = np.array([[(7, SHARK, 0)], [(3, TENCH, 0)], [(9, "n02", 2)]], dtype=kinds)
    data = root / "ILSVRC2012_devkit_t12" / "data"
    data.mkdir(parents=True)
    savemat(data / "meta.mat", {"synsets": synsets})
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text("7\n3\n3\n")


@pytest.mark.parametrize(("write", "labels"), [(kaggle, [1, 0]), (devkit, [1, 0, 0])])
def test_validation_images_in_one_folder_get_their_classes_from_a_list(tmp_path: Path, write, labels) -> None:
    root = flat_validation(tmp_path / "ILSVRC" / "Data" / "CLS-LOC")
    write(root)
    listing = list_files(root)
    rows = sorted(zip(listing.names, listing.labels.tolist(), strict=True))
    assert [label for name, label in rows if name.startswith("val/")] == labels
    assert listing.has_split


def test_validation_images_without_a_list_are_said(tmp_path: Path) -> None:
    root = flat_validation(tmp_path / "imagenet")
    with pytest.raises(DataError, match=r"imagenet/val has images without class folders; put LOC_val_solution.csv or"):
        list_files(root)
    (root / "LOC_val_solution.csv").write_text("a,b\n1,2")
    with pytest.raises(DataError, match=r"LOC_val_solution.csv is damaged or no list of test images"):
        list_files(root)


@pytest.mark.parametrize("is_sorted", [False, True])
def test_tiny_imagenet_as_unpacked_and_sorted_into_class_folders(own_cache: Path, is_sorted: bool) -> None:
    root, folders = own_cache / "tiny-imagenet-200", [folder for folder, _ in class_titles("tiny-imagenet")]
    lines = []
    for number, name in enumerate(folders):
        flat(root / "train" / name / "images" / f"{name}_0.JPEG", RED)
        (root / "train" / name / f"{name}_boxes.txt").write_text("")
        place = root / "val" / (f"{name}/images" if is_sorted else "images")
        flat(place / f"val_{number}.JPEG", RED)
        lines.append(f"val_{number}.JPEG\t{name}\t0\t32\t44\t62\n")
    (root / "val" / "images").mkdir(exist_ok=True)
    (root / "val" / "val_annotations.txt").write_text("".join(reversed(lines)))
    flat(root / "test" / "images" / "test_0.JPEG", RED)
    found = load_dataset("tiny-imagenet")
    assert (found.spec.num_classes, found.spec.train_size, found.spec.test_size) == (200, 200, 200)
    assert found.spec.class_names[:2] == ("goldfish", "European fire salamander")  # the sorted folders
    assert Counter(found.test.labels.tolist()) == Counter(range(200))
    assert found.skipped == ()


def test_ten_thousand_classes_are_gone_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.tile(np.arange(10450), 2)
    images = ArrayImages(np.zeros((len(labels), 1, 1, 3), np.uint8), labels, [""] * len(labels), 1)
    assert images.of_class(7).tolist() == [7, 10457]
    assert images.of_class(10450).tolist() == []
    monkeypatch.setattr(np, "argsort", lambda *_, **__: pytest.fail("sorted anew"))
    assert images.of_class(10449).tolist() == [10449, 20899]
