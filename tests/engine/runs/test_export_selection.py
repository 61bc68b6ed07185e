"""Exports of a selection: an ImageFolder with its table, and a class's scores."""

import csv
import io
import zipfile

import numpy as np
from PIL import Image
from tiny_data import tiny_dataset

from delt_engine.config import RankConfig, SelectConfig
from delt_engine.config.schedule import EarlyLateSchedule
from delt_engine.patches.ranking import Ranking
from delt_engine.patches.selection import patch_pixels, read_selection, select
from delt_engine.runs.export import SCORE_COLUMNS, scores_csv, selection_zip

DATA = tiny_dataset(train=6)
N = len(DATA.train)
RANKING = Ranking(
    image_index=np.arange(N),
    crop_box=np.tile([0, 0, 8, 8], (N, 1)),
    label=DATA.train.labels,
    true_class_prob=np.random.default_rng(0).permutation(N).astype(np.float32) / N,
    dataset="colours",
    dataset_fingerprint="d",
    teacher="t",
    teacher_fingerprint="t",
    image_size=8,
    config=RankConfig(),
    class_names=DATA.spec.class_names,
)
SCHEDULE = EarlyLateSchedule(2, 20, 10)
SELECTED = select(RANKING, DATA.train.names, SCHEDULE, SelectConfig(), seed=0, classes=[0, 2])


def test_the_zip_is_an_image_folder_with_the_selection_beside_it(tmp_path) -> None:
    with zipfile.ZipFile(io.BytesIO(selection_zip(DATA, SELECTED))) as file:
        names = file.namelist()
        file.extractall(tmp_path)
    assert names == [
        "selection.csv",
        *(f"images/{folder}/{index:04d}.png" for folder in ("0-red", "2-blue") for index in (0, 1)),
    ]
    assert read_selection(tmp_path / "selection.csv") == SELECTED
    found = np.asarray(Image.open(tmp_path / names[1]))
    np.testing.assert_array_equal(found, patch_pixels(DATA, SELECTED[0]))


def test_scores_are_written_hardest_first_with_what_each_patch_becomes() -> None:
    rows = list(csv.DictReader(io.StringIO(scores_csv(RANKING, DATA.train.names, 2, SELECTED).decode())))
    assert list(rows[0]) == list(SCORE_COLUMNS)
    scores = [float(row["true_class_prob"]) for row in rows]
    assert scores == sorted(scores)
    assert [row["class"] for row in rows] == ["blue"] * 6
    chosen = {int(row["rank"]): (row["image"], row["start_round"], row["iterations"]) for row in rows if row["image"]}
    first, second = (image.patches[0].rank for image in SELECTED if image.class_index == 2)
    assert chosen == {first: ("0", "1", "20"), second: ("1", "2", "10")}
    at = RANKING.ascending(2)[0]
    assert int(rows[0]["row"]) == at
    assert rows[0]["source"] == DATA.train.names[int(RANKING.image_index[at])]
