"""``delt privacy``: whether the images of a run give the photographs that they started from away."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import click

from delt_engine.analysis.privacy import PrivacyResult
from delt_engine.cli.options import output_options, path_option
from delt_engine.cli.output import progress_option, reporter, say, say_json, say_table
from delt_engine.pipeline.image_sets import of_run
from delt_engine.pipeline.measure import not_neutral
from delt_engine.pipeline.privacy import MOST_IMAGES, look_up, stored_file
from delt_engine.runs.store import Run

SPACE_WORDS = {"pixels": "pixels", "second": "features of {}"}


@click.command()
@click.argument("run", metavar="RUN")
@click.option(
    "--network", default="", metavar="NAME", help="Network for the features. [default: one that took no part]"
)
@click.option("--device", default="auto", show_default=True, metavar="NAME", help="auto, cpu, cuda, cuda:1 or mps.")
@path_option("--into", "DIR", "Also put the results there, as they ship in assets/diversity.", is_folder=True)
@progress_option
@output_options
def privacy(
    run: str, network: str, device: str, into: Path | None, progress_json: bool, as_json: bool, quiet: bool
) -> None:
    """Find the nearest real images of each synthetic one, and how many would be recognised by that.

    An image is recognised in the top k where a photograph that its start patch was cut from is among its k nearest of
    all training images, in pixels or in the features of a network that took no part. A test that fails is no proof of
    privacy: other attacks may do better. Source: DELT Appendix A names the risk; the test is ours.
    """
    subject = Run.open(run)
    results, missing = look_up(subject, network=network, device=device, report=reporter(progress_json))
    if into is not None:
        into.mkdir(parents=True, exist_ok=True)
        for space in results:
            path = stored_file(of_run(subject), space, network)
            if path and path.is_file():
                shutil.copyfile(path, into / path.name)
    if as_json:
        spaces = {space: result.summary() for space, result in results.items()}
        say_json({"run": subject.id, "spaces": spaces, "missing": missing})
    elif not quiet:
        _say(list(results.values()))
        for words in filter(None, [missing, not_neutral(of_run(subject), "second", network)]):
            say(words)


def _say(results: list[PrivacyResult]) -> None:
    rows: list[list[Any]] = []
    for result in results:
        space = SPACE_WORDS[result.space].format(result.network_title)
        rows.append([space, *(_count_words(result, k) for k in (1, 5)), *_distances(result)])
    first = results[0]
    columns = ("in", "recognised, top 1", "recognised, top 5", "distance", "of test images")
    looked = f"{len(first)} of {first.total} images" if len(first) < first.total else f"{len(first)} images"
    say_table(columns, rows, f"{first.title}, {looked}, nearest of {first.real_images:,} training images")
    for result in results:
        rounds = [
            [row["start_round"], row["iterations"], row["images"], row["distance"], row["top1"], row["top5"]]
            for row in result.by_round()
        ]
        title = f"By start round, in {SPACE_WORDS[result.space].format(result.network_title)}"
        say_table(("start round", "iterations", "images", "mean distance", "top 1", "top 5"), rounds, title)
    if len(first) < first.total:
        say(f"At most {MOST_IMAGES:,} images are looked at, as many of each class.")


def _count_words(result: PrivacyResult, k: int) -> str:
    known = int(result.has_source.sum())
    if not known:
        return "no start patch"
    start = f", {result.recognised(k, at_start=True)} at the start" if (result.start_rank > 0).any() else ""
    return f"{result.recognised(k)} of {known} (by chance {result.chance(k):.2g}{start})"


def _distances(result: PrivacyResult) -> tuple[float, float | str]:
    return float(result.distance[:, 0].mean()), result.usual if len(result.test_distance) else "–"
