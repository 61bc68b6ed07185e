"""``delt diversity``: how alike the images of a class are, of runs, of folders, and of real images beside them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from delt_engine.analysis.diversity_store import RANDOM, REAL, SPACE_TITLES, SPACES, DiversityResult, shipped_path
from delt_engine.analysis.embedding import POINTS
from delt_engine.cli.options import count_option, output_options, path_option
from delt_engine.cli.output import progress_option, reporter, say, say_json, say_table
from delt_engine.errors import CheckpointError, ConfigError
from delt_engine.paths import expanded
from delt_engine.pipeline import embed
from delt_engine.pipeline.image_sets import Report, Subject, of_folder, of_run, reference
from delt_engine.pipeline.inputs import load_dataset
from delt_engine.pipeline.measure import measured, not_neutral, stored_file, why_none
from delt_engine.runs.store import Run

_COLUMNS = ("images of", "space", "n", "to centroid", "of pairs", "early", "late")


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--space",
    "spaces",
    default=",".join(SPACES),
    show_default=True,
    metavar="NAME,...",
    help="teacher: features of the run's teacher; second: of a network that took no part; pixels.",
)
@click.option(
    "--reference",
    "references",
    default=f"{REAL},{RANDOM}",
    show_default=True,
    metavar="NAME,...",
    help="Real images beside them, as many a class: real is the mean of five draws, random is one; or none.",
)
@count_option(
    "--images",
    text="Images a class that are compared at once. [default: as many as the smallest source has]",
    least=2,
)
@click.option(
    "--network",
    default="",
    metavar="NAME",
    help="Name or file of a network for the space second. [default: the one that is found]",
)
@click.option("--dataset", metavar="NAME", help="Dataset that folders of images belong to.")
@count_option("--image-size", text="Side at which its images are read.", least=8, most=1024)
@click.option("--teacher", default="auto", show_default=True, metavar="NAME", help="Teacher for folders of images.")
@click.option("--map", "with_map", is_flag=True, help="Also draw the map of these images among the real ones.")
@count_option("--points", text="Most points on the map.", least=10, default=POINTS)
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps.")
@path_option("--into", "DIR", "Also put the results there, as they ship in assets/diversity.", is_folder=True)
@progress_option
@output_options
def diversity(
    sources: tuple[str, ...],
    spaces: str,
    references: str,
    images: int | None,
    network: str,
    dataset: str | None,
    image_size: int | None,
    teacher: str,
    with_map: bool,
    points: int,
    device: str,
    into: Path | None,
    progress_json: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Measure how alike the images of each class are; lower is more diverse.

    SOURCE is a run (its folder or id), or a folder with one folder of images a class. What was measured before is
    found again. A cosine to a centroid depends on how many images there are, so all are compared at the same number
    a class; of a source with more, five seeded draws are averaged.
    """
    chosen = _names("space", spaces, SPACES)
    kinds = _names("reference", references, (REAL, RANDOM, "none"))
    report = reporter(progress_json)
    subjects = [_subject(source, dataset, image_size, teacher, report) for source in sources]
    count = images or min((each.ipc for each in subjects if each.ipc > 1), default=0)
    answers = _Answers(count, network, {"network": network, "device": device, "report": report})
    for space in chosen:
        for subject in [*subjects, *_references(subjects, kinds, count)]:
            answers.measure(subject, space)
        if with_map:
            answers.draw(subjects, space, points)
    if into is not None:
        into.mkdir(parents=True, exist_ok=True)
        for path in answers.paths:
            origin = path if path.is_file() else shipped_path(path)
            if origin.resolve() != (into / path.name).resolve():
                shutil.copyfile(origin, into / path.name)
    if as_json:
        results = [result.summary() for result in answers.results]
        say_json(
            {"images": count or None, "results": results, "missing": answers.missing, "maps": answers.maps}
            | {"notes": answers.notes}
        )
    elif not quiet:
        answers.say()


@dataclass
class _Answers:
    """What is measured of every source and what cannot be, with the reason, and the files that hold it.

    ``images`` a class are compared at once, 0 where no source has two; ``options`` are as measuring takes them.
    """

    images: int
    network: str
    options: dict[str, Any]
    results: list[DiversityResult] = field(default_factory=list)
    maps: list[dict[str, Any]] = field(default_factory=list)
    missing: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)

    def measure(self, subject: Subject, space: str) -> None:
        """Add the result of a source in a space, or why there is none."""
        reason = why_none(subject, space, self.network)
        if reason:
            self.missing.append({"source": subject.source, "space": space, "reason": reason})
            return
        self.notes += filter(None, [not_neutral(subject, space, self.network)])
        images = None if subject.ipc == self.images else self.images
        self.results.append(measured(subject, space, images=images, **self.options))
        self.paths.append(stored_file(subject, space, images=images, network=self.network))

    def draw(self, subjects: Sequence[Subject], space: str, points: int) -> None:
        """Add what there is to say of the map in a space; without its network there is none."""
        try:
            path = embed.stored_file(subjects, space, points=points, network=self.network)
        except CheckpointError as error:
            self.missing.append({"source": "map", "space": space, "reason": str(error)})
            return
        made = embed.embedded(subjects, space, points=points, **self.options)
        self.paths.append(path)
        self.maps.append({"space": space, "shown": len(made), "total": sum(made.totals), "file": str(path)})

    def say(self) -> None:
        """Print a table of means over classes, and what could not be measured."""
        rows = []
        for result in self.results:
            name = result.title if result.source in (REAL, RANDOM) else f"{result.title} ({result.source})"
            space = SPACE_TITLES[result.space] + (f" ({result.network_title})" if result.network_title else "")
            values = [f"{value:.4f}" for value in (result.mean, result.mean_pairwise, *(result.early_late or ()))]
            rows.append((name, space, result.images, *values, *["-"] * (4 - len(values))))
        if rows:
            say_table(_COLUMNS, rows, title=f"Mean cosine similarity within a class, {self.images:,} images a class")
        for reason in dict.fromkeys(each["reason"] for each in self.missing):
            say(reason)
        for note in self.notes:
            say(note)
        for made in self.maps:
            say(f"map in {SPACE_TITLES[made['space']].lower()}: {made['shown']:,} of {made['total']:,} images")


def _names(field_name: str, text: str, allowed: Sequence[str]) -> list[str]:
    given = [part.strip() for part in text.split(",") if part.strip()]
    for name in given or [text]:
        if name not in allowed:
            raise ConfigError(f"{field_name}: {name!r} given, but it must be among {', '.join(allowed)}.")
    return list(dict.fromkeys(given))


def _subject(source: str, dataset: str | None, image_size: int | None, teacher: str, report: Report) -> Subject:
    path = expanded(source)
    if not path.is_dir() or (path / "run.json").is_file():
        return of_run(Run.open(source))
    if dataset is None:
        raise ConfigError(
            f"dataset: nothing given, but {source} is a folder of images and needs the dataset whose classes it has."
        )
    return of_folder(path, load_dataset(dataset, image_size, report=report), dataset, teacher)


def _references(subjects: Sequence[Subject], kinds: Sequence[str], images: int) -> list[Subject]:
    """Return the real images that are measured: once for each set of data, classes and teacher."""
    found: dict[tuple, Subject] = {}
    for subject in subjects:
        for kind in kinds:
            if kind != "none" and subject.ipc > 1:
                key = (kind, subject.dataset.fingerprint, subject.classes, subject.teacher.fingerprint)
                found.setdefault(key, reference(subject, kind, images))
    return sorted(found.values(), key=lambda each: kinds.index(each.method))
