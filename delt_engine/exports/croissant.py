"""Croissant metadata of an export, version 1.1: what files there are, what an image is, its class, and the terms.

Source: MLCommons, Croissant Format Specification 1.1 (context, FileObject, FileSet, RecordSet); records that are
enumerations name the classes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from delt_engine import __version__
from delt_engine.exports.contents import Contents
from delt_engine.exports.dataset_card import CITATIONS
from delt_engine.files import file_digest

FILE = "croissant.json"

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{
        word: f"cr:{word}"
        for word in (
            *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject"),
            *("fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5"),
            *("parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate"),
            *("separator", "source", "subField", "transform"),
        )
    },
}


def write_croissant(contents: Contents, root: Path, tables: Sequence[Path]) -> None:
    """Write ``croissant.json`` for the parquet tables of an export into ``root``."""
    described = _dataset(contents)
    described["distribution"] = [*(_file(table, root) for table in tables), _file_set(tables)]
    described["recordSet"] = [_classes(contents), _images(contents)]
    (root / FILE).write_text(json.dumps(described, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _dataset(contents: Contents) -> dict[str, Any]:
    record = contents.record
    title = f"{contents.data.title}, {record.method_title}, {contents.ipc} images per class"
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": f"{contents.source_name}-{contents.run.id}",
        "description": f"{title}: {len(contents):,} distilled images of {len(contents.class_names):,} classes.",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "version": "1.0.0",
        "datePublished": (record.finished or record.created)[:10],
        "creator": {"@type": "sc:Organization", "name": f"DELT Studio {__version__}"},
        "license": contents.licence.url or contents.licence.words,
        "usageInfo": contents.licence.words,
        "citeAs": CITATIONS,
        "keywords": ["dataset-distillation", "dataset-compression", f"ipc-{contents.ipc}"],
        **({"isBasedOn": contents.licence.url} if contents.licence.url else {}),
    }


def _file(path: Path, root: Path) -> dict[str, Any]:
    name = path.relative_to(root).as_posix()
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": path.name,
        "contentUrl": name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": "application/x-parquet",
        "sha256": file_digest(path),
    }


def _file_set(tables: Sequence[Path]) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": "tables",
        "name": "tables",
        "description": f"{len(tables)} tables of images.",
        "encodingFormat": "application/x-parquet",
        "includes": "data/train-*.parquet",
    }


def _classes(contents: Contents) -> dict[str, Any]:
    fields = [
        {"@type": "cr:Field", "@id": "classes/label", "name": "label", "dataType": "sc:Integer"},
        {"@type": "cr:Field", "@id": "classes/name", "name": "name", "dataType": "sc:Text"},
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "description": "The label of each class and its name.",
        "dataType": "sc:Enumeration",
        "key": {"@id": "classes/label"},
        "field": fields,
        "data": [{"classes/label": label, "classes/name": name} for label, name in enumerate(contents.class_names)],
    }


def _images(contents: Contents) -> dict[str, Any]:
    columns = [
        ("image", "sc:ImageObject", "The image.", {"transform": {"jsonPath": "bytes"}}),
        ("label", "sc:Integer", "Its class.", {}),
        ("class_id", "sc:Integer", f"Number of its class in {contents.data.title}.", {}),
        ("start_round", "sc:Integer", "Round in which it joined, from 1.", {}),
        ("iterations", "sc:Integer", "Iterations it had.", {}),
    ]
    fields: list[dict[str, Any]] = []
    for name, kind, words, more in columns:
        source = {"fileSet": {"@id": "tables"}, "extract": {"column": name}, **more}
        field = {"@type": "cr:Field", "@id": f"images/{name}", "name": name, "description": words, "dataType": kind}
        fields.append({**field, "source": source})
    fields[1]["references"] = {"field": {"@id": "classes/label"}}
    return {"@type": "cr:RecordSet", "@id": "images", "name": "images", "key": [], "field": fields}
