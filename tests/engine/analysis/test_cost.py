"""Predicted time and disk use, against counts by hand and against the real batches."""

from dataclasses import replace

import pytest

from delt_engine.analysis.cost import (
    Rate,
    RateKey,
    best_rate,
    checkpoint_bytes,
    fitted,
    largest_batch,
    predicted_bytes,
    predicted_seconds,
    rate_teacher,
    scaled_to_this_machine,
    steps,
)
from delt_engine.config import RecoverConfig
from delt_engine.paths import assets_dir
from delt_engine.recovery.batches import pack_batches, plan_batches

KEY = RateKey("cpu", "beef", 32, 100)
RATE = Rate(KEY, 0.1, 0.004)


@pytest.mark.parametrize("batching", ["classes", "one-per-class", "images"])
@pytest.mark.parametrize("early_late", [True, False])
@pytest.mark.parametrize(("ipc", "num_classes", "batch_size"), [(10, 10, 100), (7, 5, 20), (50, 3, 100), (3, 40, 7)])
def test_the_time_is_the_sum_over_every_iteration_of_every_step(
    batching, early_late, ipc, num_classes, batch_size
) -> None:
    rounds = {"iterations": 40, "round_iterations": 10, "early_late": early_late}
    config = RecoverConfig(ipc=ipc, batching=batching, batch_size=batch_size, **rounds)
    total = count = 0.0
    together = config.batches_that_fill(num_classes)
    plans = pack_batches(plan_batches(num_classes, config), together)
    for plan in plans:
        for iteration in range(min(plan.first_iterations(10)), 40):
            total += RATE.fixed_s + RATE.per_image_s * plan.joined(iteration // 10 + 1)
            count += 1
    assert steps(config, num_classes) == count
    assert predicted_seconds(config, num_classes, RATE) == pytest.approx(total)
    assert largest_batch(config, num_classes) == max(len(plan.slots) for plan in plans)


def test_a_line_through_measured_points_never_has_a_negative_part() -> None:
    assert fitted([(10, 0.14), (100, 0.5)]) == (0.1, 0.004)
    assert fitted([(100, 0.5)]) == (0.0, 0.005)
    assert fitted([(10, 0.01), (100, 0.5)]) == (0.0, pytest.approx(0.255 / 55))  # a line would begin below 0
    assert fitted([(10, 0.5), (100, 0.5)]) == (0.5, 0.0)


def test_a_rate_is_taken_for_the_same_teacher_and_device_only() -> None:
    assert best_rate([RATE], replace(KEY, teacher="other")) == (None, False)
    assert best_rate([RATE], replace(KEY, device="cuda")) == (None, False)
    assert best_rate([RATE], KEY) == (RATE, True)
    assert best_rate([RATE], replace(KEY, batch_size=40)) == (RATE, False)
    assert best_rate([replace(RATE, is_here=False)], KEY)[1] is False


def test_an_example_is_taken_at_the_speed_of_this_machine_where_another_run_tells_it() -> None:
    example = replace(RATE, is_here=False)  # 200 a second with 100 images
    other = replace(KEY, teacher="cafe")
    there = Rate(other, 0.0, 0.004, is_here=False)  # 250
    newest, older = Rate(other, 0.0, 0.001, name="newest"), Rate(other, 0.0, 0.1, name="older")
    found, own = scaled_to_this_machine(example, [newest, older, example, there])
    assert (own, found.per_second(100)) == (newest, pytest.approx(800.0))
    elsewhere = replace(newest, key=replace(other, device="cuda"))
    assert scaled_to_this_machine(example, [elsewhere, example, there]) == (example, None)
    assert scaled_to_this_machine(RATE, [newest, RATE, there]) == (RATE, None)


def test_a_committee_is_guessed_from_its_first_teacher_until_it_was_measured() -> None:
    key = replace(KEY, teacher=rate_teacher(RecoverConfig.for_method("gvbsm"), KEY.teacher))
    guess, is_exact = best_rate([RATE], key)  # DELT Table 6, CIFAR-10: 0.195 hours for CDA's 0.084
    assert (guess.fixed_s, guess.per_image_s, is_exact) == (pytest.approx(0.23), pytest.approx(0.0092), False)
    measured = replace(RATE, key=key, per_image_s=0.02)
    assert best_rate([RATE, measured], key) == (measured, True)
    assert best_rate([RATE, measured], KEY) == (RATE, True)  # and tells nothing of the teacher alone
    in_turn = replace(key, teacher=rate_teacher(RecoverConfig(committee=True), KEY.teacher))
    assert best_rate([RATE], in_turn) == (RATE, False)


def test_the_nearest_question_goes_first() -> None:
    example = replace(RATE, is_here=False, name="example")
    other = replace(RATE, key=replace(KEY, batch_size=40), name="other batch")
    assert best_rate([example, other], KEY)[0].name == "other batch"
    assert best_rate([example, other, RATE], KEY)[0] is RATE
    scaled, is_exact = best_rate([RATE], replace(KEY, image_size=64))
    assert (scaled.per_image_s, scaled.fixed_s, is_exact) == (0.016, 0.1, False)


def test_disk_use_is_near_the_shipped_example() -> None:
    folder = assets_dir() / "examples" / "photos-delt"
    used = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    config = RecoverConfig(ipc=10, iterations=1000, round_iterations=125)
    assert predicted_bytes(config, 10, 32) == pytest.approx(used, rel=0.1)
    assert predicted_bytes(config, 10, 32, snapshot_classes=0) < used / 3
    assert checkpoint_bytes(config, 10, 32) == 3 * 4 * 3 * 32 * 32 * 100
