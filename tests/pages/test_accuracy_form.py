"""The form of Accuracy: recipes, several students, presets, the expected time, and stored labels."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from fake_runs import dataset_record, fake_experiment, make_evaluation, make_finished_run
from page_helpers import captions, planned_dataset, texts

from delt_engine.config import EvaluateConfig
from delt_engine.config.students import filled_in
from delt_engine.jobs import tasks
from delt_engine.papers.presets import find_preset
from delt_engine.training.label_facts import AUGMENTATION, MANIFEST, StoreFacts, epoch_file

PAGE = "explore/accuracy"


def test_a_recipe_brings_its_settings_and_training_starts_with_what_the_form_says(open_page, started, finished) -> None:
    app = open_page(PAGE)
    assert any("No students have been trained yet" in entry.value for entry in app.info)
    assert app.multiselect(key="accuracy/train/sources").value == [finished.id]
    app.segmented_control(key="accuracy/train/recipe").set_value("edc").run()
    assert app.number_input(key="accuracy/train/ema_decay").value == 0.99
    assert app.number_input(key="accuracy/train/epochs").value in (200, 1000)
    app.segmented_control(key="accuracy/train/recipe").set_value("hard").run()
    assert "accuracy/train/labels" not in {entry.key for entry in app.segmented_control}  # the class is the label
    app.multiselect(key="accuracy/train/sources").set_value([]).run()
    assert app.button(key="accuracy/train/start").disabled
    app.multiselect(key="accuracy/train/sources").set_value([finished.id, "real"])
    app.segmented_control(key="accuracy/train/recipe").set_value("rded").run()
    app.number_input(key="accuracy/train/epochs").set_value(0).run()
    assert app.button(key="accuracy/train/start").disabled
    assert "Epochs: 1 to 100,000" in texts(app)
    app.number_input(key="accuracy/train/epochs").set_value(30)
    app.number_input(key="accuracy/train/batch_size").set_value(25)
    app.number_input(key="accuracy/train/learning_rate").set_value(0.002)
    app.number_input(key="accuracy/train/student_width").set_value(0.5)
    app.number_input(key="accuracy/train/image_size").set_value(64)  # of the whole real set; a run brings its own
    app.number_input(key="accuracy/train/seeds").set_value(2)
    app.multiselect(key="accuracy/train/students").set_value(["convnet-3"]).run()
    first, second = (block.value for block in app.code if block.value.startswith("delt evaluate"))
    assert first.startswith(f"delt evaluate {finished.id} --recipe rded --student convnet-3 --student-width 0.5")
    assert "--student-batch-size 25" in first
    assert second.startswith(f"delt evaluate real --dataset {planned_dataset(app)}")
    assert ("--image-size 64" in first, "--image-size 64" in second) == (False, True)
    app.button(key="accuracy/train/start").click().run()
    assert started.sources == [finished.id, "real"]
    for experiment, kind in started.experiments:
        assert (kind, experiment.evaluate.shuffle_patches) == ("evaluate", True)
        names = ("recipe", "epochs", "seeds", "student", "batch_size", "learning_rate")
        assert [getattr(experiment.evaluate, name) for name in names] == ["rded", 30, 2, "convnet-3", 25, 0.002]


def test_several_students_are_a_run_each_also_in_the_comparison_and_another_network_labels(
    open_page, started, finished
) -> None:
    app = open_page(PAGE)
    app.number_input(key="accuracy/train/student_width").set_value(0.5)
    app.selectbox(key="accuracy/train/relabeller").set_value("photos")  # it knows the classes of the run
    app.multiselect(key="accuracy/train/students").set_value(["resnet18", "densenet121"]).run()
    command, *_ = (block.value for block in app.code if block.value.startswith("delt compare"))
    assert "--students resnet18,densenet121" in command
    app.button(key="accuracy/train/start").click().run()
    found = [experiment.evaluate for experiment, _ in started.experiments]
    assert [(one.student, one.student_width, one.relabeller) for one in found] == [
        ("resnet18", 0.5, "photos"),
        ("densenet121", None, "photos"),
    ]
    assert started.sources == [finished.id] * 2
    app.pills(key="accuracy/methods").set_value(["random"]).run()
    app.button(key="accuracy/compare").click().run()
    assert [kind for _, kind in started.experiments[2:]] == ["recover", "evaluate", "evaluate"]


def test_a_preset_brings_a_papers_training_at_the_images_per_class_of_the_run(open_page, started, finished) -> None:
    app = open_page(PAGE)
    app.selectbox(key="accuracy/train/paper").set_value("cda-tiny-imagenet").run()
    row = app.table[0].value.set_index("Setting").loc["Optimiser"]
    assert (row["Default"], row["Preset"], row["From"]) == ("adamw", "sgd", "CDA Table 12a")
    assert app.segmented_control(key="accuracy/train/recipe").value == "cda-tiny-imagenet"
    app.number_input(key="accuracy/train/epochs").set_value(30).run()
    app.button(key="accuracy/train/start").click().run()
    published = find_preset("cda-tiny-imagenet").published(finished.experiment.recover.ipc).experiment.evaluate
    assert started.experiments[0][0].evaluate == published.replace(epochs=30)
    app.segmented_control(key="accuracy/train/recipe").set_value("delt").run()
    assert app.selectbox(key="accuracy/train/paper").value is None
    assert app.selectbox(key="accuracy/train/optimizer").value == "adamw"


def test_a_preset_brings_the_training_for_the_network_that_made_the_images(open_page, finished) -> None:
    record = json.loads((finished.path / "run.json").read_text())
    record["teacher"]["network"] = "convnet-4"
    (finished.path / "run.json").write_text(json.dumps(record))
    app = open_page(PAGE)
    app.selectbox(key="accuracy/train/paper").set_value("sre2l-imagenet-1k").run()
    # published code shows ConvNets ImageNet-1K at 64 px, where SRe2L trains as on Tiny-ImageNet
    assert app.segmented_control(key="accuracy/train/recipe").value == "sre2l-tiny-imagenet"


def test_expected_time_is_from_an_evaluation_of_the_same_student(open_page, home) -> None:
    run = make_finished_run(home / "runs" / "20260101-000000-a")
    make_evaluation(home / "runs" / "20260102-000000-a", run, top1=(40.0, 41.0))
    # 60 s for 12 images, 60 epochs, 2 students
    app = open_page(PAGE)
    app.multiselect(key="accuracy/train/sources").set_value([run.id])
    app.number_input(key="accuracy/train/epochs").set_value(120).run()
    assert "About 1 min 0 s for 1 set of images." in captions(app)
    app.multiselect(key="accuracy/train/students").set_value(["resnet50"]).run()
    assert "not known yet" in captions(app)


def test_labels_are_stored_first_and_the_store_is_taken(open_page, started, finished, home, monkeypatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(tasks, "start", lambda work, words: asked.append(list(words)) or work)
    monkeypatch.setenv("DELT_HOME", str(home))
    app = open_page(PAGE)
    app.number_input(key="accuracy/train/epochs").set_value(20)
    app.segmented_control(key="accuracy/train/labels").set_value("stored").run()
    assert not app.error
    assert app.button(key="accuracy/train/start").disabled
    store = app.button(key=f"accuracy/labels/save/{finished.id}")
    assert store.label == "Store labels now (3.8 kB)"  # 20 epochs of 12 images in 3 classes, and a header each
    store.click().run()
    (words,) = asked
    assert words[:4] == ["relabel", finished.id, "--epochs", "20"]
    write_store(Path(words[words.index("--out") + 1]), epochs=20)
    app.run()
    assert not app.button(key="accuracy/train/start").disabled
    app.multiselect(key="accuracy/train/students").set_value(["convnet-3", "mobilenet_v2"]).run()
    app.button(key="accuracy/train/start").click().run()
    trained = [experiment.evaluate for experiment, _ in started.experiments]
    assert [config.student for config in trained] == ["convnet-3", "mobilenet_v2"]
    assert {(config.labels, config.label_store) for config in trained} == {("stored", words[words.index("--out") + 1])}
    app.number_input(key="accuracy/train/epochs").set_value(21).run()  # more than the store is for
    assert app.button(key="accuracy/train/start").disabled
    assert "it is for 20 epochs, not 21" in captions(app)


def test_the_folder_of_stored_labels_can_be_typed(open_page, started, finished, home, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("DELT_HOME", str(home))
    app = open_page(PAGE)
    app.number_input(key="accuracy/train/epochs").set_value(20)
    app.segmented_control(key="accuracy/train/labels").set_value("stored").run()
    store = f"accuracy/labels/store/{finished.id}"
    (tmp_path / "empty").mkdir()
    type_into(app.selectbox(key=store), str(tmp_path / "empty")).run()
    assert "empty holds no stored labels." in captions(app)
    assert app.button(key="accuracy/train/start").disabled
    write_store(tmp_path / "made elsewhere", epochs=20)
    type_into(app.selectbox(key=store), str(tmp_path / "made elsewhere")).run()
    assert "holds no stored labels" not in captions(app)
    assert not app.button(key="accuracy/train/start").disabled
    type_into(app.selectbox(key=store), str(tmp_path / "made elsewhere"))
    app.button(key="accuracy/train/start").click().run()
    (config,) = [experiment.evaluate for experiment, _ in started.experiments]
    assert (config.labels, config.label_store) == ("stored", str(tmp_path / "made elsewhere"))


def type_into(box, text: str):
    """Type what is no option; AppTest sends only options, and forgets it after the next run."""
    box.options.append(text)
    return box.set_value(text)


def write_store(path: Path, epochs: int) -> None:
    """A whole store of the finished run's 12 images as far as the page looks at it."""
    config = filled_in(EvaluateConfig(), ipc=4, images=12, num_classes=3, image_size=32, dataset="photos")
    facts = StoreFacts(
        images=12,
        num_classes=3,
        image_size=32,
        mosaic=1,
        epochs=epochs,
        label_epochs=epochs,
        seed=0,
        form="float16",
        augmentation={name: getattr(config, name) for name in AUGMENTATION},
        image_fingerprint="1",
        teacher_fingerprint="beef",
    )
    path.mkdir(parents=True)
    (path / MANIFEST).write_text(json.dumps(asdict(facts)))
    for epoch in range(1, epochs + 1):
        epoch_file(path, epoch).touch()


def test_images_whose_data_is_not_here_come_last_and_are_not_trained_on(open_page, home, finished) -> None:
    settings = fake_experiment("sre2l").replace(dataset="cifar10")
    away = make_finished_run(home / "runs" / "20270101-000000-away", settings)
    make_evaluation(home / "runs" / "20270102-000000-away", away, dataset=dataset_record("cifar10", title="CIFAR-10"))
    app = open_page(PAGE)
    sources = app.multiselect(key="accuracy/train/sources")
    methods = [next((name for name in ("DELT", "SRe²L") if name in option), "real") for option in sources.options]
    assert methods == ["DELT", "SRe²L", "real"]
    assert sources.options[2] == "The whole real training set of cifar10-mini"
    assert any(f"delt evaluate {finished.id}" in block.value for block in app.code)
    sources.set_value([finished.id]).run()
    assert not app.button(key="accuracy/train/start").disabled
    app.multiselect(key="accuracy/train/sources").set_value([finished.id, away.id]).run()
    assert not app.exception
    assert "is not on this machine, so no student can be tested on it." in texts(app)
    assert app.button(key="accuracy/train/start").disabled
