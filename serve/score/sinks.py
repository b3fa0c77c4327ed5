"""Writers of the final output, one per format: from finished parts to one file."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, Any, Protocol

import pyarrow as pa

from serve.score.arrow import plain_column
from serve.score.formats import Format
from serve.score.layout import Layout
from serve.score.parts import ROW, Part
from serve.score.rows import dumps

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # after OWASP's "CSV Injection"
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d+)*|\.\d+)([eE][+-]?\d+)?%?")


class Sink(Protocol):
    """Takes parts in order. ``close`` ends the output; it does not close the file below."""

    def write(self, part: Part) -> None: ...
    def close(self) -> None: ...


def open_sink(file: IO[bytes], form: Format, columns: pa.Schema, layout: Layout) -> Sink:
    """The writer of a format; ``columns`` are those of all inputs together."""
    if form.kind == "parquet":
        return ParquetSink(file, columns, layout)
    stack = ExitStack()
    stream: Any = file
    if form.compression == "gz":
        stream = stack.enter_context(gzip.GzipFile("", "wb", 6, file, mtime=0))  # no name, no time: same bytes
    elif form.compression == "zst":
        import zstandard

        stream = stack.enter_context(zstandard.ZstdCompressor(level=6).stream_writer(file, closefd=False))
    if form.kind == "jsonl":
        return JsonlSink(stream, stack, layout)
    return CsvSink(stream, stack, columns, layout, "\t" if form.kind == "tsv" else ",")


def records(part: Part, layout: Layout) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each row as the input's columns and the added ones, in values that JSON can hold."""
    added = part.table.select(layout.schema.names).to_pylist()
    if part.cells:
        own: Iterator[dict[str, Any]] = map(json.loads, part.table.column(ROW).to_pylist())
    else:
        names = part.columns.names
        values = [plain_column(part.table.column(name).combine_chunks()) for name in names]
        own = (dict(zip(names, row, strict=True)) for row in zip(*values, strict=True))
    yield from zip(own, added, strict=True)


class JsonlSink:
    """JSON lines: each row keeps the keys it came with."""

    def __init__(self, stream: IO[bytes], stack: ExitStack, layout: Layout) -> None:
        self._stream, self._stack, self._layout = stream, stack, layout

    def write(self, part: Part) -> None:
        for own, added in records(part, self._layout):
            self._stream.write(f"{dumps({**own, **added})}\n".encode())

    def close(self) -> None:
        self._stack.close()


class CsvSink:
    """CSV by RFC 4180, safe to open in a spreadsheet: see ``safe_cell``."""

    def __init__(self, stream: IO[bytes], stack: ExitStack, columns: pa.Schema, layout: Layout, delimiter: str) -> None:
        # lone surrogates cannot be written as UTF-8: they become escapes
        self._text = io.TextIOWrapper(stream, "utf-8", errors="backslashreplace", newline="", write_through=True)
        self._stack, self._layout, self._names = stack, layout, columns.names
        self._writer = csv.writer(self._text, delimiter=delimiter)
        self._writer.writerow([safe_cell(name) for name in (*columns.names, *layout.schema.names)])

    def write(self, part: Part) -> None:
        for own, added in records(part, self._layout):
            themes, *rest = added.values()
            cells = [*(own.get(name) for name in self._names), "|".join(themes), *rest]
            self._writer.writerow([safe_cell(cell_text(cell)) for cell in cells])

    def close(self) -> None:
        self._text.flush()
        self._text.detach()
        self._stack.close()


def cell_text(value: Any) -> str:
    """A value as a CSV cell: null is empty, lists and objects are JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    return dumps(value)


def safe_cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula: such a beginning gets an apostrophe before it; numbers do not."""
    seen = text.lstrip("\0\ufeff")  # what some spreadsheets drop before they look
    return f"'{text}" if seen.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


class ParquetSink:
    """Parquet: columns of Parquet inputs keep their types; JSON columns of mixed or nested values become JSON text."""

    def __init__(self, file: IO[bytes], columns: pa.Schema, layout: Layout) -> None:
        import pyarrow.parquet as pq

        self._columns, self._layout = columns, layout
        self._schema = pa.schema([*columns, *layout.schema])
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")

    def write(self, part: Part) -> None:
        if not part.table.num_rows:
            return
        arrays = self._from_cells(part) if part.cells else self._from_table(part)
        arrays += [part.table.column(name) for name in self._layout.schema.names]
        self._writer.write_table(pa.table(arrays, schema=self._schema))

    def _from_cells(self, part: Part) -> list[Any]:
        rows = [json.loads(text) for text in part.table.column(ROW).to_pylist()]
        return [_typed([row.get(field.name) for row in rows], field.type) for field in self._columns]

    def _from_table(self, part: Part) -> list[Any]:
        arrays = []
        for field in self._columns:
            if field.name not in part.columns.names:
                arrays.append(pa.nulls(part.table.num_rows, field.type))
                continue
            column = part.table.column(field.name)
            try:
                arrays.append(column.cast(field.type))
            except pa.ArrowException:
                arrays.append(_typed(plain_column(column.combine_chunks()), field.type))
        return arrays

    def close(self) -> None:
        self._writer.close()


def _typed(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_floating(kind):
        values = [value if value is None else float(value) for value in values]
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = (None if value is None else cell_text(value) for value in values)
        values = [None if text is None else text.encode("utf-8", "backslashreplace").decode() for text in texts]
    return pa.array(values, kind)
