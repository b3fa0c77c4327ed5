"""Parquet inputs divided into shards: the rows that one worker scores, saves and, after a loss, does again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pyarrow as pa

from model.errors import InputError
from serve.score.arrow import merged_schema
from serve.score.inputs import STDIN, Input
from serve.score.rows import Columns
from serve.score.sources import check_schema
from serve.score.streams import reading, seekable

_READERS = 16  # files whose ends are read at once


@dataclass(frozen=True)
class Shard:
    """Rows ``first`` to ``stop`` (exclusive, from 0) of the input with index ``file``; ``size`` in stored bytes."""

    number: int
    file: int
    first: int
    stop: int
    size: int


@dataclass(frozen=True)
class Plan:
    """All shards in input order, and one schema that holds the rows of all inputs."""

    shards: tuple[Shard, ...]
    schema: pa.Schema

    @property
    def size(self) -> int:
        """Stored bytes of all inputs."""
        return sum(shard.size for shard in self.shards)


def check_kinds(inputs: Sequence[Input]) -> None:
    """Refuse what a cluster cannot read in pieces.

    Raises:
        InputError: standard input, or another format than Parquet.
    """
    for item in inputs:
        if item.path == STDIN or item.format.kind != "parquet" or item.format.compression or not item.repeatable:
            raise InputError(
                "is no Parquet file, and --engine ray reads nothing else", where=item.name,
                remedy="convert it (DuckDB, Polars, pyarrow), or use --engine local",
            )  # fmt: skip


def everywhere(item: Input) -> Input:
    """The same input for a process with another working folder."""
    return item if item.fs is not None else replace(item, path=os.path.abspath(item.path))


def plan_shards(inputs: Sequence[Input], columns: Columns, most: int) -> Plan:
    """Divide the inputs; the same inputs are always divided alike, whatever the cluster.

    Args:
        inputs: Parquet files.
        columns: which of their columns to read.
        most: the most rows in a shard.

    Raises:
        InputError: an input cannot be read, or lacks a column.
    """
    with ThreadPoolExecutor(_READERS) as pool:
        abouts = list(pool.map(lambda item: _about(item, columns), inputs))
    shards: list[Shard] = []
    for file, (rows, size, _) in enumerate(abouts):
        for first in range(0, rows, most):
            stop = min(first + most, rows)
            share = size * stop // rows - size * first // rows
            shards.append(Shard(len(shards), file, first, stop, share))
    if not shards:  # nothing but empty files: one shard without rows, so that the output is a table
        return Plan((Shard(0, 0, 0, 0, 0),), merged_schema(schema for _, _, schema in abouts))
    return Plan(tuple(shards), merged_schema(schema for rows, _, schema in abouts if rows))


def _about(item: Input, columns: Columns) -> tuple[int, int, pa.Schema]:
    """Rows, stored bytes and schema of a Parquet file."""
    import pyarrow.parquet as pq

    with reading(item), seekable(item, lambda _: None) as stream:
        file = pq.ParquetFile(stream)
        check_schema(file.schema_arrow, columns, item.name)
        return file.metadata.num_rows, item.size() or 0, file.schema_arrow
