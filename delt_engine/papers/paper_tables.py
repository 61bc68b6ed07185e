"""Every table and figure of the two papers as data: what it shows, by which axes, and which printed numbers are in it.

Printed numbers are rows of assets/published/results.csv. A figure without printed numbers lists what it shows instead,
as rows without a value. Axes are what :func:`axis` knows: a column of that file, or a word of its variants.

Source: DELT Tables 1 to 12 and Figures 2, 6 to 12; CDA Tables 1 to 21 and Figures 1, 2, 5 to 7. Drawings of the method
(DELT Figures 1, 3 to 5; CDA Figures 3 and 4) are no results and stand in the app's lessons.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from delt_engine.data.catalogue import CATALOGUE
from delt_engine.errors import ConfigError
from delt_engine.papers.names import network_title
from delt_engine.papers.published import PAPERS, PublishedValue, all_published

_ATTRIBUTES = ("dataset", "ipc", "method", "student", "teacher", "metric")


@dataclass(frozen=True, eq=False)
class PaperTable:
    """A table or a figure.

    Attributes:
        id: paper and number, such as ``delt-4c`` or ``cda-fig1``.
        title: what it is about, in a line.
        caption: what is varied and how it was measured, in our words.
        rows, columns: axes down and across; see :func:`axis`.
        compared: of these the axes along which the paper's claim is made; other axes tell the groups apart.
        numbers: tables of results.csv whose numbers it shows; its own when empty.
        shows: of a figure without printed numbers what it shows, one mapping a row; keys are columns of results.csv
            and words of a variant. Of a table what stands beside the printed numbers here.
        note: what is not here, or has to be known to read it.
    """

    id: str
    title: str
    caption: str
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    shows: tuple[Mapping[str, Any], ...] = ()
    note: str = ""

    @property
    def paper(self) -> str:
        """``delt`` or ``cda``."""
        return self.id.partition("-")[0]

    @property
    def label(self) -> str:
        """How the paper calls it.

        >>> find_table("delt-4c").label, find_table("cda-fig5").label
        ('Table 4c', 'Figure 5')
        """
        number = self.id.partition("-")[2]
        return f"Figure {number.removeprefix('fig')}" if number.startswith("fig") else f"Table {number}"

    @property
    def where(self) -> str:
        """Paper and label, such as "DELT Table 4c"."""
        return f"{PAPERS[self.paper]} {self.label}"

    @property
    def is_figure(self) -> bool:
        """Whether it is a figure."""
        return self.label.startswith("Figure")

    @property
    def is_settings(self) -> bool:
        """Whether it prints settings and no results."""
        return not self.rows and not self.shows and not self.is_figure


def _shown(*axes: tuple[str, tuple[Any, ...]], **same: Any) -> tuple[Mapping[str, Any], ...]:
    """Return one mapping a combination of the values on the axes, each with what is the same everywhere."""
    rows: list[dict[str, Any]] = [same]
    for name, values in axes:
        rows = [{**row, name: value} for row in rows for value in values]
    return tuple(rows)


_IN1K: dict[str, Any] = {"dataset": "imagenet-1k", "ipc": 50, "teacher": "resnet18"}
_ABSENT = "Methods that match trajectories or distributions (MTT, IDM, TESLA, DATM) are not here: printed values only."
_AT_GPU = "The paper's hours are of one RTX 4090; ours are of the device that each run names."

TABLES: tuple[PaperTable, ...] = (
    PaperTable(
        "delt-1",
        "Comparison with SRe²L and RDED on five datasets",
        "Top-1 of ResNet-18, ResNet-101 and MobileNet-V2 trained on the images of each method. One image a class has "
        "no rounds: it gets a constant number of iterations.",
        ("dataset", "ipc"),
        ("student", "method"),
        ("method",),
        shows=_shown(
            ("ipc", (1, 10, 50)),
            ("method", ("random", "cda", "cda-init")),
            **{"dataset": "cifar10", "student": "resnet18", "metric": "top1"},
        ),
        note="On CIFAR-10 random real images, CDA and CDA from real patches stand beside; the table has none of them.",
    ),
    PaperTable(
        "delt-2",
        "Comparison on ConvNets",
        "Top-1 of Conv-4 (Tiny-ImageNet, ImageNet-1K) and Conv-6 (ImageNet-100).",
        ("dataset", "ipc"),
        ("method",),
        ("method",),
        note=_ABSENT,
    ),
    PaperTable(
        "delt-3",
        "EarlyLate without real images to start from",
        "ImageNet-1K, 50 images a class, all from noise: SRe²L, CDA, and CDA with images joining in rounds.",
        ("dataset",),
        ("method",),
        ("method",),
    ),
    PaperTable(
        "delt-4a",
        "Number of patches an image starts from",
        "Mosaics of 1x1 to 5x5 patches, ResNet-18 on ImageNet-1K, 50 images a class, 500 iterations.",
        ("patches",),
        ("dataset",),
        ("patches",),
        note="500 iterations are taken as MI, so there is one round; the numbers equal CDA + real init of Table 9.",
    ),
    PaperTable(
        "delt-4b",
        "Which patches images start from",
        "Patches of the lowest, medium or highest probability of their class under the teacher.",
        ("selection",),
        ("dataset",),
        ("selection",),
    ),
    PaperTable(
        "delt-4c",
        "Maximum and round iterations",
        "MI, what the first images get, against RI, the gap between two rounds; ImageNet-1K, 10 images a class.",
        ("MI",),
        ("RI",),
        ("MI", "RI"),
        note="The text says that RI 1K is not feasible with MI 1K, yet the table prints 43.71 there.",
    ),
    PaperTable(
        "delt-4d",
        "EarlyLate against equal iterations",
        "From the same real patches: CDA (all images get MI iterations) and DELT; 10 images a class.",
        ("dataset",),
        ("method",),
        ("method",),
    ),
    PaperTable(
        "delt-4e",
        "Against stitched real images and a diffusion model",
        "ImageNet-1K: RDED's real patches, MinimaxDiffusion's images, and DELT.",
        ("ipc",),
        ("method",),
        ("method",),
        note="MinimaxDiffusion needs a diffusion model and is not here: printed values only.",
    ),
    PaperTable(
        "delt-5",
        "Students that had no part in the recovery",
        "Images recovered with ResNet-18 on ImageNet-1K, 10 images a class, tested on five students.",
        ("method",),
        ("student",),
        ("method",),
        note="G-VBSM recovers from several networks and is not here: printed values only. Some values differ from "
        "Table 1 (SRe²L with ResNet-18: 41.9 here, 21.3 there).",
    ),
    PaperTable(
        "delt-6",
        "Hours of synthesis",
        "Hours for 50 images a class at 4,000 iterations, on one RTX 4090.",
        ("method", "RI"),
        ("dataset",),
        ("method", "RI"),
        note=f"{_AT_GPU} G-VBSM is not here: printed values only.",
    ),
    PaperTable(
        "delt-7",
        "Data-free pruning",
        "Top-1 of a VGG11-BN that lost half of its weights by slimming.",
        ("ipc",),
        ("method",),
        ("method",),
        note="Pruning is not here: printed values only.",
    ),
    PaperTable("delt-8", "Settings", "Settings of recovery and of student training, and the iterations at one image."),
    PaperTable(
        "delt-9",
        "EarlyLate with mosaics",
        "ImageNet-1K, 50 images a class, from mosaics of 2x2 to 5x5 patches: SRe²L, CDA, and CDA with EarlyLate.",
        ("patches",),
        ("method",),
        ("method",),
    ),
    PaperTable(
        "delt-10",
        "Order in which the same patches join",
        "ImageNet-100: the medium patches, joining at random, by rising or falling probability, or from the median on.",
        ("order",),
        ("dataset",),
        ("order",),
    ),
    PaperTable(
        "delt-11",
        "Other patches to start from",
        "As Table 10, but each order takes its own patches: random ones, the lowest, the highest, or the medium ones.",
        ("selection",),
        ("dataset",),
        ("selection",),
    ),
    PaperTable(
        "delt-12",
        "Range of the random crops",
        "Smallest to largest area of the crops that the teacher sees during recovery.",
        ("crop",),
        ("dataset",),
        ("crop",),
    ),
    PaperTable(
        "delt-fig2",
        "Similarity within a class",
        "Mean cosine of the features of a class's images, in a ResNet-18 trained on ImageNet-1K; lower is more varied.",
        ("method",),
        ("dataset",),
        shows=_shown(("method", ("sre2l", "cda", "delt")), metric="cosine", **_IN1K),
        note="The figure prints no numbers: the claim is that DELT is lowest. The right half shows images.",
    ),
    PaperTable(
        "delt-fig6",
        "Mosaics as start images",
        "Start images and results of mosaics of 3x3 to 6x6 patches, early ones above late ones.",
        ("patches",),
        ("dataset",),
        shows=_shown(("patches", ("3x3", "4x4", "5x5", "6x6")), metric="images", method="delt", **_IN1K),
    ),
    PaperTable(
        "delt-fig7",
        "Images of the methods beside each other",
        "Synthetic images of one class of ImageNet-1K by each method.",
        ("method",),
        ("dataset",),
        shows=_shown(
            ("method", ("rded", "minimax-diffusion", "mtt", "idc", "sre2l", "scdd", "cda", "g-vbsm", "delt")),
            metric="images",
            **_IN1K,
        ),
        note="Images of methods that are not here can be put in an ImageFolder and looked at with `delt diversity`.",
    ),
    PaperTable(
        "delt-fig8",
        "Continual learning",
        "Accuracy over the classes learned so far, ImageNet-1K in 100 steps.",
        note="Continual learning is not here, and the figure prints no numbers.",
    ),
    *(
        PaperTable(
            f"delt-fig{number}",
            f"Images of {title}",
            "One class a column, from long optimisation at the top to short at the bottom.",
            ("dataset",),
            ("method",),
            shows=_shown(metric="images", method="delt", dataset=dataset, ipc=10, teacher="resnet18"),
        )
        for number, title, dataset in (
            (9, "Tiny-ImageNet", "tiny-imagenet"),
            (10, "ImageNette", "imagenette"),
            (11, "CIFAR-10", "cifar10"),
        )
    ),
    PaperTable(
        "delt-fig12",
        "Hours of synthesis over images a class",
        "Above: DELT (RI 500), CDA and G-VBSM; below: DELT with RI 500 and RI 1,000 beside CDA.",
        ("method", "RI"),
        ("ipc",),
        ("method", "RI"),
        shows=tuple(
            {**row, "ipc": ipc, "metric": "hours", "dataset": "imagenet-1k", "teacher": "resnet18", "MI": "4000"}
            for row in (
                {"method": "g-vbsm"},
                {"method": "cda"},
                {"method": "delt", "RI": "1000"},
                {"method": "delt", "RI": "500"},
            )
            for ipc in (1, 10, 50, 100)
        ),
        note=f"The figure prints no numbers; those of Table 6 are its points at 50 images a class. {_AT_GPU}",
    ),
    PaperTable(
        "cda-1",
        "CIFAR-100",
        "Top-1 at 1, 10 and 50 images a class; CDA's students are trained for 800 epochs.",
        ("ipc",),
        ("method",),
        ("ipc",),
        note="DC, DSA, DM and MTT are not here: printed values only.",
    ),
    PaperTable(
        "cda-2",
        "Constant crops",
        "Easy: crops from alpha to the whole image; hard: crops from 0.08 to alpha. ImageNet-1K, 1,000 iterations.",
        ("type",),
        ("alpha",),
        ("alpha",),
        note="The starred 44.90 stands in both rows: it is SRe²L, reproduced.",
    ),
    PaperTable(
        "cda-3",
        "Reverse curriculum",
        "The default crops first, the whole image after the milestone. ImageNet-1K, 1,000 iterations.",
        ("milestone",),
        ("dataset",),
        ("milestone",),
    ),
    PaperTable(
        "cda-4",
        "CDA against SRe²L",
        "Tiny-ImageNet, ImageNet-1K and ImageNet-21K, students ResNet-18, -50 and -101.",
        ("dataset", "ipc"),
        ("student", "method"),
        ("method",),
    ),
    PaperTable(
        "cda-5",
        "Teachers on ImageNet-21K-P",
        "Top-1 and top-5 of ResNet-18 and -50, begun from ImageNet-1K's weights or at random.",
        ("student", "recipe", "init"),
        ("metric",),
        ("init",),
        note="The recipe of Ridnik et al. and a start from ImageNet-1K's weights are not here: printed values only.",
    ),
    PaperTable(
        "cda-6",
        "Batch size of the student",
        "ResNet-18 on distilled ImageNet-21K, 140 epochs.",
        ("batch_size",),
        ("dataset",),
        ("batch_size",),
    ),
    PaperTable(
        "cda-7",
        "Students on ImageNet-1K",
        "50 images a class, recovered with ResNet-18 or DenseNet-121, tested on seven students.",
        ("teacher", "method"),
        ("student",),
        ("teacher", "method"),
        note="The row of DenseNet-121 takes the better of two relabelling networks, those of Table 19.",
    ),
    PaperTable(
        "cda-8",
        "Students on ImageNet-21K",
        "20 images a class, recovered with ResNet-18 or ResNet-50, tested on five students.",
        ("teacher",),
        ("student",),
        ("teacher",),
    ),
    PaperTable(
        "cda-9",
        "What an outside network says of the images",
        "MobileNet-V2's top-1 on CDA's, SRe²L's and real images of ImageNet-1K: whole, and mean of ten random crops.",
        ("method",),
        ("metric",),
        ("method",),
        shows=_shown(("method", ("sre2l", "cda", "real")), ("metric", ("whole", "crops")), **_IN1K),
        note="The paper's text has the claim (CDA's are nearest to real images), our copy has no numbers.",
    ),
    PaperTable("cda-10", "Settings on CIFAR-100", "Settings of squeeze, recovery and student training."),
    PaperTable(
        "cda-11",
        "Lower bound of the crops on CIFAR-100",
        "Where the curriculum ends; 50 images a class, 800 epochs.",
        ("crop_lower",),
        ("dataset",),
        ("crop_lower",),
    ),
    PaperTable("cda-12", "Settings on Tiny-ImageNet", "Settings of squeeze, recovery and student training."),
    PaperTable(
        "cda-13",
        "Epochs of the student on Tiny-ImageNet",
        "200, 400 and 800 epochs at 1 to 50 images a class.",
        ("ipc",),
        ("method", "epochs"),
        ("epochs",),
        note="DM and MTT are not here: printed values only.",
    ),
    *(
        PaperTable(
            f"cda-{number}",
            f"Continual learning in {steps} steps",
            "Tiny-ImageNet, 100 images a class: top-1 over the classes learned so far.",
            ("method",),
            ("classes",),
            ("method",),
            note="Continual learning is not here: printed values only.",
        )
        for number, steps in ((14, 5), (15, 10))
    ),
    PaperTable("cda-16", "Settings on ImageNet-1K", "Settings of squeeze, recovery and student training."),
    PaperTable(
        "cda-17",
        "CDA at 1,000 and 4,000 iterations",
        "ImageNet-1K, 50 images a class, five students.",
        ("method", "recovery_iterations"),
        ("student",),
        ("method", "recovery_iterations"),
    ),
    PaperTable(
        "cda-18",
        "Curriculum and milestone",
        "Step, linear and cosine curricula that end at 0.1 to 1 of the iterations. ImageNet-1K, 1,000 iterations.",
        ("scheduler",),
        ("milestone",),
        ("milestone",),
    ),
    PaperTable(
        "cda-19",
        "Which network relabels",
        "Images recovered with DenseNet-121, labels of ResNet-18 or DenseNet-121, seven students.",
        ("relabel",),
        ("student",),
        ("relabel",),
    ),
    PaperTable(
        "cda-20",
        "Students of many kinds",
        "ImageNet-1K, 50 images a class: top-1 and millions of parameters.",
        ("student",),
        ("metric",),
        ("student",),
    ),
    PaperTable("cda-21", "Settings on ImageNet-21K", "Settings of squeeze, recovery and student training."),
    PaperTable(
        "cda-fig1",
        "CDA beside SRe²L",
        "Bars of Table 17: five students on ImageNet-1K.",
        ("method", "recovery_iterations"),
        ("student",),
        ("method", "recovery_iterations"),
        numbers=("Table 17",),
    ),
    PaperTable(
        "cda-fig2",
        "Where crops fall",
        "Centres and boxes of random crops for different lower and upper bounds of their area.",
        note="It shows no trained image; the bounds over a run are those of `delt recover --min-crop --max-crop`.",
    ),
    PaperTable(
        "cda-fig5",
        "Curriculum and milestone as lines",
        "Lines of Table 18.",
        ("scheduler",),
        ("milestone",),
        ("milestone",),
        numbers=("Table 18",),
    ),
    PaperTable(
        "cda-fig6",
        "Images while they are recovered",
        "ImageNet-21K's class Plant by SRe²L and CDA after 100, 500, 1,000 and 2,000 iterations.",
        ("method",),
        ("dataset",),
        shows=_shown(
            ("method", ("sre2l", "cda")),
            **{"metric": "images", "dataset": "imagenet-21k", "ipc": 1, "teacher": "resnet18", "RI": "100"},
        ),
    ),
    PaperTable(
        "cda-fig7",
        "Continual learning as lines",
        "Lines of Tables 14 and 15.",
        ("method",),
        ("steps", "classes"),
        ("method",),
        numbers=("Table 14", "Table 15"),
        note="Continual learning is not here: printed values only.",
    ),
)
"""In the order of the papers, tables before figures."""


def find_table(table_id: str) -> PaperTable:
    """Return a table or figure by its id.

    Raises:
        ConfigError: there is none of that name.
    """
    known = {table.id: table for table in TABLES}
    if table_id not in known:
        near = difflib.get_close_matches(table_id, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`delt papers` lists them."
        raise ConfigError(f"table: {table_id!r} given, but there is no table or figure of that name; {hint}")
    return known[table_id]


@lru_cache(maxsize=64)
def rows_of(table: PaperTable) -> tuple[PublishedValue, ...]:
    """Return the printed numbers of a table, then what else it shows as rows whose value is not a number."""
    labels = table.numbers or (table.label,)
    printed = (one for one in all_published() if one.source == table.paper and one.table in labels)
    return (*printed, *(_row(table, shown) for shown in table.shows))


def _row(table: PaperTable, shown: Mapping[str, Any]) -> PublishedValue:
    names = {name: shown.get(name, "") for name in ("dataset", "method", "metric", "student", "teacher")}
    words = " ".join(f"{name}={value}" for name, value in shown.items() if name not in (*names, "ipc"))
    return PublishedValue(
        variant=words, value=math.nan, std=None, source=table.paper, table=table.label, ipc=shown["ipc"], **names
    )


def axis(value: PublishedValue, name: str) -> str:
    """Return where a number stands on an axis, as printed; "" where it has no place on it.

    >>> [axis(one, "RI") for one in rows_of(find_table("delt-4c"))][:2]
    ['500', '1000']
    """
    if name in _ATTRIBUTES:
        found = getattr(value, name)
        return "" if found is None else str(found)
    return value.words.get(name, "")


_AXIS_TITLES = {
    "dataset": "Dataset",
    "ipc": "IPC",
    "method": "Method",
    "student": "Student",
    "teacher": "Recovery network",
    "metric": "Measure",
    "alpha": "Alpha",
    "batch_size": "Batch size",
    "classes": "Classes",
    "crop": "Crop range",
    "crop_lower": "Lower bound",
    "epochs": "Epochs",
    "init": "Begun from",
    "milestone": "Milestone",
    "order": "Order",
    "patches": "Patches",
    "recipe": "Recipe",
    "recovery_iterations": "Iterations",
    "relabel": "Relabelled by",
    "scheduler": "Curriculum",
    "selection": "Selection",
    "steps": "Steps",
    "type": "Constant crops",
}

_WORDS = {"best-of-resnet18-densenet121": "The better of two", "cda": "CDA", "ridnik": "Ridnik et al."}
_WORDS |= {"delt": "DELT", "imagenet-1k": "ImageNet-1K"}

METRIC_TITLES = {
    "top1": "Top-1, %",
    "top5": "Top-5, %",
    "hours": "Hours",
    "params_m": "Parameters, M",
    "cosine": "Cosine within a class",
    "images": "Images",
    "whole": "Whole image, %",
    "crops": "Ten crops, %",
}
"""What a number is."""


def axis_title(name: str) -> str:
    """Return what an axis is called.

    >>> axis_title("dataset"), axis_title("RI")
    ('Dataset', 'RI')
    """
    return _AXIS_TITLES.get(name, name)


def axis_label(value: PublishedValue, name: str) -> str:
    """Return where a number stands on an axis, for people."""
    text = axis(value, name)
    if name == "method":
        return value.method_title
    if name == "dataset" and text in CATALOGUE:
        return CATALOGUE[text].title
    if name == "metric":
        return METRIC_TITLES[text]
    if name in ("student", "teacher", "relabel"):
        return network_title(text)
    return f"{int(text):,}" if text.isdigit() else _WORDS.get(text, text[:1].upper() + text[1:])


def place(value: PublishedValue, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return where a number stands on several axes."""
    return tuple(axis(value, name) for name in names)
