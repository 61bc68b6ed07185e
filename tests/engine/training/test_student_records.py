import json
import math

import pytest
from fake_runs import fake_student, make_evaluation, make_finished_run

from delt_engine.training.records import StudentResult

KEYS = """
source source_title method method_title ipc images dataset dataset_title dataset_fingerprint test_fingerprint
class_names teacher teacher_fingerprint relabeller relabeller_fingerprint recipe recipe_title is_shortened changes
student student_width student_stem image_size epochs batch_size learning_rate labels label_epochs seeds top1_last
top1_last_std top1_best top1_best_std top1_ema top1_ema_std top5_last per_class chance test_images seconds
synthesis_seconds image_iterations students
"""


@pytest.fixture
def summary(tmp_path):
    """Return what an evaluation of three classes says of students with these accuracies."""

    def make(*top1: float, **more) -> dict:
        source = make_finished_run(tmp_path / "run")
        return make_evaluation(tmp_path / "evaluation", source, top1, recipe="rded", **more).record().result

    return make


def test_a_summary_has_exactly_the_agreed_names_and_means_and_spreads_by_hand(summary):
    found = summary(40.0, 44.0)
    assert list(found) == KEYS.split()
    assert json.loads(json.dumps(found)) == found
    assert (found["top1_last"], found["top1_best"], found["top5_last"]) == (42.0, 43.0, 72.0)
    assert found["top1_last_std"] == found["top1_best_std"] == pytest.approx(math.sqrt(8))  # (2^2 + 2^2) / (2 - 1)
    assert found["per_class"] == [32.0, 42.0, 52.0]
    assert (found["seeds"], found["chance"]) == ([0, 1], pytest.approx(100 / 3))
    assert (found["is_shortened"], found["changes"]["epochs"]) == (True, [300, 60])
    assert (found["recipe_title"], found["student_stem"], found["top1_ema"]) == ("RDED", "small", None)


def test_one_seed_has_no_spread_and_a_student_comes_back(summary):
    found = summary(40.0, ema=True)
    assert (found["top1_last_std"], found["top1_ema"]) == (0.0, 42.0)
    assert StudentResult.from_mapping(found["students"][0]) == fake_student(0, 40.0, 60, 3, ema=True)
