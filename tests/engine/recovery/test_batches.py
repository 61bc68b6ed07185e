import pytest

from delt_engine.config import RecoverConfig
from delt_engine.errors import ConfigError
from delt_engine.recovery.batches import clock, pack_batches, plan_batches


def named(plan):
    return [(slot.class_index, slot.index) for slot in plan.slots]


def config(**values) -> RecoverConfig:
    return RecoverConfig(**{"iterations": 40, "round_iterations": 10, **values})


def test_whole_classes_share_a_batch_and_the_last_one_is_smaller():
    plans = plan_batches(5, config(ipc=4, batch_size=9))
    assert [len(plan.slots) for plan in plans] == [8, 8, 4]
    assert [plan.batch_index for plan in plans] == [0, 1, 2]
    assert [{slot.class_index for slot in plan.slots} for plan in plans] == [{0, 1}, {2, 3}, {4}]


def test_a_class_larger_than_the_batch_is_a_batch_of_its_own():
    plans = plan_batches([7, 9], config(ipc=6, batch_size=4))
    assert [{slot.class_index for slot in plan.slots} for plan in plans] == [{7}, {9}]
    assert all(len(plan.slots) == 6 for plan in plans)


def test_slots_stand_in_the_order_in_which_they_join_and_keep_their_class_order():
    (plan,) = plan_batches(2, config(ipc=5, batch_size=100))  # rounds 1, 1, 2, 3, 4 in each class
    assert plan.start_rounds == (1, 1, 1, 1, 2, 2, 3, 3, 4, 4)
    assert named(plan) == [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (1, 2), (0, 3), (1, 3), (0, 4), (1, 4)]
    assert [plan.joined(number) for number in (1, 2, 3, 4)] == [4, 6, 8, 10]
    assert plan.first_iterations(10) == (0, 0, 0, 0, 10, 10, 20, 20, 30, 30)


def test_images_batching_goes_through_all_classes_before_the_next_index():
    filled = RecoverConfig.for_method("cda", ipc=3, iterations=40, round_iterations=10, batch_size=4, batching="images")
    plans = plan_batches([2, 5], filled)
    assert [named(plan) for plan in plans] == [[(2, 0), (5, 0), (2, 1), (5, 1)], [(2, 2), (5, 2)]]
    assert all(slot.start_round == 1 for plan in plans for slot in plan.slots)


def test_one_per_class_holds_the_nth_images_cut_at_the_batch_size_as_published():
    cda = RecoverConfig.for_method("cda", ipc=2, iterations=40, round_iterations=10, batch_size=3)
    plans = plan_batches([2, 5], cda)
    assert [named(plan) for plan in plans] == [[(2, 0), (5, 0)], [(2, 1), (5, 1)]]
    plans = plan_batches(5, cda)
    assert [named(plan) for plan in plans] == [
        [(0, 0), (1, 0), (2, 0)],
        [(3, 0), (4, 0)],
        [(0, 1), (1, 1), (2, 1)],
        [(3, 1), (4, 1)],
    ]
    published = RecoverConfig.for_method("sre2l", ipc=50)
    sizes = {classes: [len(plan.slots) for plan in plan_batches(classes, published)] for classes in (10, 200, 1000)}
    assert sizes == {10: [10] * 50, 200: [100] * 2 * 50, 1000: [100] * 10 * 50}


def test_one_per_class_with_early_late_begins_each_batch_in_its_own_round():
    plans = plan_batches(2, config(ipc=4, batching="one-per-class", batch_size=4))
    assert [plan.start_rounds for plan in plans] == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert [plan.members for plan in pack_batches(plans, 4)] == [(0,), (1,), (2,), (3,)]


def test_images_batching_with_early_late_may_start_a_batch_late():
    plans = plan_batches(2, config(ipc=4, batching="images", batch_size=4))
    assert [plan.start_rounds for plan in plans] == [(1, 1, 2, 2), (3, 3, 4, 4)]
    assert [plans[1].joined(number) for number in (1, 2, 3, 4)] == [0, 0, 2, 4]
    assert plans[1].first_iterations(10) == (20, 20, 30, 30)


@pytest.mark.parametrize("batching", ["classes", "one-per-class", "images"])
@pytest.mark.parametrize(("ipc", "batch_size"), [(1, 4), (5, 7), (9, 4), (10, 100)])
def test_every_image_is_in_exactly_one_batch_with_its_own_round(batching, ipc, batch_size):
    settings = config(ipc=ipc, batching=batching, batch_size=batch_size)
    slots = [slot for plan in plan_batches(6, settings) for slot in plan.slots]
    assert sorted((slot.class_index, slot.index) for slot in slots) == [(c, i) for c in range(6) for i in range(ipc)]
    assert all(slot.start_round == settings.schedule.start_rounds[slot.index] for slot in slots)


def test_no_class_or_a_class_twice_is_refused():
    with pytest.raises(ConfigError, match="classes: none given, but at least one"):
        plan_batches([], config())
    with pytest.raises(ConfigError, match=r"classes: \[1, 1\] given, but each class"):
        plan_batches([1, 1], config())


def test_clock_restarts_each_round_only_when_asked():
    assert [clock(i, config()) for i in (0, 10, 39)] == [(0, 40), (10, 40), (39, 40)]
    assert [clock(i, config(restart_rounds=True)) for i in (0, 9, 10, 39)] == [(0, 10), (9, 10), (0, 10), (9, 10)]
