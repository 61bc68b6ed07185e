import numpy as np
import pytest
from tiny_data import tiny_dataset

from delt_engine.analysis.similarity import halves_cosine, pixel_change
from delt_engine.config import RankConfig, RecoverConfig, SelectConfig
from delt_engine.errors import ConfigError
from delt_engine.lab.material import STAGES, LabPlan, own_time
from delt_engine.lab.recording import LabMaterial, LabWork, record_lab, twin_plan
from delt_engine.models.teachers import load_teacher
from delt_engine.patches.ranking import rank
from delt_engine.patches.selection import patch_pixels, select
from delt_engine.recovery.batches import plan_batches

pytest_plugins = ["tiny_world"]

CONFIG = RecoverConfig(ipc=4, iterations=8, round_iterations=2, batch_size=8)
PLAN = LabPlan(patches=2, start_rounds=(1, 3), every=2, taken_apart=(0.0, 0.5, 1.0))


@pytest.fixture(scope="module")
def work(tiny_teacher) -> LabWork:
    data = tiny_dataset()
    teacher = load_teacher(str(tiny_teacher), dataset=data)
    *_, ranking = rank(data, teacher, RankConfig(), seed=0, device="cpu")
    chosen = select(ranking, data.train.names, CONFIG.schedule, SelectConfig(), seed=0, classes=(0, 1, 2))
    return LabWork(data, teacher, chosen, (0, 1, 2), CONFIG, PLAN, 0)


@pytest.fixture(scope="module")
def progress() -> list[tuple[int, int]]:
    return []


@pytest.fixture(scope="module")
def material(work, progress) -> LabMaterial:
    return record_lab(work, lambda *at: progress.append(at))


def test_only_the_twin_moves_in_its_batch() -> None:
    plan = plan_batches(2, CONFIG)[0]
    twin = twin_plan(plan, (1, 0), 3)
    assert {slot for slot in twin.slots} - set(plan.slots) == {type(plan.slots[0])(1, 0, 3)}
    assert list(twin.start_rounds) == sorted(twin.start_rounds)
    with pytest.raises(ConfigError, match=r"\(9, 0\)"):
        twin_plan(plan, (9, 0), 3)


def test_progress_counts_every_iteration_of_every_run(material, progress) -> None:
    # Two batches; image 0 has one twin beside the base run, image 1 (of round 2) has two; three classes.
    # The last class is alone in its batch, so its twin of round 3 begins when image 1 joins.
    total = 8 * (2 + 3 * (1 + 2))
    assert [done for done, _ in progress] == sorted({done for done, _ in progress})
    assert progress[-1] == (total, total)


def test_a_twin_starts_from_its_patch_and_waits_until_its_round(material, work) -> None:
    moments = PLAN.moments(CONFIG)
    for subject in material.subjects:
        start = patch_pixels(work.dataset, work.selected((subject.class_index, subject.index)))
        film = material.sheets[subject.film]
        for twin in subject.twins:
            assert moments[twin.first] == (twin.start_round - 1) * 2
            assert np.array_equal(film[twin.row, 0], start)
            assert twin.change[0] == twin.distance[0] == 0
            assert len(twin.change) == len(twin.probability) == len(moments) - twin.first
            last = film[twin.row, len(twin.change) - 1]
            assert twin.change[-1] == pytest.approx(float(pixel_change(last[None], start[None])[0][0]), abs=0.01)
        assert [twin.start_round for twin in subject.twins] == [1, 3]
        assert subject.twins[0].change[-1] > subject.twins[1].change[-1] > 0


def test_the_base_run_is_the_run_that_recover_makes(material, world, settings) -> None:
    from delt_engine.pipeline.run import run_experiment
    from delt_engine.runs.store import Run

    run = Run.create(world / "run", settings(batch_size=8))
    run_experiment(run)
    subject = next(s for s in material.subjects if s.natural_round == 1 and s.class_index == 1)
    film = material.sheets[subject.film][0]
    last = len(subject.twins[0].change) - 1
    assert np.array_equal(film[last], run.snapshot_images(1, 4)[subject.index])
    halves = next(h for h in material.halves if h.class_index == 1)
    assert np.array_equal(material.sheets[halves.sheet][1], run.snapshot_images(1, 4))


def test_halves_are_measured_before_and_after_every_round(material, work) -> None:
    from delt_engine.analysis.diversity import network_outputs
    from delt_engine.data.pixels import normalise, to_pixels

    record = material.halves[0]
    assert len(record.early) == len(record.late) == len(record.pixel_early) == len(record.pixel_late) == 5
    card, start = work.teacher.card, material.sheets[record.sheet][0]
    features = network_outputs(work.teacher.network, normalise(to_pixels(start), card.mean, card.std)).features.numpy()
    assert halves_cosine(features) == pytest.approx((record.early[0], record.late[0]), abs=1e-3)


def test_iterations_are_taken_apart_for_images_that_have_joined(material) -> None:
    first = next(s for s in material.subjects if (s.class_index, s.index) == (0, 0))
    assert [stage.iteration for stage in first.stages] == [0, 4, 7]
    assert material.sheets[first.stages_sheet].shape == (3, len(STAGES), 8, 8, 3)
    stage = first.stages[0]
    assert [name for name, _ in stage.top] != []
    assert stage.ce_image == pytest.approx(-np.log(stage.true_class_prob), abs=0.02)
    second = next(s for s in material.subjects if (s.class_index, s.index) == (0, 1))
    assert [stage.iteration for stage in second.stages] == [4, 7]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"start_rounds": (1, 9)}, "end at 4 at most"),
        ({"start_rounds": (2, 3)}, "begin with 1"),
        ({"start_rounds": (3, 1)}, "rising"),
        ({"patches": 5}, "1 to ipc = 4"),
        ({"every": 9}, "between 1 and MI = 8"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(changed, words) -> None:
    with pytest.raises(ConfigError, match=words):
        LabPlan(**{"patches": 1, "start_rounds": (1, 3), "every": 2, **changed}).check(CONFIG)


def test_an_early_image_sees_the_whole_of_both_schedules_and_a_late_one_meets_them_where_they_stand() -> None:
    config = RecoverConfig(ipc=8, iterations=400, round_iterations=50)
    early, late = own_time(config, 1, points=400), own_time(config, 8, points=50)
    assert (early.iterations[0], early.iterations[-1]) == (0, 399)
    assert early.learning_rates[0] == 0.25 > 1e-4 > early.learning_rates[-1]
    assert (early.smallest_crops[0], early.smallest_crops[-1]) == (1.0, pytest.approx(0.08, abs=1e-3))
    assert late.iterations == tuple(range(50))
    assert (late.learning_rates, late.smallest_crops) == (early.learning_rates[350:], early.smallest_crops[350:])
    assert own_time(config.replace(restart_rounds=True), 8, points=50).learning_rates[0] == 0.25
    with pytest.raises(ConfigError, match="1 to 8"):
        own_time(config, 9)


def test_moments_are_denser_after_each_start() -> None:
    config = RecoverConfig(ipc=4, iterations=40, round_iterations=10)
    moments = LabPlan(start_rounds=(1, 3), every=10).moments(config)
    assert moments == (0, 2, 5, 10, 20, 22, 25, 30, 40)
