"""A run stands beside a printed number when it asks the same and every setting is equal; else what differs is told."""

from dataclasses import replace

import pytest
from paper_runs import printed, run_of

from delt_engine.papers.cells import paper_cell, why_not
from delt_engine.papers.fits import (
    Network,
    beyond_settings,
    differences,
    fits,
    is_alike,
    published_like,
    settings_that_differ,
)
from delt_engine.papers.published import all_published
from delt_engine.runs.record import relevant_settings

DELT = printed("DELT Table 1", dataset="cifar10", ipc=10, student="resnet18", method="delt")


def _rows(value, found) -> dict[str, tuple[str, str]]:
    return {row.name: (row.here, row.published) for row in differences(paper_cell(value), found)}


def test_the_very_settings_fit() -> None:
    assert fits(paper_cell(DELT), run_of(DELT))


def test_how_it_was_computed_and_how_often_tested_does_not_count() -> None:
    changes = {"recover__precision": "bfloat16", "recover__pack": 4, "rank__batch_size": 7}
    changes |= {"evaluate__seeds": 1, "evaluate__validate_every": 5, "evaluate__precision": "float32"}
    assert fits(paper_cell(DELT), run_of(DELT, **changes))


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        ({"recover__iterations": 2000}, {"Recovery: Iterations (MI)": ("2,000", "4,000")}),
        ({"recover__r_bn": 0.05}, {"Recovery: BatchNorm weight": ("0.05", "0.01")}),
        ({"select__mosaic": 2}, {"Patches: Mosaic": ("2", "1")}),
        ({"select__criterion": "top"}, {"Patches: Criterion": ("top", "medium")}),
        ({"evaluate__epochs": 60}, {"Epochs": ("60", "300")}),
        ({"evaluate__temperature": 4.0}, {"Temperature": ("4", "20")}),
        ({"evaluate__student_width": 0.25}, {"Student width": ("0.25", "1")}),
        ({"evaluate__rand_augment": "auto"}, {}),  # the rule is the table's
        ({"evaluate__student_stem": "small"}, {}),  # what auto takes at 32 px
        ({"evaluate__student_stem": "stock"}, {"Student stem": ("stock", "small")}),
    ],
)
def test_each_setting_that_differs_is_told_with_both_values(changes, row) -> None:
    assert _rows(DELT, run_of(DELT, **changes)) == row


def test_a_part_of_the_labels_used_in_turn_is_not_the_printed_training() -> None:
    for stored, row in ((100, {"Epochs of stored labels": ("100", "300")}), (300, {}), (None, {})):
        found = run_of(DELT)
        assert _rows(DELT, replace(found, result={**found.result, "label_epochs": stored})) == row


def test_a_student_that_the_table_leaves_open_is_not_said_to_be_printed() -> None:
    open_ones = [value for value in all_published() if "student" in value.assumed and not why_not(value)]
    assert open_ones
    assert not any("evaluate.student" in paper_cell(value).origins for value in open_ones)
    assert paper_cell(DELT).origins["evaluate.student"] == "DELT Table 1"


def test_where_a_value_is_printed_is_told() -> None:
    (row,) = differences(paper_cell(DELT), run_of(DELT, recover__iterations=2000))
    assert row.source == "DELT Table 8b"
    (row,) = differences(paper_cell(DELT), run_of(DELT, evaluate__temperature=4.0))
    assert row.source == "published code"


def test_another_teacher_is_told() -> None:
    found = run_of(DELT)
    other = found.__class__(**{**vars(found), "teacher": found.teacher._replace(network="resnet34", width=0.5)})
    assert _rows(DELT, other)["Teacher"] == ("resnet34, width 0.5", "resnet18")


def test_squares_count_where_they_show_other_parts() -> None:
    found = run_of(DELT)  # at 32 px both show the whole picture
    assert fits(paper_cell(DELT), found.__class__(**{**vars(found), "experiment": _whole(found)}))
    tiny = printed("DELT Table 1", dataset="tiny-imagenet", ipc=10, student="resnet18", method="delt")
    found = run_of(tiny)
    whole = found.__class__(**{**vars(found), "experiment": _whole(found)})
    assert _rows(tiny, whole) == {"Squares": ("whole", "published")}


def _whole(found):
    return found.experiment.replace(resize="whole")


def test_a_shorter_training_of_the_teacher_fits_but_is_told() -> None:
    value = printed("CDA Table 4", dataset="tiny-imagenet", ipc=50, student="resnet18", method="cda")
    found = run_of(value)
    found = found.__class__(**{**vars(found), "teacher": found.teacher._replace(epochs=10)})
    assert fits(paper_cell(value), found)
    (row,) = (row for row in settings_that_differ(found) if "teacher" in row.name)
    assert row == ("Epochs of the teacher", "10", "50", "CDA Table 12a")


@pytest.mark.parametrize(("every", "said"), [(100, [("every 100 epochs", "every 10")]), (10, []), (5, [])])
def test_students_that_were_tested_less_often_fit_but_it_is_told(every, said) -> None:
    found = run_of(DELT, evaluate__validate_every=every)
    assert fits(paper_cell(DELT), found)
    rows = [row for row in settings_that_differ(found) if row.name == "Students tested"]
    assert [(row.here, row.published) for row in rows] == said


@pytest.mark.parametrize("changes", [{"recover__ipc": 20}, {"evaluate__student": "resnet50"}])
def test_another_question_is_not_near(changes) -> None:
    assert not is_alike(paper_cell(DELT), run_of(DELT, **changes))


def test_printed_and_published_batch_are_both_taken() -> None:
    large = printed("DELT Table 1", dataset="imagenet-1k", ipc=50, student="resnet18", method="delt")
    assert paper_cell(large).experiment.evaluate.batch_size == 200  # the published code doubles
    assert fits(paper_cell(large), run_of(large))
    assert fits(paper_cell(large), run_of(large, evaluate__batch_size=100))  # DELT Table 8a
    assert _rows(large, run_of(large, evaluate__batch_size=50)) == {"Batch size": ("50", "200")}


def test_the_printed_batch_is_of_delt_s_own_training() -> None:
    value = printed("DELT Table 1", dataset="imagenet-1k", ipc=50, student="resnet18", method="sre2l")
    assert _rows(value, run_of(value, evaluate__batch_size=100)) == {"Batch size": ("100", "1,024")}


def test_imagenet_100_is_ranked_by_a_teacher_of_imagenet_1k() -> None:
    value = printed("DELT Table 1", dataset="imagenet-100", ipc=50, student="resnet18", method="delt")
    alone = run_of(value)
    assert _rows(value, alone) == {"Ranker": ("the teacher, resnet18", "imagenet-1k-resnet18-224px")}
    (row,) = differences(paper_cell(value), alone)
    assert row.source == "DELT Appendix B, Ranking"
    ranked = alone.__class__(**{**vars(alone), "ranker": alone.teacher._replace(name="of-1k", fingerprint="r")})
    assert fits(paper_cell(value), ranked)
    file = alone.__class__(**{**vars(alone), "ranker": alone.teacher._replace(name="a.csv", network="")})
    assert _rows(value, file) == {"Ranker": ("a.csv", "resnet18")}


def test_whoever_ranked_patches_that_are_picked_at_random_changes_nothing() -> None:
    """Runs of DM from before random patches asked for no ranker fit as well as those without one."""
    ranker = Network("ranker", "resnet18", 1.0, "r")
    value = printed("CDA Table 1", method="dm", ipc=10)
    assert fits(paper_cell(value), run_of(value))
    assert fits(paper_cell(value), replace(run_of(value), ranker=ranker))


def test_a_row_of_random_patches_asks_for_no_ranker() -> None:
    rows = {words: paper_cell(printed("DELT Table 11", selection=words)) for words in ("random", "delt")}
    assert {words: cell.experiment.ranker for words, cell in rows.items()} == {
        "random": "",
        "delt": "imagenet-1k-resnet18-224px",
    }
    assert "experiment.ranker" not in rows["random"].origins
    assert fits(rows["random"], run_of(rows["random"]))


@pytest.mark.parametrize(
    ("dataset", "sizes"), [("imagenet-1k", [("64 px", "224 px")]), ("imagenet-100", [("128 px", "224 px")])]
)
def test_convnets_start_from_patches_that_were_ranked_smaller_than_published(dataset, sizes) -> None:
    value = printed("DELT Table 2", dataset=dataset, ipc=10, method="delt")
    rows = beyond_settings(paper_cell(value), run_of(value))
    assert [(row.here, row.published) for row in rows if row.name == "Patches ranked at"] == sizes


def test_patches_of_small_datasets_are_ranked_at_their_own_size() -> None:
    for value in (printed("DELT Table 2", dataset="tiny-imagenet", ipc=10, method="delt"), DELT):
        assert "Patches ranked at" not in {row.name for row in beyond_settings(paper_cell(value), run_of(value))}


def test_round_iterations_of_methods_without_rounds_do_not_count() -> None:
    value = printed("CDA Table 4", dataset="tiny-imagenet", ipc=50, student="resnet18", method="cda")
    assert fits(paper_cell(value), run_of(value, recover__round_iterations=4000))


def test_what_a_row_varies_decides_which_numbers_stand_beside_a_run() -> None:
    plain = printed("DELT Table 4d", dataset="imagenet-1k", method="cda-init")
    assert [one.where for one in published_like(run_of(plain))] == ["DELT Table 4d"]
    mosaic = printed("DELT Table 9", patches="3x3", method="cda-init")
    assert [(one.where, one.value) for one in published_like(run_of(mosaic))] == [("DELT Table 9", 56.6)]
    assert published_like(run_of(mosaic, select__mosaic=1)) == ()
    rounds = printed("DELT Table 4c", MI=2000, RI=1000)
    assert 44.4 in [one.value for one in published_like(run_of(rounds))]
    assert 45.61 not in [one.value for one in published_like(run_of(rounds))]


def test_the_networks_that_recovered_and_labelled_decide_which_numbers_stand_beside_a_run() -> None:
    of_18, of_50 = (
        printed("CDA Table 8", student="resnet18", teacher=name, method="cda") for name in ("resnet18", "resnet50")
    )
    assert (of_18.value, of_50.value) == (26.42, 22.95)
    assert of_50 not in published_like(run_of(of_18))
    assert published_like(run_of(of_50)) == (of_50,)
    made = run_of(of_18)
    third = made.__class__(**{**vars(made), "teacher": made.teacher._replace(network="mobilenet_v2")})
    assert {of_18, of_50} <= set(published_like(third))  # none is of it: all, and that the teacher differs
    assert "Teacher" in {row.name for row in settings_that_differ(third)}
    plain = printed("CDA Table 7", student="resnet18", teacher="resnet18", method="cda")
    numbers = {one.value for one in published_like(run_of(plain))}
    assert plain.value in numbers
    assert not numbers & {49.52, 42.23}  # CDA Tables 7 and 19, recovered with DenseNet-121


def test_a_teacher_s_number_is_of_its_network_and_training() -> None:
    values = {
        name: printed("CDA Table 5", student=name, init="random", metric="top1") for name in ("resnet18", "resnet50")
    }
    cell = paper_cell(values["resnet18"])
    made = run_of(cell)
    run = made.__class__(**{**vars(made), "experiment": relevant_settings(cell.experiment, "squeeze"), "result": {}})
    assert fits(cell, run)
    assert not is_alike(paper_cell(values["resnet50"]), run)
    shorter = run.experiment.replace(squeeze=run.experiment.squeeze.replace(epochs=80))
    (row,) = differences(cell, run.__class__(**{**vars(run), "experiment": shorter}))
    assert row == ("Epochs", "80", "140", "CDA Table 5")


def test_some_of_the_classes_are_not_the_published_task() -> None:
    found = run_of(DELT)
    assert published_like(found.__class__(**{**vars(found), "num_classes": 2})) == ()


ALWAYS = {"Accuracy", "Statistics of the images", "Image files"}
"""What no setting of a run can change."""


def test_settings_that_differ_from_the_method_s_paper() -> None:
    assert {row.name for row in settings_that_differ(run_of(DELT))} == ALWAYS
    rows = {row.name: row.here for row in settings_that_differ(run_of(DELT, evaluate__epochs=60))}
    assert rows.keys() == ALWAYS | {"Epochs"}
    between = run_of(DELT, recover__ipc=20, evaluate__epochs=60)  # no number is printed for it
    assert "Epochs" in {row.name for row in settings_that_differ(between)}


def test_without_a_publication_nothing_differs() -> None:
    found = run_of(DELT)
    for result in ({"method": "random"}, {"method": "folder"}):
        assert settings_that_differ(found.__class__(**{**vars(found), "result": {**found.result, **result}})) == []
    assert settings_that_differ(found.__class__(**{**vars(found), "dataset": "photos"})) == []


def test_a_plain_evaluation_is_not_held_against_a_step_of_continual_learning() -> None:
    found = run_of(paper_cell(printed("CDA Table 14", method="cda", classes=200)))
    assert not any(value.words.get("task") for value in published_like(found))
