"""Sound files in small that :mod:`delt_engine.bench.fuzz_cases` damages: each function makes one folder of them."""

from __future__ import annotations

import io
import json
import random
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from delt_engine import files
from delt_engine.bench.large_run import make_large_run

if TYPE_CHECKING:
    from delt_engine.data.dataset import Dataset

SIZE, CLASSES = 8, 10
_FORMATS = (
    ("png", "RGB"),
    ("jpg", "L"),
    ("jpg", "CMYK"),
    ("gif", "P"),
    ("bmp", "RGB"),
    ("webp", "RGBA"),
    ("tiff", "I;16"),
)


@lru_cache(maxsize=1)
def digits() -> Dataset:
    """Return the dataset that tables, teachers and imports are held against."""
    from delt_engine.data.catalogue import load_dataset

    return load_dataset("digits", SIZE)


def _noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def picture(draw: random.Random, path: Path) -> None:
    """Write a small sound picture."""
    Image.fromarray(_noise(SIZE, SIZE, 3, seed=draw.randrange(1000))).save(path)


def image_folder(root: Path) -> None:
    """Two classes with pictures of every kind, one with a list of names beside them."""
    for seed, name in enumerate(("cat", "dog")):
        (root / name).mkdir(parents=True)
        for number, (ending, mode) in enumerate(_FORMATS):
            made = Image.fromarray(_noise(12, 10, 3, seed=10 * seed + number))
            made = made.convert("L").convert("I").convert(mode) if mode == "I;16" else made.convert(mode)
            made.save(root / name / f"{number}.{ending}")
    (root / "words.txt").write_text("cat\tCat, feline\ndog\tDog\n", encoding="utf-8")


def tables(root: Path) -> None:
    """A ranking, a selection, and a picture with its settings."""
    from delt_engine.runs import export, strips
    from delt_engine.runs.store import Run

    run(root / "run")
    made = Run(root / "run")
    text = export.image_text(made, 0, 0, 8, made.selection()[0])
    data = strips.png_bytes(_noise(SIZE, SIZE, 3), text)
    (root / "picture.png").write_bytes(data)
    (root / "run" / "selection.csv").rename(root / "selection.csv")
    names = digits().train.names
    rows = [f"{number / len(names):.4f},{name}\n" for number, name in enumerate(names)]
    (root / "ranking.csv").write_text("score,img_path\n" + "".join(rows), encoding="utf-8")
    import shutil

    shutil.rmtree(root / "run")


def checkpoints(root: Path) -> None:
    """A teacher with a card, and the same weights as others save them."""
    import torch

    from delt_engine.models.card import TeacherCard
    from delt_engine.models.checkpoints import save_teacher
    from delt_engine.models.networks import build_network

    torch.manual_seed(0)
    network, spec = build_network("convnet-3", CLASSES, width=0.0625, image_size=SIZE), digits().spec
    card = TeacherCard(
        name="tiny",
        network="convnet-3",
        width=0.0625,
        stem="small",
        num_classes=CLASSES,
        class_names=spec.class_names,
        image_size=SIZE,
        mean=spec.mean,
        std=spec.std,
        dataset="digits",
        dataset_fingerprint="f00d",
        accuracy=50.0,
        epochs=1,
        source="made for trials",
        fingerprint="",
    )
    root.mkdir(parents=True)
    save_teacher(root / "tiny.safetensors", network, card)
    torch.save(network.state_dict(), root / "plain.pt")
    torch.save({"state_dict": network.state_dict(), "epoch": 3}, root / "wrapped.pth")
    torch.save(network.state_dict(), root / "old.pt", _use_new_zipfile_serialization=False)


def change_header(path: Path, change: Callable[[Any], Any]) -> None:
    """Change the JSON header of a safetensors file, its length with it."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.dumps(change(json.loads(data[8 : 8 + length]))).encode("utf-8", "surrogatepass")
    path.write_bytes(struct.pack("<Q", len(header)) + header + data[8 + length :])


def change_card(path: Path, change: Callable[[Any], Any]) -> None:
    """Change the card of a teacher in the header of its file."""
    from delt_engine.models.card import CARD_KEY

    def changed(header: dict[str, Any]) -> dict[str, Any]:
        about = header["__metadata__"]
        return {**header, "__metadata__": {**about, CARD_KEY: json.dumps(change(json.loads(about[CARD_KEY])))}}

    change_header(path, changed)


def run(root: Path) -> None:
    """A finished run with every kind of file that a run folder may hold."""
    import torch

    from delt_engine.runs import export
    from delt_engine.runs.checkpoint import write_checked
    from delt_engine.runs.images import write_images
    from delt_engine.runs.predictions import write_predictions

    made = make_large_run(root, num_classes=3, ipc=8)
    slots = [(class_index, index) for class_index in range(3) for index in range(8)]
    shape = made.image_size or 32
    texts: list[dict[str, Any]] = [export.image_text(made, *slot, 8, None) for slot in slots]
    write_images(made, slots, _noise(len(slots), shape, shape, 3), texts)
    for number in (4, 8):
        write_predictions(made, slots, np.full((len(slots), 3), 1 / 3), number)
    position = json.dumps({"batch": 0, "iteration": 100, "seconds": 1.0})
    write_checked(root / "checkpoint" / "batch-00000.safetensors", {"images": torch.zeros(2, 3, 8, 8)}, position)
    texts_of = {
        "title.json": '{"title": "A run", "tags": ["a"], "note": "n"}',
        "parent.json": '{"id": "20260101-000000-other"}',
        "job.json": '{"pid": 1, "created": 1.0, "host": "here"}',
        "log.txt": "12:00 INFO began\n12:01 INFO ended\n",
        "control": "pause",
    }
    for name, text in texts_of.items():
        (root / name).write_text(text, encoding="utf-8")


def labels(root: Path) -> None:
    """A store of two epochs of labels."""
    import torch

    from delt_engine.config import EvaluateConfig
    from delt_engine.training.label_facts import AUGMENTATION, StoreFacts
    from delt_engine.training.soft_labels import LabelStore

    config = EvaluateConfig(batch_size=4, epochs=2, rand_augment="none")
    facts = StoreFacts(
        images=CLASSES,
        num_classes=CLASSES,
        image_size=SIZE,
        mosaic=1,
        epochs=2,
        label_epochs=2,
        seed=0,
        form="float16",
        augmentation={name: getattr(config, name) for name in AUGMENTATION},
        image_fingerprint="f00d",
        teacher_fingerprint="beef",
    )
    store = LabelStore.create(root, facts)
    for epoch in (1, 2):
        store.write_epoch(epoch, facts.draw(epoch), torch.zeros(CLASSES, CLASSES))


# Published sets: one image of each of the ten classes


def set_folder(root: Path) -> None:
    """As ImageFolder has them."""
    for number, image in enumerate(_noise(CLASSES, SIZE, SIZE, 3)):
        folder = root / f"{number:05d}"
        folder.mkdir(parents=True)
        Image.fromarray(image).save(folder / "class_id00000.png")


def set_tensors(root: Path) -> None:
    """images.pt and labels.pt."""
    import torch

    root.mkdir(parents=True)
    images = torch.from_numpy(_noise(CLASSES, 3, SIZE, SIZE)).float() / 255
    torch.save(images, root / "images.pt")
    torch.save(torch.arange(CLASSES), root / "labels.pt")


def set_arrays(root: Path) -> None:
    """images.npz, images and labels in it."""
    root.mkdir(parents=True)
    np.savez_compressed(root / "images.npz", images=_noise(CLASSES, SIZE, SIZE, 3), labels=np.arange(CLASSES))


def set_shards(root: Path) -> None:
    """A tar of pictures and classes, as WebDataset has it."""
    root.mkdir(parents=True)
    with tarfile.open(root / "train-0000.tar", "w") as archive:
        for number, image in enumerate(_noise(CLASSES, SIZE, SIZE, 3)):
            for ending, data in (("png", _png(image)), ("cls", str(number).encode())):
                entry = tarfile.TarInfo(f"{number:05d}.{ending}")
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))


def set_parquet(root: Path) -> None:
    """One table, as Hugging Face has it."""
    import pyarrow as pa
    from pyarrow import parquet

    (root / "data").mkdir(parents=True)
    pictures = [{"bytes": _png(image), "path": "x.png"} for image in _noise(CLASSES, SIZE, SIZE, 3)]
    table = pa.table({"image": pictures, "label": list(range(CLASSES))})
    parquet.write_table(table, root / "data" / "train-00000-of-00001.parquet")


def set_zip(root: Path) -> None:
    """A zip of a folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, image in enumerate(_noise(CLASSES, SIZE, SIZE, 3)):
            archive.writestr(f"set/{number:05d}/x.png", _png(image))
    files.write_bytes(root / "set.zip", buffer.getvalue())


def hostile_zip(draw: random.Random, path: Path) -> None:
    """Add an entry to a zip that no honest one has: a way out, a link, a bomb, a name for two, something encrypted."""
    name = draw.choice(
        ("../../out.png", "/tmp/out.png", "C:\\out.png", "a\\..\\..\\out.png", "set/00000/x.png", "\0.png")
    )
    entry = zipfile.ZipInfo(name)
    data: bytes = _png(_noise(SIZE, SIZE, 3))
    kind = draw.randrange(4)
    if kind == 0:
        entry.filename, entry.external_attr, data = "set/link.png", (stat.S_IFLNK | 0o777) << 16, b"/etc/passwd"
    elif kind == 1:
        entry.filename, entry.compress_type, data = "set/00001/bomb.png", zipfile.ZIP_DEFLATED, bytes(2**24)
    elif kind == 2:
        entry.filename = "set/" + "deep/" * 400 + "x.png"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(entry, data)
    if draw.random() < 0.2:  # the flag of an encrypted entry, in the directory at the end
        whole = bytearray(path.read_bytes())
        at = whole.rfind(b"PK\x01\x02")
        whole[at + 8] |= 1
        path.write_bytes(bytes(whole))


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()
