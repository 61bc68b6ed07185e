"""``delt diversity``: how alike the images of a class are, of runs, of folders, and of real images beside them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from delt_engine.analysis.diversity_store import RANDOM, REAL, SPACE_TITLES, SPACES
from delt_engine.analysis.embedding import POINTS
from delt_engine.cli.options import output_options
from delt_engine.cli.output import progress_option, reporter, say, say_json, say_table
from delt_engine.errors import CheckpointError, ConfigError
from delt_engine.pipeline.image_sets import Report, Subject, of_folder, of_run, reference
from delt_engine.runs.store import Run

if TYPE_CHECKING:
    from delt_engine.analysis.diversity_store import DiversityResult

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
@click.option(
    "--images",
    type=click.IntRange(min=2),
    metavar="N",
    help="Images a class that are compared at once. [default: as many as the smallest source has]",
)
@click.option(
    "--network",
    default="",
    metavar="NAME",
    help="Name or file of a network for the space second. [default: the one that is found]",
)
@click.option("--dataset", metavar="NAME", help="Dataset that folders of images belong to.")
@click.option("--image-size", type=click.IntRange(8, 1024), metavar="N", help="Side at which its images are read.")
@click.option("--teacher", default="auto", show_default=True, metavar="NAME", help="Teacher for folders of images.")
@click.option("--map", "with_map", is_flag=True, help="Also draw the map of these images among the real ones.")
@click.option(
    "--points",
    type=click.IntRange(min=10),
    default=POINTS,
    show_default=True,
    metavar="N",
    help="Most points on the map.",
)
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps.")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Also put the results there, as they ship in assets/diversity.",
)
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
    asked = _Asked(count, network, device, report)
    for space in chosen:
        for subject in [*subjects, *_references(subjects, kinds, count)]:
            asked.measure(subject, space)
        if with_map:
            asked.draw(subjects, space, points)
    _put(asked.paths, into)
    if as_json:
        told = [result.summary() for result in asked.results]
        say_json({"images": count or None, "results": told, "missing": asked.missing, "maps": asked.maps})
    elif not quiet:
        _tell(asked)


class _Asked:
    """What is asked of every source, the answers, and the files that hold them.

    Args:
        images: images a class that are compared at once; 0 where no source has two.
        network: name or file of the second network; "" for the one that is found.
        device: where networks run.
        report: told (what, done, total).
    """

    def __init__(self, images: int, network: str, device: str, report: Report) -> None:
        self.images = images
        self._options: dict[str, Any] = {"network": network, "device": device, "report": report}
        self._network = network
        self.results: list[DiversityResult] = []
        self.maps: list[dict[str, Any]] = []
        self.missing: list[dict[str, str]] = []
        self.paths: list[Path] = []

    def measure(self, subject: Subject, space: str) -> None:
        """Add the result of a source in a space, or why there is none."""
        from delt_engine.pipeline.measure import measured, stored_file, why_none

        reason = why_none(subject, space, self._network)
        if reason:
            self.missing.append({"source": subject.source, "space": space, "reason": reason})
            return
        images = None if subject.ipc == self.images else self.images
        self.results.append(measured(subject, space, images=images, **self._options))
        self.paths.append(stored_file(subject, space, images=images, network=self._network))

    def draw(self, subjects: Sequence[Subject], space: str, points: int) -> None:
        """Add what there is to say of the map in a space; without its network there is none."""
        from delt_engine.pipeline.embed import embedded, stored_file

        try:
            path = stored_file(subjects, space, points=points, network=self._network)
        except CheckpointError as error:
            self.missing.append({"source": "map", "space": space, "reason": str(error)})
            return
        made = embedded(subjects, space, points=points, **self._options)
        self.paths.append(path)
        self.maps.append({"space": space, "shown": len(made), "total": sum(made.totals), "file": str(path)})


def _names(field: str, text: str, allowed: Sequence[str]) -> list[str]:
    given = [part.strip() for part in text.split(",") if part.strip()]
    for name in given or [text]:
        if name not in allowed:
            raise ConfigError(f"{field}: {name!r} given, but it must be among {', '.join(allowed)}.")
    return list(dict.fromkeys(given))


def _subject(source: str, dataset: str | None, image_size: int | None, teacher: str, report: Report) -> Subject:
    """Return the images of a run or of a folder."""
    path = Path(source).expanduser()
    if not path.is_dir() or (path / "run.json").is_file():
        return of_run(Run.open(source))
    if dataset is None:
        raise ConfigError(
            f"dataset: nothing given, but {source} is a folder of images and needs the dataset whose classes it has."
        )
    from delt_engine.pipeline import inputs

    return of_folder(path, inputs.load_dataset(dataset, image_size, report=report), dataset, teacher)


def _references(subjects: Sequence[Subject], kinds: Sequence[str], images: int) -> list[Subject]:
    """Return the real images that are measured: once for each set of data, classes and teacher."""
    found: dict[tuple, Subject] = {}
    for subject in subjects:
        for kind in kinds:
            if kind != "none" and subject.ipc > 1:
                key = (kind, subject.dataset.fingerprint, subject.classes, subject.teacher_fingerprint)
                found.setdefault(key, reference(subject, kind, images))
    return sorted(found.values(), key=lambda each: kinds.index(each.method))


def _put(paths: Sequence[Path], into: Path | None) -> None:
    """Copy results to a folder."""
    from delt_engine.analysis.diversity_store import shipped_path

    if into is None:
        return
    into.mkdir(parents=True, exist_ok=True)
    for path in paths:
        origin = path if path.is_file() else shipped_path(path)
        if origin.resolve() != (into / path.name).resolve():
            shutil.copyfile(origin, into / path.name)


def _tell(asked: _Asked) -> None:
    """Print a table of means over classes, and what could not be measured."""
    rows = []
    for result in asked.results:
        halves = result.early_late or ("-", "-")
        name = result.title if result.source in (REAL, RANDOM) else f"{result.title} ({result.source})"
        space = SPACE_TITLES[result.space] + (f" ({result.network_title})" if result.network_title else "")
        told = (_told(value) for value in (result.mean, result.mean_pairwise, *halves))
        rows.append((name, space, result.images, *told))
    if rows:
        say_table(_COLUMNS, rows, title=f"Mean cosine similarity within a class, {asked.images:,} images a class")
    for reason in dict.fromkeys(each["reason"] for each in asked.missing):
        say(reason)
    for made in asked.maps:
        say(f"map in {SPACE_TITLES[made['space']].lower()}: {made['shown']:,} of {made['total']:,} images")


def _told(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4f}"
