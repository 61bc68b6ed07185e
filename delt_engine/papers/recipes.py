"""The whole experiment behind a printed number: every setting of every stage, and where each of them is from.

What is asked is a paper, a dataset, a method, the network that recovers, the student and the images per class; the
answer is one experiment that `delt run` can do. A setting is either stated, with its table, or it is from published
code or ours, with the reason. Where a paper prints nothing for a dataset, its settings for the dataset nearest in image
size stand in, and each of them says so.

Source: the papers' tables in assets/published/settings.json; see the files of each source beside this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from delt_engine.config import METHOD_SETTINGS, EvaluateConfig, Experiment, RecoverConfig, SqueezeConfig, is_optimised
from delt_engine.config.methods import BATCH_TO_BATCH, DELT_PLUS, SMALL_IMAGES
from delt_engine.data.catalogue import CATALOGUE, find_entry
from delt_engine.errors import ConfigError
from delt_engine.papers import cda_settings, code_settings, delt_settings, gvbsm_settings, matching_settings
from delt_engine.papers.gathered import Asked, Gathered, nearest_dataset
from delt_engine.papers.names import our_network
from delt_engine.papers.published import PAPERS, published_settings

__all__ = ["PublishedExperiment", "nearest_dataset", "published_experiment"]


@dataclass(frozen=True)
class PublishedExperiment:
    """An experiment of a paper.

    Attributes:
        experiment: all stages filled in.
        origins: of every setting that a paper states, such as ``recover.iterations``, the place, such as "DELT Table
            8b".
        unstated: of the others that were set, the published code they are from, or why they are ours.
    """

    experiment: Experiment
    origins: Mapping[str, str]
    unstated: Mapping[str, str]

    def origin(self, setting: str) -> str:
        """Return where a setting is from, stated or not; empty for one that stands at our default."""
        return self.origins.get(setting) or self.unstated.get(setting, "")


def published_experiment(
    paper: str,
    dataset: str,
    method: str,
    *,
    network: str | None = None,
    student: str = "resnet18",
    ipc: int = 10,
    table: str = "",
) -> PublishedExperiment:
    """Return the whole experiment of a paper.

    Args:
        paper: ``delt`` or ``cda``.
        dataset: a name of the catalogue.
        method: one of this project's methods.
        network: that is squeezed and recovers, by its printed name or ours; where not given the student if it is a
            ConvNet, else ResNet-18.
        student: network that is trained, likewise.
        ipc: images per class.
        table: such as ``Table 18``, for settings that a table changes.

    Raises:
        ConfigError: a paper, dataset or method that there is not, or a setting that is not allowed.

    >>> found = published_experiment("delt", "cifar10", "delt", ipc=1)
    >>> found.experiment.recover.iterations, found.origins["recover.iterations"]
    (2000, 'DELT Table 8c')
    """
    asked = _asked(paper, dataset, method, network, student, ipc, table)
    into = Gathered()
    into.state("experiment", f"{PAPERS[paper]} {asked.table}".strip(), dataset=asked.dataset)
    _squares(into, asked)
    into.values["recover"] = {"ipc": asked.ipc}
    _squeeze(into, asked)
    _images(into, asked)
    _evaluate(into, asked)
    into.state("evaluate", f"{PAPERS[paper]} {asked.table}".strip(), student=asked.student)
    _networks(into, asked)
    return PublishedExperiment(_experiment(into, asked), into.origins, into.unstated)


def _asked(paper: str, dataset: str, method: str, network: str | None, student: str, ipc: int, table: str) -> Asked:
    if paper not in PAPERS:
        raise ConfigError(f"paper: {paper!r} given, but it must be one of {', '.join(PAPERS)}.")
    if method not in METHOD_SETTINGS:
        raise ConfigError(f"method: {method!r} given, but it must be one of {', '.join(METHOD_SETTINGS)}.")
    entry = find_entry(dataset)
    if entry is None:
        raise ConfigError(f"dataset: {dataset!r} given, but it must be one of {', '.join(CATALOGUE)}.")
    student = our_network(student)
    recovering = our_network(network) if network else student if student.startswith("convnet-") else "resnet18"
    table = table.removeprefix(PAPERS[paper]).strip()
    classes, size = entry.num_classes or 0, entry.image_size or 0
    return Asked(paper, entry.name, method, recovering, student, ipc, table, classes, size)


def _squares(into: Gathered, asked: Asked) -> None:
    """Take how large images are shown, and which part of them."""
    if asked.image_size != asked.data_size:
        reason = "published code (evaluation/argument.py) shows ConvNets smaller images"
        into.assume("experiment", reason, image_size=asked.image_size)
    if asked.dataset == "imagenet-21k":
        into.assume("experiment", "its published code shows all of a picture, squeezed to a square", resize="whole")
    elif asked.method in ("cda", "sre2l") and asked.image_size <= SMALL_IMAGES:
        into.assume("experiment", "published code of CDA and SRe2L shows small images as they are", resize="whole")
    else:
        into.assume("experiment", "published code (Resize to S // 7 * 8, then the centre)", resize="published")


def _squeeze(into: Gathered, asked: Asked) -> None:
    if asked.method == "sre2l" and not _reproduced_by_cda(asked):
        code_settings.squeeze_as_sre2l(into, asked)
    elif _of_cda(asked):
        cda_settings.squeeze(into, asked)
    else:
        delt_settings.squeeze(into, asked)


def _images(into: Gathered, asked: Asked) -> None:
    """Take everything up to the finished images."""
    starts_from_patches = METHOD_SETTINGS[asked.method].get("initialization", "patches") == "patches"
    if not is_optimised(asked.method):
        if asked.method == "rded":
            code_settings.patches_as_rded(into, asked)
        return
    if starts_from_patches:
        delt_settings.select(into, asked)
    if _reproduced_by_cda(asked):
        cda_settings.recover(into, asked)
        into.assume("recover", "SRe2L's crops have one range from start to end", curriculum="constant")
    elif asked.method in BATCH_TO_BATCH:
        matching_settings.recover(into, asked)
    elif asked.method == "gvbsm":
        gvbsm_settings.recover(into, asked)
    elif asked.method.startswith("sre2l"):
        code_settings.recover_as_sre2l(into, asked)
    elif _of_cda(asked):
        cda_settings.recover(into, asked)
    else:
        delt_settings.recover(into, asked)
    if asked.method == "delt-plus":
        into.assume("recover", "ours: what makes DELT+", **DELT_PLUS)
    is_early_late = RecoverConfig.for_method(asked.method).early_late
    if is_early_late and _of_cda(asked):
        delt_settings.put_rounds(into, asked)
    elif not is_early_late and asked.ipc > 1:
        code_settings.put_pictures(into)


def _evaluate(into: Gathered, asked: Asked) -> None:
    if reason := _trained_by_delt(asked):
        delt_settings.evaluate(into, asked)
        into.assume("evaluate", f"ours: {reason}", recipe="delt")
    elif asked.method == "sre2l" and not _reproduced_by_cda(asked):
        code_settings.evaluate_as_sre2l(into, asked)
    elif asked.method == "rded":
        code_settings.evaluate_as_rded(into, asked)
    elif asked.method in BATCH_TO_BATCH:
        matching_settings.evaluate(into, asked)
    elif asked.method == "gvbsm":
        gvbsm_settings.evaluate(into, asked)
    elif asked.method == "cda" or asked.paper == "cda":
        cda_settings.evaluate(into, asked)
    else:
        delt_settings.evaluate(into, asked)


def _of_cda(asked: Asked) -> bool:
    """Return whether teacher and recovery are CDA's: its own method, and what starts from it in its own paper."""
    return asked.method in ("cda", "cda-early-late") or asked.paper == "cda"


def _reproduced_by_cda(asked: Asked) -> bool:
    """Return whether it is SRe2L as CDA ran it: on ImageNet-21K-P, which SRe2L has no settings for, so with CDA's.

    Source: CDA Sec. 3.5 ("reproduced SRe2L on ImageNet-21K"); Fig. 6 shows both after the same 2,000 iterations.
    """
    return (asked.paper, asked.method, asked.dataset) == ("cda", "sre2l", "imagenet-21k")


def _trained_by_delt(asked: Asked) -> str:
    """Return why students learn from another method's images as they do from DELT's; "" where they do not.

    Source: ours. DELT Table 5 prints 41.9 for SRe2L, where Table 1 has SRe2L's own 21.3 for the same images, and 41.4
    for G-VBSM, whose own paper has 31.4. CDA prints nothing for CIFAR-10 and the like: after its 100 epochs of SGD for
    CIFAR-100 three students on ten images are at 9.5 +- 0.2 %, so at chance.
    """
    if asked.paper != "delt":
        return ""
    if asked.table == "Table 5" and asked.method in ("sre2l", "cda", "gvbsm"):
        return "Table 5's 41.9 is no number of SRe2L's own training (21.3)"
    if asked.method == "cda" and asked.dataset not in published_settings()["cda"]:
        return "CDA prints no training for the dataset; that for CIFAR-100 leaves ten images at chance"
    return ""


def _networks(into: Gathered, asked: Asked) -> None:
    """Take the teacher by name where it is no ResNet-18, and who ranks where the teacher does not.

    Random patches need nobody's ranks.

    Differs: published code ranks ImageNet and its parts at 224 px whatever recovers (data_selection.py: Resize 256,
    CenterCrop 224); here a ranker sees patches at the size of the images, for ConvNets 64 or 128 px, and so is one that
    was trained at that size. :func:`delt_engine.papers.fits.beyond_settings` tells it of every run.
    """
    if asked.network != "resnet18":
        name = SqueezeConfig(network=asked.network).teacher_name(asked.dataset, asked.image_size)
        into.assume("experiment", "the teacher that `delt squeeze` makes with these settings", teacher=name)
    starts_from_ranks = into.of("select").get("criterion", "random") != "random" and is_optimised(asked.method)
    data = "imagenet-1k" if asked.dataset == "imagenet-100" else asked.dataset
    if starts_from_ranks and (asked.network, asked.dataset) != ("resnet18", data):
        name = SqueezeConfig().teacher_name(data, asked.image_size)
        into.state("experiment", "DELT Appendix B, Ranking", ranker=name)


def _experiment(into: Gathered, asked: Asked) -> Experiment:
    values: dict[str, Any] = {**into.of("experiment")}
    for stage in ("squeeze", "rank", "select", "relabel"):
        values[stage] = into.of(stage)
    evaluate = into.of("evaluate")
    values["evaluate"] = EvaluateConfig.for_recipe(**evaluate)
    return Experiment.for_method(asked.method, size=asked.image_size, recover=into.of("recover"), **values)
