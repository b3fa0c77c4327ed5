"""What a table holds, found out before it is scored."""

from __future__ import annotations

import csv
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

from model.errors import InputError
from serve.feedback.record import storable
from serve.score.formats import format_of
from serve.score.inputs import Input
from serve.score.rows import Columns, Rejected
from serve.score.sources import read_rows
from serve.score.streams import Lines, opened, reading

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
MAX_BYTES = 30_000_000
MAX_ROWS = 5_000
_HEAD = 50  # lines looked at for JSON's keys
_COLUMNS = 500  # names offered at most


@dataclass(frozen=True)
class Rows:
    """Rows of a table: all, and those that cannot be scored."""

    total: int
    bad: int


def table_input(path: Path, name: str) -> Input:
    """A file under the name that its owner knows it by.

    Raises:
        InputError: the name tells no format that a reader may upload, or the file is too large.
    """
    form = format_of(name)
    if form is None or form.compression:
        raise InputError("its name tells no format", where=name, remedy=f"give {', '.join(SUFFIXES)}, not compressed")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(
            f"larger than {MAX_BYTES // 1_000_000} MB", where=name, remedy="use `themewatch score`, which has no limit"
        )
    return Input(name, str(path), form)


def column_names(item: Input) -> list[str]:
    """The names of a table's columns.

    Raises:
        InputError: the file cannot be read.
    """
    return [name for name in _names(item) if storable(name) == name][:_COLUMNS]  # the others cannot be shown


def _names(item: Input) -> list[str]:
    with reading(item):
        if item.format.kind == "parquet":
            import pyarrow.parquet as pq

            return [str(name) for name in pq.read_schema(item.path).names]
        with opened(item) as stream:
            lines = Lines(stream, item)
            head = [line.data for line in itertools.islice(lines, _HEAD if item.format.kind == "jsonl" else 1)]
    return _keys(head) if item.format.kind == "jsonl" else _header(head)


def _keys(head: list[bytes]) -> list[str]:
    names: dict[str, None] = {}
    for line in head:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        names.update(dict.fromkeys(value if isinstance(value, dict) else ()))
    return list(names)


def _header(head: list[bytes]) -> list[str]:
    text = head[0].decode("utf-8", "replace") if head else ""
    found = [next(csv.reader([text], delimiter=delimiter), []) for delimiter in (",", ";", "\t", "|")]
    return max(found, key=len)


def count_rows(item: Input, text: str, title: str | None) -> Rows:
    """Read all rows as scoring will.

    Raises:
        InputError: the file cannot be read, lacks a column, or has too many rows.
    """
    total = bad = 0
    for row in read_rows(item, Columns(text, title)):
        total += 1
        bad += isinstance(row, Rejected)
        if total > MAX_ROWS:
            raise InputError(
                f"more than {MAX_ROWS:,} rows", where=item.name, remedy="use `themewatch score`, which has no limit"
            )
    if not total:
        raise InputError("no rows in it", where=item.name)
    return Rows(total, bad)
