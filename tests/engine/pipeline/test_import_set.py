"""Published sets as runs: every layout pixel for pixel, then students and export; what does not fit leaves nothing."""

import io
import shutil
import zipfile

import numpy as np
import pytest
import torch
from foreign_layouts import hugging_face, image_folder, images_of, new_folders, tensors
from PIL import Image
from tiny_data import tiny_dataset

from delt_engine.config import EvaluateConfig, Experiment
from delt_engine.data import published_sets
from delt_engine.errors import CheckpointError, ConfigError, DataError, RunError
from delt_engine.paths import home, runs_dir
from delt_engine.pipeline.image_sets import of_run
from delt_engine.pipeline.import_set import import_set
from delt_engine.pipeline.run import run_experiment
from delt_engine.runs.export import run_zip
from delt_engine.runs.predictions import last_probabilities
from delt_engine.runs.store import Run, list_runs
from delt_engine.runs.strips import read_png

pytest_plugins = ["tiny_world"]

NAMES = tiny_dataset().spec.class_names
COUNT = len(NAMES)
SCALE = (tiny_dataset().spec.mean, tiny_dataset().spec.std)
COLOURS = Experiment(dataset="colours", device="cpu")


def pixels_of(run: Run) -> np.ndarray:
    ipc = run.experiment.recover.ipc
    return np.stack([[read_png(run.image_path(c, index)) for index in range(ipc)] for c in run.classes])


def numbers(ipc: int) -> torch.Tensor:
    return torch.arange(COUNT).repeat_interleave(ipc)


LAYOUTS = {
    "names": lambda root, images: image_folder(root, images, NAMES),
    "numbers": lambda root, images: image_folder(root, images, tuple(f"{c:05d}" for c in range(COUNT))),
    "unit": lambda root, images: tensors(root, images, numbers(images.shape[1])),
    "normalised": lambda root, images: tensors(root, images, scale=SCALE),
    "soft": lambda root, images: tensors(root, images, torch.eye(COUNT)[numbers(images.shape[1])], SCALE),
    "label": lambda root, images: hugging_face(root, images, names=NAMES),
    "class_id": lambda root, images: hugging_face(root, images, "class_id"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_comes_in_pixel_for_pixel(world, layout):
    images = images_of(COUNT, 3)
    place = LAYOUTS[layout](world / "set", images)
    run = import_set(place, COLOURS, method="MTT")
    record = run.record()
    if layout in ("label", "class_id"):  # rows are shuffled, so the order in a class is theirs
        found = {image.tobytes() for image in pixels_of(run).reshape(-1, 8, 8, 3)}
        assert found == {image.tobytes() for image in images.reshape(-1, 8, 8, 3)}
        assert all(
            {image.tobytes() for image in own} == {image.tobytes() for image in theirs}
            for own, theirs in zip(pixels_of(run), images, strict=True)
        )
    else:
        assert np.array_equal(pixels_of(run), images)
    assert (record.kind, record.status, record.method_title) == ("recover", "finished", "MTT")
    assert (record.origin.layout, record.origin.path) == (
        {"names": "folder", "numbers": "folder", "label": "parquet", "class_id": "parquet"}.get(layout, "tensors"),
        str(place),
    )
    assert run.path.parent == runs_dir()
    assert [one.id for one in list_runs()] == [run.id]


@pytest.mark.parametrize("digits", [3, 5])
def test_what_published_code_saves_is_decoded_once(world, digits):
    images = images_of(COUNT, 2)
    run = import_set(new_folders(world / "set", images, digits), COLOURS)
    for number in range(COUNT):
        name = f"new{number:0{digits}d}/class{number:0{digits}d}_id{1:0{digits}d}.jpg"
        assert np.array_equal(pixels_of(run)[number, 1], np.asarray(Image.open(world / "set" / name)))
    assert any("JPEG" in note for note in run.record().notes)
    assert run.record().method_title == "set"


def test_it_is_evaluated_measured_and_exported_again_equal(world):
    images = images_of(COUNT, 4)
    run = import_set(image_folder(world / "set", images, NAMES), COLOURS, method="MTT")
    subject = of_run(run)
    assert (subject.title, subject.method, subject.ipc) == ("MTT", "imported", 4)
    assert len(last_probabilities(run, 0)) == 4
    assert np.array_equal(run.snapshot_images(1, 0), images[1])
    students = EvaluateConfig.for_recipe("delt", epochs=1, seeds=1, student="auto", batch_size=4)
    evaluation = Run.create(world / "students", COLOURS.replace(evaluate=students), kind="evaluate", source=run.id)
    run_experiment(evaluation)
    result = evaluation.record().result
    assert (result["method"], result["method_title"], result["source_title"]) == ("imported", "MTT", "MTT, IPC 4")
    assert (result["synthesis_seconds"], result["image_iterations"]) == (None, None)
    with zipfile.ZipFile(io.BytesIO(run_zip(run))) as archive:
        archive.extractall(world / "out")
    again = import_set(world / "out" / run.id, COLOURS, method="MTT")
    assert np.array_equal(pixels_of(again), images)
    assert again.record().origin.digest == run.record().origin.digest


def test_a_zip_is_unpacked_imported_and_gone(world):
    image_folder(world / "set", images_of(COUNT, 2), NAMES)
    packed = shutil.make_archive(str(world / "published"), "zip", world / "set")
    run = import_set(packed, COLOURS)
    assert np.array_equal(pixels_of(run), images_of(COUNT, 2))
    assert not list((home() / "datasets").iterdir())


def test_without_a_teacher_students_take_one_of_their_own(world):
    teacher = world / "home" / "teachers" / "colours.safetensors"
    kept = world / "kept.safetensors"
    teacher.rename(kept)
    run = import_set(image_folder(world / "set", images_of(COUNT, 2), NAMES), COLOURS)
    assert run.record().teacher is None
    with pytest.raises(RunError, match="no teacher for its data .* import it again with --teacher"):
        of_run(run)
    with pytest.raises(CheckpointError):
        import_set(world / "set", COLOURS.replace(teacher="other"))
    students = EvaluateConfig.for_recipe("delt", epochs=1, seeds=1, batch_size=4)
    experiment = COLOURS.replace(evaluate=students, teacher=str(kept))
    evaluation = Run.create(world / "students", experiment, kind="evaluate", source=run.id)
    run_experiment(evaluation)
    assert evaluation.record().result["method"] == "imported"


class Evil:
    """What would make a file if it were unpickled."""

    def __reduce__(self):
        return open, ("ran.txt", "w")


def uneven(root):
    images = images_of(COUNT, 2)
    image_folder(root, images, NAMES)
    (root / NAMES[0] / "0001.png").unlink()


def broken(root):
    image_folder(root, images_of(COUNT, 2), NAMES)
    (root / NAMES[-1] / "0001.png").write_bytes(b"\x89PNG broken")


def evil(root):
    root.mkdir()
    torch.save(Evil(), root / "images.pt")


WRONG = {
    "missing": (lambda root: None, "set: .* does not exist"),
    "text": (lambda root: root.write_text("x"), "set: .* must be a folder"),
    "other classes": (
        lambda root: image_folder(root, images_of(2, 2), ("cat", "dog")),
        "classes: 'cat' in .* is no class of .* number 0 to",
    ),
    "a class short": (
        lambda root: image_folder(root, images_of(COUNT - 1, 2), NAMES[:-1]),
        f"has {COUNT - 1} of the {COUNT} classes of .* '{NAMES[-1]}' is missing",
    ),
    "uneven": (uneven, f"has 1 of '{NAMES[0]}' and 2 of .* as many of each class"),
    "other size": (
        lambda root: image_folder(root, images_of(COUNT, 2, 16), NAMES),
        "image_size: an image of 16 x 16 px .* read at 8 x 8 px; give --image-size 16",
    ),
    "broken": (broken, r"set: .*0001.png cannot be read"),
    "code": (evil, "images: .* holds code or objects, which are not loaded"),
    "labels of others": (lambda root: tensors(root, images_of(COUNT, 2), torch.arange(3)), "labels: 3 given, but .*"),
    "no labels": (
        lambda root: tensors(root, images_of(COUNT, 3)[:, :, :, :, :].reshape(1, -1, 8, 8, 3)[:, :-1]),
        "cannot be shared out",
    ),
    "columns": (lambda root: hugging_face(root, images_of(COUNT, 2), "caption"), "has the columns image, caption, but"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_a_sentence_and_leaves_nothing(world, monkeypatch, wrong):
    monkeypatch.chdir(world)
    make, sentence = WRONG[wrong]
    make(world / "set")
    with pytest.raises(DataError, match=sentence):
        import_set(world / "set", COLOURS)
    assert list(runs_dir().glob("*")) == list(runs_dir().glob(".import*")) == []
    assert not (world / "ran.txt").exists()


def test_limits_and_names_are_held(world, monkeypatch):
    place = image_folder(world / "set", images_of(COUNT, 2), NAMES)
    with pytest.raises(ConfigError, match="method_name: 41 letters given, but it has at most 40"):
        import_set(place, COLOURS, method="x" * 41)
    (world / "taken").mkdir()
    (world / "taken" / "file").touch()
    with pytest.raises(RunError, match="is not empty"):
        import_set(place, COLOURS, out=world / "taken")
    monkeypatch.setattr(published_sets, "MAX_FILES", 3)
    with pytest.raises(DataError, match=rf"holds {2 * COUNT} images, but at most 3 are imported"):
        import_set(place, COLOURS)


def test_numbers_outside_black_and_white_are_clipped_and_said(world):
    images = images_of(COUNT, 2)
    place = tensors(world / "set", images, numbers(2), SCALE)
    values = torch.load(place / "images.pt", weights_only=True)
    values[0, 0, 0, 0], values[0, 1, 0, 0] = 9.0, -9.0
    torch.save(values, place / "images.pt")
    run = import_set(place, COLOURS)
    assert pixels_of(run)[0, 0, 0, 0].tolist()[:2] == [255, 0]
    assert any("were clipped" in note for note in run.record().notes)
    assert any("normalised by the dataset's mean and std" in note for note in run.record().notes)
