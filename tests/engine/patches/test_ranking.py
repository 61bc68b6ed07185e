"""Ranking: probabilities against a softmax by hand, boxes, streaming, the file, the cache, and what is refused."""

import numpy as np
import pytest
import torch
from tiny_ranking import MEAN, SIZE, STD, make_dataset, make_teacher, ranked

from delt_engine.config import RankConfig
from delt_engine.errors import CheckpointError, DataError, ShapeError
from delt_engine.patches import ranking as ranking_module
from delt_engine.patches.ranking import (
    Ranking,
    cached_ranking,
    crop_boxes,
    joined,
    keep_ranking,
    rank,
    ranking_key,
    shares,
)


def softmax_by_hand(teacher, image_u8, labels):
    linear = teacher.network[1]
    images = (image_u8.astype(np.float64) / 255 - MEAN) / STD
    flat = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    logits = flat @ linear.weight.detach().numpy().T.astype(np.float64) + linear.bias.detach().numpy()
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True))[np.arange(len(labels)), labels]


def test_whole_images_get_the_softmax_of_their_label_under_the_teachers_statistics():
    dataset, teacher = make_dataset(), make_teacher()
    result = ranked(dataset, teacher)
    expected = softmax_by_hand(teacher, dataset.train.pixels(range(11)), dataset.train.labels)
    np.testing.assert_allclose(result.true_class_prob, expected, rtol=1e-5)
    assert result.true_class_prob.dtype == np.float32
    np.testing.assert_array_equal(result.image_index, np.arange(11))
    np.testing.assert_array_equal(result.label, dataset.train.labels)
    np.testing.assert_array_equal(result.crop_box, [[0, 0, SIZE, SIZE]] * 11)
    assert (result.dataset, result.teacher, result.image_size) == ("toy", "tiny", 8)
    assert result.class_names == ("a", "b", "c")


def test_a_ranker_that_knows_more_classes_gives_the_softmax_over_all_of_them():
    dataset, teacher, columns = make_dataset(), make_teacher(num_classes=5), np.array([4, 0, 2])
    result = ranked(dataset, teacher, columns=columns.tolist())
    expected = softmax_by_hand(teacher, dataset.train.pixels(range(11)), columns[dataset.train.labels])
    np.testing.assert_allclose(result.true_class_prob, expected, rtol=1e-5)
    np.testing.assert_array_equal(result.label, dataset.train.labels)


def test_crops_get_the_softmax_of_the_pixels_in_their_box():
    dataset, teacher = make_dataset(native=(20, 13)), make_teacher()
    result = ranked(dataset, teacher, RankConfig(crops=3))
    np.testing.assert_array_equal(result.image_index, np.repeat(np.arange(11), 3))
    image_u8 = dataset.train.crops(result.image_index, result.crop_box)
    np.testing.assert_allclose(result.true_class_prob, softmax_by_hand(teacher, image_u8, result.label), rtol=1e-5)


@pytest.mark.parametrize("crops", [0, 3])
@pytest.mark.parametrize("batch_size", [1, 4, 7, 33])
def test_batch_size_changes_nothing_and_bounds_what_is_read(crops, batch_size):
    dataset = make_dataset(native=(12, 9))
    whole = ranked(dataset, config=RankConfig(crops=crops, batch_size=1000))
    dataset.train.reads.clear()
    result = ranked(dataset, config=RankConfig(crops=crops, batch_size=batch_size))
    np.testing.assert_array_equal(result.crop_box, whole.crop_box)
    np.testing.assert_allclose(result.true_class_prob, whole.true_class_prob, rtol=1e-6)
    assert max(dataset.train.reads) <= batch_size
    assert sum(dataset.train.reads) == len(result)


@pytest.mark.parametrize(("crops", "batch_size"), [(0, 4), (3, 4), (5, 1000)])
def test_shares_are_what_one_process_scores_to_the_bit(crops, batch_size):
    dataset, config = make_dataset(native=(12, 9)), RankConfig(crops=crops, batch_size=batch_size)
    whole = ranked(dataset, config=config)
    count = shares(len(dataset.train.labels), config, 3)
    assert count == (1 if batch_size == 1000 else 3)
    parts = [ranked(dataset, config=config, share=(number, count)) for number in range(count)]
    assert all(len(part) for part in parts)
    result = joined(parts)
    for name in ("image_index", "crop_box", "label", "true_class_prob"):
        np.testing.assert_array_equal(getattr(result, name), getattr(whole, name))
    assert result.key == whole.key


def test_classes_restrict_what_is_scored_and_change_no_box_but_the_seed_does():
    dataset = make_dataset(native=(12, 9))
    full = ranked(dataset, config=RankConfig(crops=2), seed=5)
    part = ranked(dataset, config=RankConfig(crops=2), seed=np.int64(5), classes=np.array([2, 0]))
    rows = np.flatnonzero(full.label != 1)
    np.testing.assert_array_equal(part.crop_box, full.crop_box[rows])
    np.testing.assert_allclose(part.true_class_prob, full.true_class_prob[rows], rtol=1e-6)
    assert part.classes == (0, 2)
    assert part.of_class(1).size == 0
    assert not np.array_equal(ranked(make_dataset(native=(12, 9)), config=RankConfig(crops=2)).crop_box, full.crop_box)


def test_crops_lie_in_the_image_and_have_areas_within_the_limits():
    config = RankConfig(crops=64, min_crop=0.25, max_crop=0.81)
    boxes = np.concatenate([crop_boxes(200, 100, config, seed=0, image_index=i) for i in range(30)])
    top, left, height, width = boxes.T
    np.testing.assert_array_equal(height, width)
    assert 50 <= height.min() < 53, "small crops are drawn"
    assert 87 < height.max() <= 90, "large crops are drawn"
    assert top.min() >= 0
    assert 195 < (top + height).max() <= 200, "crops reach the lower edge of a tall image"
    assert left.min() >= 0
    assert (left + width).max() <= 100


def test_a_crop_of_a_tiny_image_has_at_least_one_pixel():
    assert crop_boxes(1, 1, RankConfig(crops=2, min_crop=0.01), 0, 0).tolist() == [[0, 0, 1, 1]] * 2


def test_a_network_left_in_training_mode_scores_in_eval_mode():
    teacher = make_teacher()
    noisy = make_teacher(network=torch.nn.Sequential(*teacher.network, torch.nn.Dropout(0.9)).train())
    np.testing.assert_array_equal(ranked(teacher=noisy).true_class_prob, ranked(teacher=teacher).true_class_prob)


def test_ascending_sorts_a_class_and_keeps_the_order_of_equals():
    probs = [0.5, 0.1, 0.2, 0.5, 0.5]
    result = Ranking(range(5), np.zeros((5, 4)), [0, 1, 0, 0, 0], probs, "d", "f", "t", "g", 8, RankConfig())
    assert result.ascending(0).tolist() == [2, 0, 3, 4]
    assert result.of_class(0).tolist() == [0, 2, 3, 4]
    assert (result.class_name(0), result.class_name(7)) == ("0", "7")
    with pytest.raises(ShapeError, match=r"crop_box: shape \(2, 4\) given, but 1 patches need \(1, 4\)"):
        Ranking([0], np.zeros((2, 4)), [0], [0.5], "d", "f", "t", "g", 8, RankConfig())


def test_the_file_gives_back_what_was_saved(tmp_path):
    result = ranked(config=RankConfig(crops=2, min_crop=0.3), seed=9, classes=[1])
    result.save(tmp_path / "new" / "r.npz")
    again = Ranking.load(tmp_path / "new" / "r.npz")
    for name in ("image_index", "crop_box", "label", "true_class_prob"):
        np.testing.assert_array_equal(getattr(again, name), getattr(result, name))
        assert getattr(again, name).dtype == getattr(result, name).dtype
    about = ("dataset", "dataset_fingerprint", "teacher", "teacher_fingerprint", "image_size", "config", "class_names")
    for name in (*about, "seed", "classes", "key"):
        assert getattr(again, name) == getattr(result, name)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["r.npz"], "no temporary file is left"


def test_what_cannot_be_read_or_written_is_named(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"ranking: .*none\.npz cannot be read \(No such file"):
        Ranking.load(tmp_path / "none.npz")
    monkeypatch.setattr(Ranking, "FORMAT", 99)
    ranked().save(tmp_path / "later.npz")
    monkeypatch.undo()
    with pytest.raises(DataError, match="written by another version; rank again"):
        Ranking.load(tmp_path / "later.npz")
    (tmp_path / "r.npz").write_bytes((tmp_path / "later.npz").read_bytes()[:200])
    with pytest.raises(DataError, match=r"ranking: .*r\.npz is not a ranking, or is damaged"):
        Ranking.load(tmp_path / "r.npz")
    with pytest.raises(DataError, match=r"ranking: .* cannot be written: a file stands where a folder is needed"):
        ranked().save(tmp_path / "r.npz" / "r.npz")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache and a folder of shipped files of this test's own."""
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(ranking_module, "assets_dir", lambda: tmp_path / "assets")
    return tmp_path / "home" / "cache" / "rankings"


def test_the_cache_gives_back_what_was_kept_and_only_that(cache):
    config = RankConfig()
    assert cached_ranking("data-1", "weights-1", config, 0) is None
    result = ranked()
    assert keep_ranking(result)
    found = cached_ranking("data-1", "weights-1", RankConfig(batch_size=3), 7)
    np.testing.assert_array_equal(found.true_class_prob, result.true_class_prob)
    assert cached_ranking("data-2", "weights-1", config, 0) is None
    assert cached_ranking("data-1", "weights-2", config, 0) is None
    assert cached_ranking("data-1", "weights-1", RankConfig(crops=1), 0) is None
    assert len(cached_ranking("data-1", "weights-1", config, 0, classes=[1])) == 11  # of all serves some
    result.save(cache / f"{ranking_key('data-2', 'weights-1', config, 0)}.npz")
    assert cached_ranking("data-2", "weights-1", config, 0) is None, "it says of itself that it is another"


def test_a_ranking_of_some_classes_serves_no_others(cache):
    keep_ranking(ranked(classes=[1]))
    found = [cached_ranking("data-1", "weights-1", RankConfig(), 0, classes=classes) for classes in (None, [1, 2], [1])]
    assert found[:2] == [None, None]
    assert len(found[2]) == 4


def test_shipped_rankings_are_found_and_a_damaged_copy_of_the_cache_does_not_hide_them(cache, tmp_path):
    result = ranked()
    result.save(tmp_path / "assets" / "rankings" / f"{result.key}.npz")
    cache.mkdir(parents=True)
    (cache / f"{result.key}.npz").write_bytes(b"broken")
    assert len(cached_ranking("data-1", "weights-1", RankConfig(), 0)) == 11


def test_the_key_depends_on_the_seed_and_the_limits_only_where_crops_are_drawn():
    def key(seed=0, classes=None, **config):
        return ranking_key("d", "t", RankConfig(**config), seed, classes)

    assert key(seed=1) == key(seed=2) == key(min_crop=0.5) == key(batch_size=9)
    keys = [key(), key(crops=2), key(crops=3), key(crops=2, seed=1), key(crops=2, min_crop=0.5), key(classes=[0])]
    assert len(set(keys)) == len(keys)
    assert key(classes=[2, 0, 2]) == key(classes=(0, 2))


def test_a_teacher_of_another_number_of_classes_is_refused_before_any_work():
    dataset = make_dataset()
    with pytest.raises(CheckpointError, match="teacher: tiny knows 10 classes, but toy has 3"):
        next(rank(dataset, make_teacher(num_classes=10), RankConfig(), seed=0))
    assert not dataset.train.reads


def test_a_network_that_gives_other_logits_than_its_card_says_is_refused():
    teacher = make_teacher()
    teacher.network = make_teacher(num_classes=5).network
    with pytest.raises(CheckpointError, match=r"logits of shape \(11, 5\) for 11 images, but \(11, 3\) is needed"):
        ranked(teacher=teacher)


def test_probabilities_that_are_not_finite_are_refused_by_the_name_of_the_image():
    teacher = make_teacher()
    with torch.no_grad():
        teacher.network[1].weight[0, 0] = float("nan")
    with pytest.raises(CheckpointError, match="tiny gives a probability that is not a finite number for train/000"):
        ranked(teacher=teacher)


def test_unknown_classes_and_classes_without_images_are_refused():
    with pytest.raises(DataError, match="classes: 3 given, but toy has classes 0 to 2"):
        ranked(classes=[0, 3])
    with pytest.raises(DataError, match="toy has no training images of the classes asked for"):
        ranked(make_dataset(n=2), classes=[2])
