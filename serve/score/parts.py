"""A finished chunk as one file: an Arrow stream of its rows with the added columns, and what is known of it.

Rows of Parquet inputs keep their columns and types; rows of CSV and JSON lines stand as JSON text in
the one column ``row``, for nobody knows their columns before the last of them is read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from serve.score.arrow import json_type
from serve.score.chunks import Chunk
from serve.score.duplicates import Placement
from serve.score.layout import Layout, relocated
from serve.score.rows import Rejected, Row, dumps
from serve.score.scorer import Scored
from serve.score.summary import Counts

ROW = "row"
_META = b"themewatch"


@dataclass(frozen=True)
class Part:
    """A chunk's file read back.

    Attributes:
        table: accepted rows; the added columns come last.
        cells: whether the input's columns stand in the column ``row`` as JSON.
        columns: names and types of the input's columns.
        digest: of the chunk it was made of.
        refused: index among the chunk's readable rows, and reason, of rows that scoring refused.
        counts: for the summary.
    """

    table: pa.Table
    cells: bool
    columns: pa.Schema
    digest: str
    refused: dict[int, str]
    counts: Counts


def build_part(chunk: Chunk, placements: list[Placement], layout: Layout) -> tuple[bytes, list[Rejected]]:
    """The part file of a chunk whose every slot is filled, and the chunk's rejected rows in order."""
    rejected: list[Rejected] = []
    rows: list[Row] = []
    added: list[list[Any]] = []
    refused: dict[int, str] = {}
    counts = Counts()
    index = -1
    for entry in chunk.entries:
        if isinstance(entry, Rejected):
            rejected.append(entry)
            continue
        index += 1
        placed = placements[index]
        outcome = placed.slot.outcome
        if not isinstance(outcome, Scored):
            refused[index] = outcome or ""
            rejected.append(entry.reject(refused[index]))
            continue
        evidence = relocated(outcome.evidence, entry.title, entry.text) if placed.near else outcome.evidence
        rows.append(entry)
        added.append(layout.values(outcome, evidence, placed.cluster))
        counts.add(layout.keys, outcome, placed)
    for item in rejected:
        counts.reject(item.reason)
    own = _own_columns(rows, chunk)
    turned = list(zip(*added, strict=True)) if added else [()] * len(layout.schema)
    columns = [pa.array(list(values), kind) for values, kind in zip(turned, layout.schema.types, strict=True)]
    table = pa.table([*own.columns, *columns], names=[*own.schema.names, *layout.schema.names])
    cells = chunk.schema is None
    about = {
        "cells": cells, "columns": _cell_types(rows) if cells else {}, "digest": chunk.digest(),
        "refused": refused, "counts": counts.to_dict(),
    }  # fmt: skip
    table = table.replace_schema_metadata({_META: json.dumps(about)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes(), rejected


def read_part(data: bytes, layout: Layout, with_rows: bool = True) -> Part:
    """A part file read back; without ``with_rows``, only what is known of it."""
    with pa.ipc.open_stream(data) as reader:
        about = json.loads(reader.schema.metadata[_META])
        own = pa.schema(list(reader.schema)[: len(reader.schema) - len(layout.schema)])
        table = reader.read_all() if with_rows else reader.schema.empty_table()
    if about["cells"]:
        own = pa.schema([(name, _TYPES[kind]) for name, kind in about["columns"].items()])
    refused = {int(index): reason for index, reason in about["refused"].items()}
    return Part(table, about["cells"], own, about["digest"], refused, Counts.from_dict(about["counts"]))


def refill(part: Part, placements: list[Placement], layout: Layout) -> None:
    """Fill the slots of a chunk from its finished part, as scoring would have."""
    rows = iter(part.table.select(layout.schema.names).to_pylist())
    for index, placed in enumerate(placements):
        if index in part.refused:
            outcome: Scored | str = part.refused[index]
        else:
            outcome = _restored(next(rows), layout)
        if placed.fresh:
            placed.slot.outcome = outcome


def _restored(row: dict[str, Any], layout: Layout) -> Scored:
    return Scored(
        language=row["tw_language"], themes=tuple(row["tw_themes"]),
        scores=tuple(row[f"tw_score_{key}"] for key in layout.keys),
        decisions=tuple(row[f"tw_decision_{key}"] for key in layout.keys),
        windows=row["tw_windows"], truncated=row["tw_truncated"],
        evidence=row["tw_evidence"] if layout.explain else "{}", tokens=0,
    )  # fmt: skip


def _own_columns(rows: list[Row], chunk: Chunk) -> pa.Table:
    if chunk.schema is None:
        return pa.table({ROW: pa.array([dumps(row.cells) for row in rows], pa.string())})
    if not rows:
        return chunk.schema.empty_table()
    return pa.Table.from_batches([row.batch.slice(row.index, 1) for row in rows]).combine_chunks()


_TYPES = {"null": pa.null(), "bool": pa.bool_(), "int64": pa.int64(), "double": pa.float64(), "string": pa.string()}


def _cell_types(rows: list[Row]) -> dict[str, str]:
    """The type of each column of plain cells, in order of first sight."""
    names = dict.fromkeys(name for row in rows for name in row.cells or ())
    return {name: str(json_type((row.cells or {}).get(name) for row in rows)) for name in names}
