"""Similarity of runs, folders and real images: found by what they are, measured once, refused where there is none."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from fake_runs import fake_experiment, make_finished_run, prepare
from PIL import Image
from tiny_data import tiny_dataset
from tiny_world import finished

from delt_engine.analysis import diversity
from delt_engine.analysis.diversity import centroid_cosine, network_outputs
from delt_engine.data.pixels import normalise, to_pixels
from delt_engine.errors import CheckpointError, ConfigError, DataError, RunError
from delt_engine.models.teachers import load_teacher
from delt_engine.paths import assets_dir
from delt_engine.pipeline.embed import embedded, stored_embedding
from delt_engine.pipeline.image_sets import of_folder, of_run, reference
from delt_engine.pipeline.measure import (
    cosine_similarity,
    measured,
    not_neutral,
    space_network,
    stored_file,
    stored_result,
    why_none,
)
from delt_engine.runs.record import TeacherRecord
from delt_engine.runs.store import Run
from delt_engine.runs.strips import read_png

pytest_plugins = ["tiny_world"]


@pytest.fixture
def run(world, settings):
    """A finished run of four images of three colours."""
    return finished(world / "runs" / "one", settings())


def test_a_run_is_measured_in_its_teachers_features_and_found_again(run, world, monkeypatch) -> None:
    subject = of_run(run)
    assert stored_result(subject) is None
    found = measured(subject, device="cpu")
    network = load_teacher(str(world / "home" / "teachers" / "colours.safetensors")).network
    for number in range(3):
        image_u8 = np.stack([read_png(run.image_path(number, index)) for index in range(4)])
        images = normalise(to_pixels(image_u8), (0.4,) * 3, (0.3,) * 3)
        expected = centroid_cosine(network_outputs(network, images).features.numpy())
        assert found.cosine[number, 0] == pytest.approx(expected, abs=1e-5)
    assert found.rounds == (1, 2, 3, 4)
    assert found.early_late is not None
    assert (found.images, found.draws, found.source, found.class_names) == (4, 1, "one", ("red", "green", "blue"))

    monkeypatch.setattr(diversity, "measure", lambda *_args, **_rest: pytest.fail("measured twice"))
    assert measured(subject).mean == stored_result(subject).mean == found.mean
    assert cosine_similarity(run) == found.mean


def test_fewer_images_are_the_mean_of_draws_and_tell_no_halves(run) -> None:
    found = measured(of_run(run), "pixels", images=2)
    assert (found.images, found.draws, found.early_late) == (2, 5, None)
    assert stored_result(of_run(run), "pixels") is None
    with pytest.raises(DataError, match="images: 9 given, but one has 4 a class"):
        measured(of_run(run), "pixels", images=9)


def test_references_are_real_images_at_the_same_number(run) -> None:
    subject, data = of_run(run), tiny_dataset()
    real = measured(reference(subject, "real"), "pixels")
    random = measured(reference(subject, "random"), "pixels")
    assert (real.images, real.draws, random.images, random.draws) == (4, 5, 4, 1)
    chosen = data.train.of_class(1)[real.index[1, 2]]
    vectors = ((data.train.pixels(chosen) / 255 - 0.4) / 0.3).reshape(4, -1)
    assert real.cosine[1, 2] == pytest.approx(centroid_cosine(vectors), abs=1e-5)
    assert reference(subject, "real", 9).ipc == 9
    with pytest.raises(ConfigError, match="reference: 'fake' given"):
        reference(subject, "fake")
    with pytest.raises(DataError, match="red has 24 real images, but 25 are asked for"):
        measured(reference(subject, "real", 25), "pixels")


def test_a_folder_of_images_is_measured_as_the_run_it_is_a_copy_of(run, world) -> None:
    folder = world / "copied"
    for number, name in enumerate(run.class_names):
        (folder / name).mkdir(parents=True)
        for index in range(4):
            shutil.copy(run.image_path(number, index), folder / name / f"{index}.png")
    subject = of_folder(folder, tiny_dataset(), "colours")
    for space in ("teacher", "pixels"):
        assert measured(subject, space).cosine == pytest.approx(measured(of_run(run), space).cosine, abs=1e-6)
    found = measured(subject)
    assert (found.method, found.title, found.rounds) == ("folder", "copied", ())
    Image.new("RGB", (8, 8)).save(folder / "red" / "4.png")
    assert stored_result(of_folder(folder, tiny_dataset(), "colours")) is None  # other images, another result


def test_one_image_a_class_has_no_similarity(world, settings) -> None:
    run = finished(world / "runs" / "single", settings(ipc=1))
    assert why_none(of_run(run)) == "One image a class has nothing to be alike to, so IPC 1 has no similarity."
    assert cosine_similarity(run) is None
    with pytest.raises(DataError, match="single: One image a class has nothing"):
        measured(of_run(run))


def test_what_is_not_finished_is_refused(tmp_path) -> None:
    with pytest.raises(RunError, match="it is queued, but similarity is measured of finished images"):
        of_run(prepare(tmp_path / "queued"))


def test_a_missing_second_network_is_told_with_the_command(run) -> None:
    subject = of_run(run)
    assert "train one with `delt squeeze --dataset colours --image-size 8 --network resnet18" in why_none(
        subject, "second"
    )
    assert stored_result(subject, "second") is None
    with pytest.raises(ConfigError, match="space: 'sound' given, but it must be one of teacher, second, pixels"):
        measured(subject, "sound")


def test_a_network_that_is_named_is_the_witness(run) -> None:
    found = measured(of_run(run), "second", network="colours")
    assert found.mean == pytest.approx(measured(of_run(run)).mean)
    assert found.network_title == "convnet-3, width 0.0625"
    with pytest.raises(CheckpointError, match="photos was trained on 10 classes at 32 px, but colours has 3 at 8 px"):
        measured(of_run(run), "second", network="photos")


def test_a_teacher_that_is_gone_is_told_but_its_results_stay(run, world) -> None:
    subject = of_run(run)
    known = measured(subject).mean
    (world / "home" / "teachers" / "colours.safetensors").unlink()
    assert measured(subject).mean == known
    stored_file(subject).unlink()
    with pytest.raises(CheckpointError, match="are not there any more"):
        measured(subject)
    assert measured(subject, "pixels").mean < 1


def test_other_real_images_than_the_runs_are_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    run = make_finished_run(tmp_path / "fake", fake_experiment())
    with pytest.raises(DataError, match="the images of photos are not those that real belongs to"):
        measured(reference(of_run(run), "real"), "pixels")


def test_methods_without_rounds_have_no_early_and_late(world, settings) -> None:
    for method, changed in (("cda-init", {}), ("random", {"iterations": 0, "round_iterations": 1})):
        subject = of_run(finished(world / "runs" / method, settings(method, **changed)))
        assert subject.rounds == ()
        assert measured(subject, "pixels").early_late is None


def test_a_map_holds_real_and_synthetic_images_and_is_found_again(run, world, settings) -> None:
    other = finished(world / "runs" / "two", settings("cda"))
    subjects = [of_run(run), of_run(other)]
    assert stored_embedding(subjects, "pixels", points=40) is None
    made = embedded(subjects, "pixels", points=40)
    assert made.sources[0] == "real"
    assert set(made.sources[1:]) == {"one", "two"}
    assert (made.totals, made.shown, len(made)) == ((72, 12, 12), (16, 12, 12), 40)
    labels = tiny_dataset().train.labels
    is_real = made.set_number == 0
    assert np.array_equal(labels[made.index[is_real]], made.class_index[is_real])
    assert sorted(made.index[made.set_number == 1].tolist()) == sorted([0, 1, 2, 3] * 3)
    assert stored_embedding(subjects[::-1], "pixels", points=40).pca.tolist() == made.pca.tolist()
    assert stored_embedding(subjects, "pixels", points=41) is None


def test_a_second_network_of_a_kind_in_the_committee_is_said_to_be_no_neutral_witness() -> None:
    subject = of_run(Run.open(assets_dir() / "examples" / "photos-delt"))
    second = space_network(subject, "second")

    def words(network: str, fingerprint: str, space: str = "second") -> str:
        member = TeacherRecord(name="other", network=network, fingerprint=fingerprint)
        return not_neutral(replace(subject, committee=(member,)), space)

    assert not_neutral(subject, "second") == words("resnet34", "x") == words("convnet-3", "x", "teacher") == ""
    assert "holds a network of its kind, convnet-3" in words("convnet-3", "x")
    assert "holds this very network" in words("convnet-3", second.fingerprint)
