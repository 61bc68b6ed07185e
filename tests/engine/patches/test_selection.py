"""Selection: criteria and orders by hand and by brute force, mosaics, pinned and dropped patches, the CSV file."""

import csv
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from delt_engine.config import RankConfig, SelectConfig
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.data.dataset import ArrayImages, Dataset, DatasetSpec
from delt_engine.errors import ConfigError, DataError, ShapeError
from delt_engine.patches.orders import median_order
from delt_engine.patches.ranking import Ranking
from delt_engine.patches.selection import (
    COLUMNS,
    Patch,
    SelectedImage,
    patch_pixels,
    read_selection,
    select,
    selection_of_classes,
    tile_edges,
    write_selection,
)

CLASS_NAMES = ("cat", "dog")


def make_ranking(n=40, num_classes=2, seed=0):
    """n patches a class, classes taking turns, in random order of probability."""
    rng = np.random.default_rng(seed)
    total = n * num_classes
    return Ranking(
        image_index=np.arange(total),
        crop_box=np.tile([0, 0, 8, 8], (total, 1)),
        label=np.arange(total) % num_classes,
        true_class_prob=rng.permutation(total).astype(np.float32) / total,
        dataset="toy",
        dataset_fingerprint="d",
        teacher="tiny",
        teacher_fingerprint="t",
        image_size=8,
        config=RankConfig(),
        class_names=CLASS_NAMES,
    )


def names_of(ranking):
    return [f"train/{index:04d}" for index in range(len(ranking))]


def chosen(ranking, ipc=4, *, schedule=None, seed=0, classes=(0,), pinned=(), dropped=(), **config):
    schedule = schedule or EarlyLateSchedule(ipc, 4000, 500)
    picks = {"pinned": tuple(map(int, pinned)), "dropped": tuple(map(int, dropped))}
    return select(ranking, names_of(ranking), schedule, SelectConfig(**config, **picks), seed=seed, classes=classes)


def ranks(images):
    return [image.patches[0].rank for image in images]


@pytest.mark.parametrize("n", range(40))
def test_median_order_is_by_distance_from_the_median_the_easier_first(n):
    middle = math.ceil(n / 2)
    assert median_order(n) == sorted(range(n), key=lambda i: (abs(i - middle), i < middle))
    published = [middle + int((-1) ** (step + 1) * (step + 1) / 2) for step in range(n // 2)]  # its index formula
    assert median_order(n)[: n // 2] == published


def test_the_exact_median_of_an_odd_number_is_its_middle():
    assert median_order(7, "exact") == [3, 4, 2, 5, 1, 6, 0]
    assert median_order(8, "exact") == median_order(8)


def test_a_selection_starts_at_the_median_that_is_asked_for():
    ranking = make_ranking(n=7)
    assert ranks(chosen(ranking, median="published")) == [4, 5, 3, 6]  # the index formula of published code
    assert ranks(chosen(ranking, median="exact")) == [3, 4, 2, 5]
    assert ranks(chosen(ranking)) == ranks(chosen(ranking, median="published"))


@pytest.mark.parametrize(
    ("criterion", "order", "by_hand"),
    [
        ("medium", "delt", [5, 6, 4, 7]),
        ("medium", "ascending", [4, 5, 6, 7]),
        ("medium", "descending", [7, 6, 5, 4]),
        ("top", "delt", [9, 8, 7, 6]),
        ("top", "ascending", [6, 7, 8, 9]),
        ("min", "delt", [0, 1, 2, 3]),
        ("min", "descending", [3, 2, 1, 0]),
    ],
)
def test_criteria_and_orders_by_hand(criterion, order, by_hand):
    assert ranks(chosen(make_ranking(n=10), criterion=criterion, order=order)) == by_hand


@pytest.mark.parametrize(
    ("criterion", "order"),
    list(itertools.product(["medium", "top", "min", "random"], ["delt", "ascending", "descending", "random"])),
)
def test_the_order_changes_who_joins_first_and_not_who_is_taken(criterion, order):
    ranking = make_ranking()
    images = chosen(ranking, 12, criterion=criterion, order=order, classes=(0, 1))
    plain = chosen(ranking, 12, criterion=criterion, classes=(0, 1))
    assert ranks(plain)[:5] == ranks(chosen(ranking, 5, criterion=criterion)), "a small IPC takes the first of a large"
    for class_index in (0, 1):
        of_class = [image for image in images if image.class_index == class_index]
        assert sorted(ranks(of_class)) == sorted(ranks(i for i in plain if i.class_index == class_index))
        probs = sorted(ranking.true_class_prob[ranking.label == class_index].tolist())
        for image in of_class:
            patch = image.patches[0]
            assert patch.label == class_index
            assert patch.true_class_prob == probs[patch.rank]
            assert patch.true_class_prob == float(ranking.true_class_prob[patch.image_index])
            assert patch.source == f"train/{patch.image_index:04d}"
            assert ranking.label[patch.image_index] == class_index


def test_random_depends_on_seed_and_class_and_on_nothing_else():
    ranking = make_ranking()
    both = {"criterion": "random", "order": "random"}
    first = chosen(ranking, 20, seed=1, classes=(0, 1), **both)
    assert first == chosen(ranking, 20, seed=1, classes=(0, 1), **both)
    assert ranks(first[:20]) != ranks(chosen(ranking, 20, seed=2, **both))
    assert first[20:] == chosen(ranking, 20, seed=1, classes=(1,), **both)
    assert ranks(first[:20]) != ranks(first[20:])
    assert ranks(chosen(ranking, 20, order="random")) != ranks(chosen(ranking, 20))


def test_images_join_by_the_schedule():
    images = chosen(make_ranking(), 10)
    assert [image.index for image in images] == list(range(10))
    assert [image.start_round for image in images] == [1, 1, 2, 2, 3, 4, 5, 6, 7, 8]
    assert [image.iterations for image in images] == [4000, 4000, 3500, 3500, 3000, 2500, 2000, 1500, 1000, 500]
    both = chosen(make_ranking(), 2, classes=(1, 0))
    assert [(image.class_index, image.index) for image in both] == [(1, 0), (1, 1), (0, 0), (0, 1)]
    together = chosen(make_ranking(), schedule=EarlyLateSchedule(3, 100, 50, early_late=False))
    assert [(image.start_round, image.iterations) for image in together] == [(1, 100)] * 3


def test_tile_t_of_a_mosaic_holds_the_places_from_t_times_ipc():
    images = chosen(make_ranking(), 3, mosaic=2, criterion="top")
    line = list(range(39, 27, -1))
    assert [[patch.rank for patch in image.patches] for image in images] == [line[i::3] for i in range(3)]
    assert [patch.rank for patch in images[1].patches] == [38, 35, 32, 29]


def test_a_class_with_too_few_patches_is_named_with_both_numbers():
    ranking = make_ranking(n=9)
    with pytest.raises(DataError, match="class 'dog' has 9 patches, but IPC 10 needs 10; lower the images per class"):
        chosen(ranking, 10, classes=(1,))
    with pytest.raises(DataError, match="has 9 patches, but IPC 3 with 2 x 2 patches an image needs 12"):
        chosen(ranking, 3, mosaic=2)
    with pytest.raises(DataError, match="class 'cat' has 7 patches left after 2 dropped, but IPC 8 needs 8"):
        chosen(ranking, 8, dropped=ranking.of_class(0)[:2])
    assert len(chosen(ranking, 9)) == 9
    with pytest.raises(DataError, match="class '2' has 0 patches, but IPC 4 needs 4"):
        chosen(make_ranking(), classes=(2,))


def test_a_dropped_patch_makes_room_for_the_next_and_moves_no_rank():
    ranking = make_ranking(n=10)
    row = ranking.ascending(0)[6]
    assert ranks(chosen(ranking, dropped=[row])) == [5, 4, 7, 3]


def test_a_pinned_patch_takes_the_last_place_and_joins_where_the_order_puts_it():
    ranking = make_ranking(n=10)
    row = ranking.ascending(0)[1]
    assert ranks(chosen(ranking, pinned=[row])) == [5, 6, 4, 1]
    assert ranks(chosen(ranking, pinned=[row], order="ascending")) == [1, 4, 5, 6]
    assert ranks(chosen(ranking, pinned=ranking.ascending(0)[[5]])) == [5, 6, 4, 7], "already taken: no change"
    assert ranks(chosen(ranking, pinned=ranking.ascending(1)[[0]])) == [5, 6, 4, 7], "of another class: no change"


def test_pinned_and_dropped_patches_of_the_settings_hold_for_the_ranking_they_were_picked_from():
    ranking = make_ranking(n=10)
    pin, drop = (int(ranking.ascending(0)[rank]) for rank in (1, 6))
    picked = {"pinned": (pin,), "dropped": (drop,)}
    config = SelectConfig(**picked, picked_from=ranking.key)
    names, schedule = names_of(ranking), EarlyLateSchedule(4, 4000, 500)
    assert ranks(select(ranking, names, schedule, config, seed=0, classes=[0])) == [5, 4, 7, 1]
    assert ranks(select(ranking, names, schedule, config.replace(picked_from=""), seed=0, classes=[0])) == [5, 4, 7, 1]
    with pytest.raises(ConfigError, match=f"picked from ranking beef, but this one is {ranking.key}"):
        select(ranking, names, schedule, config.replace(picked_from="beef"), seed=0, classes=[0])
    plain = SelectConfig(picked_from="beef")
    assert ranks(select(ranking, names, schedule, plain, seed=0, classes=[0])) == [5, 6, 4, 7], "nothing picked"


def test_pinned_and_dropped_patches_that_cannot_be_are_refused():
    ranking = make_ranking(n=10)
    rows = ranking.ascending(0)
    with pytest.raises(ConfigError, match="pinned: 3 patches of class 'cat' given, but IPC 2 has room for 2"):
        chosen(ranking, 2, pinned=rows[:3])
    with pytest.raises(ConfigError, match=f"pinned: patch {rows[0]} given, but it is dropped as well"):
        chosen(ranking, pinned=rows[:1], dropped=rows[:1])
    with pytest.raises(ConfigError, match="dropped: patch 99 given, but the ranking has patches 0 to 19"):
        chosen(ranking, dropped=[99])


def test_a_ranking_of_more_images_than_there_are_is_refused():
    ranking = make_ranking()
    with pytest.raises(DataError, match="names image [0-9]+ of toy, but there are 3; rank again"):
        select(ranking, ["a", "b", "c"], EarlyLateSchedule(4, 8, 2), SelectConfig(), seed=0, classes=[0])


def make_dataset(image_size=8, native=(8, 8), n=80, flat=True):
    """Images of one grey each, image i of value 3 * i, or of noise."""
    images = np.full((n, *native, 3), (3 * np.arange(n) % 256)[:, None, None, None], np.uint8)
    if not flat:
        images = np.random.default_rng(0).integers(0, 256, images.shape, dtype=np.uint8)
    train = ArrayImages(images, np.arange(n) % 2, [f"train/{index:04d}" for index in range(n)], image_size)
    spec = DatasetSpec("toy", "Toy", "built-in", 2, CLASS_NAMES, image_size, (0, 0, 0), (1, 1, 1), n, n, "")
    return Dataset(spec, train, train, fingerprint="d")


def image_of(*indices, box=(0, 0, 8, 8)):
    patches = tuple(Patch(index, f"train/{index:04d}", box, 0, 0.5, 0) for index in indices)
    return SelectedImage(0, 0, patches, 1, 100)


def test_tiles_cover_a_side_without_gaps_and_differ_by_one_pixel_at_most():
    for image_size, mosaic in itertools.product(range(6, 70), range(1, 7)):
        edges = tile_edges(image_size, mosaic)
        widths = np.diff(edges)
        assert (edges[0], edges[-1], len(widths)) == (0, image_size, mosaic)
        assert widths.max() - widths.min() <= 1
        assert list(widths) == sorted(widths, reverse=True)


@pytest.mark.parametrize("image_size", [8, 10, 32])
@pytest.mark.parametrize("mosaic", [1, 2, 3, 4])
def test_a_mosaic_shows_every_patch_in_its_tile_and_has_no_gap(image_size, mosaic):
    dataset = make_dataset(image_size)
    indices = list(range(1, mosaic**2 + 1))
    image_u8 = patch_pixels(dataset, image_of(*indices))
    assert (image_u8.shape, image_u8.dtype) == ((image_size, image_size, 3), np.uint8)
    edges = tile_edges(image_size, mosaic)
    for tile, index in enumerate(indices):
        row, column = divmod(tile, mosaic)
        part = image_u8[edges[row] : edges[row + 1], edges[column] : edges[column + 1]]
        assert (part == 3 * index).all()


def test_an_image_starts_from_the_very_pixels_that_were_ranked():
    whole = make_dataset(native=(8, 13), flat=False)
    np.testing.assert_array_equal(patch_pixels(whole, image_of(7, box=(0, 2, 8, 8))), whole.train.pixels([7])[0])
    large = make_dataset(native=(20, 16), flat=False)
    found = patch_pixels(large, image_of(3, box=(5, 4, 8, 8)))
    np.testing.assert_array_equal(found, large.train.original(3)[5:13, 4:12])


def test_a_selection_of_other_data_is_refused():
    dataset = make_dataset()
    stranger = SelectedImage(0, 0, (Patch(3, "cats/1.jpg", (0, 0, 8, 8), 0, 0.5, 0),), 1, 100)
    with pytest.raises(DataError, match=r"image 3 is said to be cats/1\.jpg, but in toy it is train/0003"):
        patch_pixels(dataset, stranger)
    with pytest.raises(DataError, match="image 80 is said to be train/0080, but in toy it is not there"):
        patch_pixels(dataset, image_of(80))
    with pytest.raises(ShapeError, match="patches: 3 given, but an image is made of 1, 4, 9, 16, 25 or 36"):
        patch_pixels(dataset, image_of(1, 2, 3))


def test_the_file_gives_back_the_same_selection(tmp_path):
    images = chosen(make_ranking(), 3, mosaic=2, classes=(1, 0))
    write_selection(tmp_path / "selection.csv", images, CLASS_NAMES)
    assert read_selection(tmp_path / "selection.csv") == images
    assert [path.name for path in tmp_path.iterdir()] == ["selection.csv"], "no temporary file is left"
    assert (tmp_path / "selection.csv").stat().st_mode & 0o777 == 0o644


def test_probabilities_come_back_as_the_same_float32(tmp_path):
    rng = np.random.default_rng(0)
    extremes = np.array([0, 1, 1e-45, 1e-38, np.nextafter(np.float32(1), np.float32(0)), 1 / 3], np.float32)
    values = np.concatenate([extremes, rng.random(300, dtype=np.float32), rng.random(50, dtype=np.float32) * 1e-6])
    images = tuple(
        SelectedImage(0, at, (Patch(at, "x", (0, 0, 8, 8), 0, float(value), at),), 1, 10)
        for at, value in enumerate(values.astype(np.float32))
    )
    write_selection(tmp_path / "s.csv", images, CLASS_NAMES)
    assert read_selection(tmp_path / "s.csv") == images


@pytest.mark.parametrize(
    "source", ["a,b.png", 'say "cheese".png', "två katter.png", "new\nline.png", "\r.png", "bad-\udcff.png", " x "]
)
def test_any_file_name_survives(tmp_path, source):
    images = (SelectedImage(1, 0, (Patch(5, source, (1, 2, 3, 4), 1, 0.5, 9),), 2, 10),)
    write_selection(tmp_path / "s.csv", images, CLASS_NAMES)
    assert read_selection(tmp_path / "s.csv") == images


@pytest.mark.parametrize("source", ["plain.png", "0,1\n1,2.png", 'a "b"\n0,x.png'])
def test_one_class_can_be_read_alone(tmp_path, source):
    images = tuple(
        SelectedImage(c, at, (Patch(c, source, (1, 2, 3, 4), c, 0.5, 9),), 2, 10) for c in (0, 1, 10) for at in (0, 1)
    )
    write_selection(tmp_path / "s.csv", images, ("a\n1,b", *map(str, range(1, 11))))
    of_class = selection_of_classes(tmp_path / "s.csv")
    for class_index in (0, 1, 10):
        alone = tuple(image for image in images if image.class_index == class_index)
        assert read_selection(tmp_path / "s.csv", class_index) == alone
        assert of_class(class_index) == alone
    assert read_selection(tmp_path / "s.csv", 5) == of_class(5) == ()


def test_the_file_is_a_plain_table_with_one_row_a_patch(tmp_path):
    images = (SelectedImage(1, 0, (Patch(5, "train/0005", (1, 2, 3, 4), 1, float(np.float32(0.1)), 9),), 2, 10),)
    write_selection(tmp_path / "s.csv", images, CLASS_NAMES)
    with (tmp_path / "s.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == list(COLUMNS)
    assert rows[1:] == [["1", "dog", "0", "0", "train/0005", "5", "1", "2", "3", "4", "0.1", "9", "2", "10"]]


def test_files_that_are_no_selection_are_named_with_the_line(tmp_path):
    path = tmp_path / "s.csv"
    with pytest.raises(DataError, match=r"selection: .*s\.csv cannot be read \(No such file"):
        read_selection(path)
    path.write_text("class,index\n")
    with pytest.raises(DataError, match="has no column 'class_index'"):
        read_selection(path)
    images = chosen(make_ranking(), 2, mosaic=2)
    write_selection(path, images, CLASS_NAMES)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], lines[3].replace(",2,", ",many,", 1)]))
    with pytest.raises(DataError, match="line 4 does not hold a patch"):
        read_selection(path)
    path.write_text("\n".join([lines[0], lines[2]]))
    with pytest.raises(DataError, match="line 2 holds tile 1, but not after the tiles before it"):
        read_selection(path)
    path.write_text("\n".join([*lines[:2], lines[6]]))
    with pytest.raises(DataError, match="line 3 holds tile 1, but not after"):
        read_selection(path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_selection(tmp_path / "file" / "s.csv", images, CLASS_NAMES)


def test_of_several_crops_of_one_image_only_the_most_probable_can_be_taken():
    probs = np.array([0.1, 0.9, 0.8, 0.7, 0.2, 0.3], np.float32)
    ranking = replace(make_ranking(n=6, num_classes=1), image_index=[0, 0, 1, 1, 2, 2], true_class_prob=probs)
    # Ascending: 0.1 (image 0), 0.2 (2), 0.3 (2), 0.7 (1), 0.8 (1), 0.9 (0).
    assert ranks(chosen(ranking, ipc=3, criterion="top")) == [5, 4, 3]
    assert ranks(chosen(ranking, ipc=3, criterion="top", one_per_image=True)) == [5, 4, 2]
    pinned = chosen(ranking, ipc=3, criterion="top", one_per_image=True, pinned=[3])  # image 1's other crop
    assert ranks(pinned) == [5, 4, 3]
    with pytest.raises(DataError, match="class 'cat' has 3 patches, but IPC 4 needs 4"):
        chosen(ranking, ipc=4, one_per_image=True)


def test_a_band_is_taken_from_by_the_criterion_and_then_the_nearest_to_it():
    ranking = make_ranking(40)
    rows = ranking.ascending(0)
    probs = ranking.true_class_prob[rows]
    low, high = float(probs[10]), float(probs[20])
    band = {"min_probability": low, "max_probability": high}
    assert ranks(chosen(ranking, 3, **band)) == [16, 17, 15]  # 10 to 20 are in it
    assert ranks(chosen(ranking, 2, criterion="top", **band)) == [20, 19]
    assert ranks(chosen(ranking, 2, criterion="min", **band)) == [10, 11]
    assert set(ranks(chosen(ranking, 11, criterion="random", **band))) == set(range(10, 21))
    more = ranks(chosen(ranking, 13, criterion="min", **band))[11:]
    distance = {rank: max(low - probs[rank], probs[rank] - high) for rank in (9, 8, 21, 22)}
    assert more == sorted(distance, key=distance.get)[:2]
    assert ranks(chosen(ranking, 1, min_probability=0.999, max_probability=1.0)) == [39]  # nobody is in it
    assert ranks(chosen(ranking, 3, dropped=[rows[16]], **band)) == [17, 15, 18]
    with pytest.raises(ConfigError, match=r"min_probability: 0\.5 given, but it must not be above max_probability"):
        SelectConfig(min_probability=0.5, max_probability=0.4)
