"""The README of an export: Hugging Face's front matter, and what the set is, filled from the run.

Source: Hugging Face hub, "Dataset card" (front matter: license, task_categories, tags, size_categories, configs,
dataset_info). Every number is the run's own or was measured here; nothing is claimed that was not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from delt_engine.exports.contents import Contents
from delt_engine.exports.formats import ExportFormat
from delt_engine.exports.parquet_shards import features
from delt_engine.exports.training_lines import training_lines

CITATIONS = """\
@inproceedings{shen2025delt,
  title = {DELT: A Simple Diversity-driven EarlyLate Training for Dataset Distillation},
  author = {Shen, Zhiqiang and Sherif, Ammar and Yin, Zeyuan and Shao, Shitong},
  booktitle = {Proceedings of the IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2025}
}

@article{yin2024cda,
  title = {Dataset Distillation via Curriculum Data Synthesis in Large Data Era},
  author = {Yin, Zeyuan and Shen, Zhiqiang},
  journal = {Transactions on Machine Learning Research},
  year = {2024}
}
"""
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))


def dataset_card(contents: Contents, form: ExportFormat) -> str:
    """Return the text of README.md."""
    front = yaml.safe_dump(front_matter(contents, form), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{_body(contents, form)}"


def front_matter(contents: Contents, form: ExportFormat) -> dict[str, Any]:
    """Return what a hub reads of a card.

    An ImageFolder's card says that the folders are the labels, ``drop_labels``, also where someone adds a table.
    """
    matter: dict[str, Any] = {
        "pretty_name": _title(contents),
        "license": contents.licence.identifier,
        **({"license_link": contents.licence.url} if contents.licence.identifier == "other" else {}),
        "task_categories": ["image-classification"],
        "tags": ["dataset-distillation", "dataset-compression", f"ipc-{contents.ipc}"],
        "size_categories": [next((words for most, words in _SIZES if len(contents) < most), "n>10M")],
    }
    if form.name == "hf":
        matter["configs"] = [{"config_name": "default", "data_files": [_split("data/train-*.parquet")]}]
        matter["dataset_info"] = {"features": _feature_list(contents)}
    elif form.name in ("imagefolder", "fkd"):
        files = [_split("train/**")]
        matter["configs"] = [{"config_name": "default", "data_files": files, "drop_labels": False}]
    elif form.name == "webdataset":
        matter["configs"] = [{"config_name": "default", "data_files": [_split("train-*.tar")]}]
    return matter


def _split(path: str) -> dict[str, str]:
    return {"split": "train", "path": path}


def _feature_list(contents: Contents) -> list[dict[str, Any]]:
    """Return the columns as a card writes them."""
    found: list[dict[str, Any]] = []
    for name, feature in features(contents).items():
        if feature["_type"] == "Image":
            found.append({"name": name, "dtype": "image"})
        elif feature["_type"] == "ClassLabel":
            names = {str(number): title for number, title in enumerate(feature["names"])}
            found.append({"name": name, "dtype": {"class_label": {"names": names}}})
        elif feature["_type"] == "List":
            found.append({"name": name, "list": feature["feature"]["dtype"]})
        else:
            found.append({"name": name, "dtype": feature["dtype"]})
    return found


def _title(contents: Contents) -> str:
    return f"{contents.data.title}, {contents.record.method_title}, {contents.ipc} images per class"


def _body(contents: Contents, form: ExportFormat) -> str:
    version = contents.record.versions.get("delt", "")
    parts = [
        f"# {_title(contents)}",
        f"{len(contents):,} synthetic images of {len(contents.class_names):,} classes at "
        f"{contents.data.image_size} px, distilled from {contents.data.title} with DELT Studio {version}. "
        "They are made for training classifiers, not as pictures of real things.",
        "## How it was made",
        _listed(_making(contents)),
        "## Accuracy",
        _accuracy(contents),
        "## How to train on it",
        f"```python\n{_lines(contents, form)}```",
        _about_form(contents, form),
        "## Licence of the source",
        contents.licence.words + (f" See {contents.licence.url}" if contents.licence.url else ""),
        "## Citation",
        f"```bibtex\n{CITATIONS}```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _making(contents: Contents) -> Mapping[str, str]:
    record, recover = contents.record, contents.record.experiment.recover
    teacher = record.teacher
    made: dict[str, str] = {"Method": record.method_title}
    if record.origin is not None:
        made["Origin"] = f"made elsewhere, imported ({record.origin.layout}); fingerprint {record.origin.digest}"
    elif recover.iterations:
        rounds = f", RI {recover.round_iterations}: {recover.schedule.num_rounds} rounds" if recover.early_late else ""
        made["Iterations"] = f"MI {recover.iterations}{rounds}"
    made |= {"Images per class (IPC)": str(contents.ipc), "Seed": str(record.seed)}
    if teacher is not None:
        accuracy = f", {teacher.accuracy:.2f} % on its test images" if teacher.accuracy is not None else ""
        made["Teacher"] = f"{teacher.name.rsplit('/', 1)[-1]} ({teacher.network}{accuracy})"
    if record.origin is None and recover.iterations:
        made |= {title: f"{getattr(recover, name)}" for name, title in _SETTINGS.items()}
    if contents.soft_labels is not None:
        made["Soft labels"] = f"logits of {contents.labeller} for each whole image"
    made["Normalise with"] = f"mean {list(contents.data.mean)}, std {list(contents.data.std)}"
    return made


_SETTINGS = {
    "initialization": "Starts from",
    "curriculum": "Crop curriculum",
    "batching": "Batches of",
    "batch_size": "Batch size",
    "learning_rate": "Learning rate",
    "r_bn": "Weight of the BatchNorm loss (r_bn)",
}
"""Settings of the recovery that a card names; all stand in experiment.yaml."""


def _listed(values: Mapping[str, str]) -> str:
    return "\n".join(f"- {name}: {value}" for name, value in values.items())


def _accuracy(contents: Contents) -> str:
    found = contents.measured()
    if not found:
        return "No student was trained on it yet where it was made."
    rows = [
        "| Student | Recipe | Epochs | Students | Top-1 on test, last epoch | Best epoch |",
        "|---|---|---|---|---|---|",
    ]
    for result in found:
        last, best = (f"{result[name]:.1f} ± {result[f'{name}_std']:.1f}" for name in ("top1_last", "top1_best"))
        name = f"{result['student']} x {result['student_width'] or 1:g}"
        rows.append(
            f"| {name} | {result['recipe_title']} | {result['epochs']} | {len(result['seeds'])} | {last} | {best} |"
        )
    tested, chance = f"{found[0]['test_images']:,} test images of {found[0]['dataset_title']}", found[0]["chance"]
    return "\n".join(rows) + f"\n\nMeasured where it was made, on {tested}, in percent; chance {chance:.3g}."


def _lines(contents: Contents, form: ExportFormat) -> str:
    data = contents.data
    return training_lines(
        form.name, ".", mean=data.mean, std=data.std, num_classes=len(contents.class_names), ipc=contents.ipc
    )


def _about_form(contents: Contents, form: ExportFormat) -> str:
    if form.name == "published":
        return "The pictures are JPEG, so pixels differ a little from those of the run."
    if form.name == "fkd":
        return (
            "`FKD_soft_label/epoch_<e>/batch_<b>.tar` holds the crops, flips, mixes and logits of a batch, in the "
            "order that `RandomSampler` draws with seed 42. `delt_engine.training.fkd_labels.read_fkd` reads them, and "
            "runs no pickled code."
        )
    if form.name == "imagefolder" and contents.soft_labels is not None:
        return "`soft_labels.npy` holds the teacher's logits, row by row in the order of `ImageFolder.samples`."
    return ""
