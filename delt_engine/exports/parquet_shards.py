"""An export as a Hugging Face dataset: ``data/train-00000-of-00001.parquet``, the pictures inside the tables.

Columns: image, label (a ClassLabel with the names), class_id (the class's number in the source dataset), start_round
and iterations, and soft_label (the teacher's logits) where there are some. What each is stands in the tables' metadata
and in the card's front matter, so no loading script is needed.

Source: Hugging Face hub, "Manual configuration" and "Dataset card"; datasets' features in Parquet's schema metadata.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from delt_engine.exports.contents import Contents, Row

SHARD_BYTES = 400 * 10**6
"""Most bytes of pictures in a file; the hub's viewer likes files below 500 MB."""

_ROW_GROUP = 100
"""Images a row group, as the hub advises for pictures."""


def features(contents: Contents) -> dict[str, Any]:
    """Return what each column is, in the words of Hugging Face's datasets."""
    whole: dict[str, Any] = {"_type": "Value", "dtype": "int64"}
    columns: dict[str, Any] = {
        "image": {"_type": "Image"},
        "label": {"_type": "ClassLabel", "names": list(contents.class_names)},
        **dict.fromkeys(("class_id", "start_round", "iterations"), whole),
    }
    if contents.soft_labels is not None:
        columns["soft_label"] = {"_type": "List", "feature": {"_type": "Value", "dtype": "float32"}}
    return columns


def write_parquet(contents: Contents, root: Path, shard_bytes: int = SHARD_BYTES) -> list[Path]:
    """Write the tables into ``root/data`` and return them."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = _schema(contents)
    shards = list(_shards(contents, shard_bytes))
    paths = []
    for number, rows in enumerate(shards):
        path = root / "data" / f"train-{number:05d}-of-{len(shards):05d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        with parquet.ParquetWriter(path, schema) as writer:
            for begin in range(0, len(rows), _ROW_GROUP):
                own = [_values(contents, row) for row in rows[begin : begin + _ROW_GROUP]]
                writer.write_table(pa.Table.from_pylist(own, schema=schema))
        paths.append(path)
    return paths


def _schema(contents: Contents) -> Any:
    import pyarrow as pa

    fields = [
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        *((name, pa.int64()) for name in ("label", "class_id", "start_round", "iterations")),
    ]
    if contents.soft_labels is not None:
        fields.append(("soft_label", pa.list_(pa.float32())))
    info = json.dumps({"info": {"features": features(contents)}})
    return pa.schema(fields, metadata={"huggingface": info})


def _values(contents: Contents, row: Row) -> dict[str, Any]:
    values: dict[str, Any] = {
        "image": {"bytes": contents.png(row), "path": f"{row.class_id:05d}_{row.index:05d}.png"},
        "label": row.label,
        "class_id": row.class_id,
        "start_round": row.start_round,
        "iterations": row.iterations,
    }
    if contents.soft_labels is not None:
        values["soft_label"] = contents.soft_labels[row.number].tolist()
    return values


def _shards(contents: Contents, shard_bytes: int) -> Iterator[list[Row]]:
    """Yield the images of each file."""
    rows: list[Row] = []
    size = 0
    for row in contents.rows():
        own = contents.size(row)
        if rows and size + own > shard_bytes:
            yield rows
            rows, size = [], 0
        rows.append(row)
        size += own
    yield rows
