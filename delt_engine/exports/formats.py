"""Which forms a run can be exported in: what each is for, and how it is opened again; torch-free."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExportFormat:
    """One form.

    Attributes:
        name: as ``--format`` takes it.
        title: of the form.
        purpose: what it is for, in a line.
        has_soft_labels: whether it has a place for the teacher's logits of each whole image.
        needs_teacher: whether it is of no use without the teacher's labels.
    """

    name: str
    title: str
    purpose: str
    has_soft_labels: bool = True
    needs_teacher: bool = False


FORMATS: dict[str, ExportFormat] = {
    one.name: one
    for one in (
        ExportFormat(
            "imagefolder", "ImageFolder", "One folder of PNGs a class, for torchvision, timm, fastai and most scripts."
        ),
        ExportFormat(
            "zip", "ImageFolder as one zip", "The same in one file, to send or to keep.", has_soft_labels=False
        ),
        ExportFormat(
            "hf", "Hugging Face dataset", "Parquet with a dataset card, to upload to the hub or open with datasets."
        ),
        ExportFormat("webdataset", "WebDataset", "Tar shards, for streaming, and for timm's wds/ reader."),
        ExportFormat("npz", "NumPy arrays", "One file of arrays, for JAX, TensorFlow, scikit-learn and notebooks."),
        ExportFormat(
            "dd-ranking",
            "DD-Ranking tensors",
            "images.pt, labels.pt and lr.pt, for the benchmark DD-Ranking.",
        ),
        ExportFormat(
            "published",
            "Published layout",
            "new000/class000_id000.jpg, as SRe2L, CDA and DELT save images; JPEG of the highest quality, so pixels "
            "differ a little.",
            has_soft_labels=False,
        ),
        ExportFormat(
            "fkd",
            "FKD soft labels",
            "Images with a file of crops, mixes and logits a batch and epoch, as SRe2L's and CDA's training replays "
            "them.",
            has_soft_labels=False,
            needs_teacher=True,
        ),
    )
}
"""The forms by name, in the order they are shown."""
