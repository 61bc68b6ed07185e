"""Rankings as CSV: out and in again, the published code's files, and what does not fit."""

import csv

import numpy as np
import pytest
from tiny_ranking import dataset_of, make_dataset, ranked

from delt_engine.config import RankConfig
from delt_engine.data.dataset import ArrayImages
from delt_engine.errors import CheckpointError, DataError
from delt_engine.patches.ranker import find_ranker
from delt_engine.patches.ranking import cached_ranking
from delt_engine.patches.ranking_csv import file_fingerprint, ranking_csv, read_ranking_csv
from delt_engine.patches.selection import Patch, SelectedImage, read_selection, write_selection


def folder_of(*names: str):
    """A dataset whose training images have these paths; the class is the first letter of the file."""
    labels = np.array(["abc".index(name.split("/")[-1][0]) for name in names])
    return dataset_of(ArrayImages(np.zeros((len(names), 8, 10, 3), np.uint8), labels, names, 8))


def table(tmp_path, *rows: str, heading: str = "score,img_path,class"):
    path = tmp_path / "ranks.csv"
    path.write_text("\n".join([heading, *rows]) + "\n")
    return path


PAIR = folder_of("train/n1/a1.JPEG", "train/n1/a2.JPEG", "train/n2/b1.JPEG")


def test_a_ranking_comes_back_as_it_went_out(tmp_path) -> None:
    dataset = make_dataset(native=(12, 9))
    ranking = ranked(dataset)
    path = tmp_path / "out.csv"
    path.write_bytes(ranking_csv(ranking, dataset.train.names))
    taken = read_ranking_csv(path, dataset)
    for name in ("image_index", "label", "crop_box", "true_class_prob"):
        np.testing.assert_array_equal(getattr(taken.ranking, name), getattr(ranking, name))
    assert taken.sentence == "11 of 11 rows are images of toy."
    assert (taken.ranking.teacher, taken.ranking.is_imported, ranking.is_imported) == (
        "imported from out.csv",
        True,
        False,
    )
    assert taken.ranking.key != ranking.key


def test_names_are_no_formulas_in_a_spreadsheet_and_come_back(tmp_path) -> None:
    names = ["train/=cmd()/@a.png", "train/=cmd()/b.png", "train/'=x/c.png", "train/'=x/d.png"]
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    dataset = dataset_of(ArrayImages(images, np.array([0, 0, 1, 1]), names, 8))
    ranking, path = ranked(dataset), tmp_path / "out.csv"
    path.write_bytes(ranking_csv(ranking, names))
    cells = [cell for row in csv.reader(path.read_text().splitlines()) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    np.testing.assert_array_equal(read_ranking_csv(path, dataset).ranking.image_index, ranking.image_index)
    patch = Patch(0, names[0].removeprefix("train/"), (0, 0, 8, 8), 0, 0.5, 0)
    selected = (SelectedImage(0, 0, (patch,), 1, 40),)
    write_selection(path, selected, ["=cmd()", "cat"])
    assert '"\'=cmd()"' in path.read_text()
    assert '"\'=cmd()/@a.png"' in path.read_text()
    assert read_selection(path) == selected


def test_the_file_has_the_published_columns_class_by_class_the_easiest_first() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    names = ["train/n2/x.JPEG", "train/n1/y, z.JPEG", "train/n2/w.JPEG", "train/n1/v.JPEG"]
    dataset = dataset_of(ArrayImages(images, np.array([1, 0, 1, 0]), names, 8))
    ranking = ranked(dataset)
    object.__setattr__(ranking, "true_class_prob", np.array([0.1, 0.25, 1 / 3, 0.75], np.float32))
    assert ranking_csv(ranking, names).decode().splitlines() == [
        "score,img_path,class",
        "0.75,n1/v.JPEG,n1",
        '0.25,"n1/y, z.JPEG",n1',
        "0.33333334,n2/w.JPEG,n2",
        "0.1,n2/x.JPEG,n2",
    ]
    with pytest.raises(DataError, match="csv: this ranking is of 2 crops an image"):
        ranking_csv(ranked(config=RankConfig(crops=2)), names)


def test_images_of_a_part_are_found_in_a_ranking_of_the_whole(tmp_path) -> None:
    path = table(
        tmp_path,
        "0,0.9993847608566284,n1/a2.JPEG,n1",
        "1,0.5,n9/a1.JPEG,n9",
        "2,0.25,n2/b1.JPEG,n2",
        "3,0.125,n2/b7.JPEG,n2",
        heading="Unnamed: 0,score,img_path,class",
    )
    taken = read_ranking_csv(path, PAIR)
    assert taken.ranking.image_index.tolist() == [1, 2]
    assert taken.ranking.true_class_prob.tolist() == [np.float32(0.9993847608566284), 0.25]
    assert taken.ranking.label.tolist() == [0, 1]
    assert taken.ranking.crop_box.tolist() == [[0, 1, 8, 8]] * 2
    assert taken.counts == {"rows": 4, "other_classes": 1, "unknown": 1, "unranked": 1}
    assert taken.sentence == (
        "2 of 4 rows are images of toy; 1 rows are of other classes, 1 rows name no training image, "
        "1 training images have no row."
    )


@pytest.mark.parametrize("place", ["/data/imagenet/train/n1/{}", "elsewhere\\\\n1\\\\{}", "first class/{}", "{}"])
def test_images_are_found_by_folder_and_file_else_by_the_file_alone(tmp_path, place) -> None:
    data = folder_of("n1/a1.JPEG", "n1/a2.JPEG")
    taken = read_ranking_csv(
        table(tmp_path, f"0.5,{place.format('a2.JPEG')},c", f"1,{place.format('a1.JPEG')},c"), data
    )
    assert taken.ranking.true_class_prob.tolist() == [1, 0.5]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            ["0.5,n1/z.JPEG,n1"],
            r"none of the 1 images in .*ranks.csv, such as 'n1/z.JPEG', is a training image of toy, such",
        ),
        ([], r"none of the 0 images"),
        (["0.5,n1/a1.JPEG,n1"], r"no row for an image of 1 of 3 classes of toy, such as 'b'"),
        (
            ["0.5,n1/a1.JPEG,n1", "0.6,n1/a1.JPEG,n1", "0,n2/b1.JPEG,n2"],
            "2 rows for 'n1/a1.JPEG', but an image has one",
        ),
        (["high,n1/a1.JPEG,n1"], r"line 2: score 'high' given, but it must be a probability from 0 to 1"),
        (["1.5,n1/a1.JPEG,n1"], r"line 2: score '1.5' given"),
    ],
)
def test_what_does_not_fit_is_a_sentence(tmp_path, rows, words) -> None:
    with pytest.raises(DataError, match=words):
        read_ranking_csv(table(tmp_path, *rows), PAIR)


def test_other_files_are_refused(tmp_path) -> None:
    with pytest.raises(DataError, match="has no column 'img_path'; it needs score and img_path"):
        read_ranking_csv(table(tmp_path, heading="score,path"), PAIR)
    with pytest.raises(DataError, match=r"ranker: .*none.csv cannot be read"):
        find_ranker(str(tmp_path / "none.csv"), PAIR)


def test_a_table_ranks_as_a_ranker_and_is_kept_under_its_content(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DELT_HOME", str(tmp_path / "home"))
    path = table(tmp_path, "0.5,n1/a1.JPEG,n1", "0.25,n1/a2.JPEG,n1", "1,n2/b1.JPEG,n2")
    ranker = find_ranker(str(path), PAIR)
    assert (ranker.name, ranker.ref, ranker.columns(PAIR)) == ("imported from ranks.csv", str(path), None)
    assert cached_ranking("data-1", ranker.fingerprint, RankConfig(), 0) is None
    assert ranker.known_ranking(PAIR, RankConfig(), 0).true_class_prob.tolist() == [0.5, 0.25, 1]
    assert cached_ranking("data-1", file_fingerprint(path), RankConfig(), seed=7) is not None
    with pytest.raises(CheckpointError, match=r"ranks.csv is of whole images, but 5 crops an image are asked for"):
        ranker.known_ranking(PAIR, RankConfig(crops=5), 0)
