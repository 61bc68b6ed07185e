from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from delt_engine.config import Experiment
from delt_engine.data.dataset import Dataset
from delt_engine.errors import DataError
from delt_engine.training import image_table
from delt_engine.training.image_table import ImageTable, from_folder, from_run, real
from tests.tiny_data import COLOURS, tiny_dataset


def renamed(dataset: Dataset, names: tuple[str, ...]) -> Dataset:
    return replace(dataset, spec=replace(dataset.spec, class_names=names))


def write_images(folder, name: str, colour, count: int = 2, size: int = 8) -> None:
    (folder / name).mkdir(parents=True)
    for number in range(count):
        pixels = np.full((size, size, 3), colour, np.uint8)
        pixels[0, 0] = number
        Image.fromarray(pixels).save(folder / name / f"{number:04d}.png")


class FakeRun:
    """A finished run of some classes, as far as students look at it."""

    def __init__(self, path, names: tuple[str, ...], classes: tuple[int, ...], status: str = "finished") -> None:
        self.path, self.id, self.classes, self.names, self.status = path, path.name, classes, names, status
        for index in classes:
            write_images(path / "images", names[index], COLOURS[index])

    def class_folder(self, class_index: int) -> str:
        return self.names[class_index]

    def record(self) -> SimpleNamespace:
        spec = tiny_dataset().spec
        dataset = SimpleNamespace(class_names=self.names, image_size=8, mean=spec.mean, std=spec.std)
        experiment = Experiment.from_mapping({"recover": {"ipc": 2}, "select": {"mosaic": 2}})
        return SimpleNamespace(status=self.status, dataset=dataset, experiment=experiment)


def test_a_run_gives_its_images_class_by_class(tmp_path):
    table = from_run(FakeRun(tmp_path / "run", ("red", "green", "blue"), (0, 1, 2)))
    assert table.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert (table.class_names, table.ipc, table.mosaic, table.title) == (("red", "green", "blue"), 2, 2, "run")
    assert table.image_u8.shape == (6, 8, 8, 3)
    assert (table.image_u8[:, 4, 4] == COLOURS[table.labels]).all()
    assert table.image_u8[3, 0, 0].tolist() == [1, 1, 1]  # the second image of its class


def test_a_run_of_some_classes_is_tested_on_their_test_images(tmp_path):
    table = from_run(FakeRun(tmp_path / "run", ("red", "green", "blue"), (0, 2)))
    test = image_table.test_table(tiny_dataset(test=5), table)
    assert table.labels.tolist() == [0, 0, 1, 1]
    assert test.class_names == table.class_names == ("red", "blue")
    assert test.labels.tolist() == [0] * 5 + [1] * 5
    assert (np.abs(test.image_u8.astype(int) - COLOURS[[0, 2]][test.labels][:, None, None]) <= 30).all()


def test_names_in_another_order_are_read_in_the_runs_order_and_other_names_are_refused(tmp_path):
    table = from_run(FakeRun(tmp_path / "run", ("red", "green", "blue"), (0, 1, 2)))
    test = image_table.test_table(renamed(tiny_dataset(test=5), ("blue", "red", "green")), table)
    assert test.class_names == ("red", "green", "blue")
    assert test.labels.tolist() == [2] * 5 + [0] * 5 + [1] * 5
    sentence = "the class names do not match: run has 'green', which Colours has not; Colours has 'grass', which run"
    with pytest.raises(DataError, match=rf"^source: {sentence} has not\.$"):
        image_table.test_table(renamed(tiny_dataset(), ("red", "grass", "blue")), table)


def test_only_finished_runs_are_learned_from(tmp_path):
    with pytest.raises(DataError, match=r"source: run run is paused, but students learn from a finished one\."):
        from_run(FakeRun(tmp_path / "run", ("red", "green", "blue"), (0,), status="paused"))


def test_a_missing_or_resized_image_of_a_run_is_named(tmp_path):
    run = FakeRun(tmp_path / "run", ("red", "green", "blue"), (0, 1))
    path = run.path / "images" / "green" / "0001.png"
    Image.new("RGB", (9, 9)).save(path)
    with pytest.raises(DataError, match=r"0001\.png has 9 x 9 px, but the run's images 8\."):
        from_run(run)
    path.unlink()
    with pytest.raises(DataError, match=r"source: .*green/0001\.png cannot be read"):
        from_run(run)


def test_a_folder_in_another_order_keeps_the_datasets_classes(tmp_path):
    for index, name in enumerate(("red", "green", "blue")):
        write_images(tmp_path / "mine", name, COLOURS[index], count=index + 1, size=16)
    table = from_folder(tmp_path / "mine", tiny_dataset())
    assert table.class_names == ("red", "green", "blue")
    assert table.labels.tolist() == [0, 1, 1, 2, 2, 2]
    assert table.ipc is None
    assert (table.image_u8[:, 4, 4] == COLOURS[table.labels]).all()  # resized from 16 to 8 px


def test_a_folder_takes_train_numbered_names_and_codes(tmp_path):
    for name, colour in zip(("0-red", "n02", "2-blue"), COLOURS, strict=True):
        write_images(tmp_path / "mine" / "train", name, colour)
        write_images(tmp_path / "mine" / "val", name, colour)
    table = from_folder(tmp_path / "mine", tiny_dataset(), class_folders={"n02": "green"})
    assert (table.labels.tolist(), table.ipc) == ([0, 0, 1, 1, 2, 2], 2)
    dataset = tiny_dataset(classes=2)
    for name, colour in zip(("n01440764", "n03028079"), COLOURS, strict=False):  # the set's own codes
        write_images(tmp_path / "codes", name, colour)
    spec = replace(dataset.spec, name="imagenette", class_names=("tench", "church"))
    table = from_folder(tmp_path / "codes", replace(dataset, spec=spec))
    assert (table.class_names, table.labels.tolist()) == (("tench", "church"), [0, 0, 1, 1])


def test_a_folder_of_some_classes_is_taken_when_they_are_named(tmp_path):
    for name, colour in zip(("red", "green"), COLOURS, strict=False):
        write_images(tmp_path / "mine", name, colour)
    with pytest.raises(DataError, match=r"Colours has 'blue', which .*mine has not\.$"):
        from_folder(tmp_path / "mine", tiny_dataset())
    table = from_folder(tmp_path / "mine", tiny_dataset(), classes=("green", "red"))
    assert (table.class_names, table.labels.tolist()) == (("green", "red"), [0, 0, 1, 1])
    assert image_table.test_table(tiny_dataset(test=1), table).labels.tolist() == [1, 0]


def test_all_real_images(tmp_path):
    dataset = tiny_dataset(train=4)
    table = real(dataset)
    assert (len(table), table.ipc, table.mosaic) == (12, 4, 1)
    assert (table.image_u8 == dataset.train.pixels(range(12))).all()
    assert image_table.test_table(dataset).labels.tolist() == dataset.test.labels.tolist()


def test_a_class_without_test_images_is_refused():
    dataset = tiny_dataset()
    dataset.test.labels[:] = 0
    with pytest.raises(DataError, match=r"classes: 'green' has no test image in Colours"):
        image_table.test_table(dataset)


def test_what_does_not_fit_into_memory_is_refused(monkeypatch):
    monkeypatch.setattr(image_table.psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    with pytest.raises(DataError, match=r"takes 0\.0 GiB at 8 px, but 0\.0 GiB of memory are free"):
        real(tiny_dataset())


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 8, 8, 3), np.float32), [0, 1], r"image_u8: float32 of shape \(2, 8, 8, 3\) given"),
        (np.zeros((3, 8, 8, 3), np.uint8), [0, 1], r"but uint8 \(2, S, S, 3\) is needed"),
        (np.zeros((2, 8, 8, 3), np.uint8), [0, 2], r"labels: 0 to 2 given, but there are 2 classes\."),
    ],
)
def test_a_table_holds_what_it_says(images, labels, message):
    with pytest.raises(DataError, match=message):
        ImageTable(images, np.array(labels), ("a", "b"), (0.5,) * 3, (0.5,) * 3)
