"""Cut the rows of a run into chunks: the unit that is scored, saved and, after a kill, not done again.

Where a chunk ends depends on the rows alone, so a resumed run cuts, batches and scores as the first one did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from serve.score.inputs import Input
from serve.score.rows import Columns, Rejected, Row
from serve.score.sources import read_rows
from serve.score.streams import reading

MAX_BYTES = 2_000_000  # of a chunk's rows; the row that crosses it still belongs to the chunk


@dataclass
class Chunk:
    """Consecutive rows, good and bad, in input order; at most one kind of row (Parquet schema or plain cells).

    ``position`` counts the stored bytes of all inputs read up to its end.
    """

    number: int
    entries: list[Row | Rejected] = field(default_factory=list)
    position: int = 0

    @property
    def rows(self) -> list[Row]:
        return [entry for entry in self.entries if isinstance(entry, Row)]

    @property
    def schema(self) -> Any:
        """The Arrow schema of its rows, ``None`` for plain cells."""
        return next((row.batch.schema for row in self.rows if row.batch is not None), None)

    def digest(self) -> str:
        """Names what was read: a resumed run compares it with what a finished part was made of."""
        total = hashlib.sha256()
        for entry in self.entries:
            total.update(f"{entry.file}\0{entry.line}\0".encode("utf-8", "surrogatepass"))
            if isinstance(entry, Rejected):
                total.update(b"-" + entry.raw.encode("utf-8", "surrogatepass"))
            else:
                total.update(entry.raw or f"{entry.title}\0{entry.text}".encode("utf-8", "surrogatepass"))
        return total.hexdigest()


class Cutter:
    """Reads all inputs one after the other, as chunks."""

    def __init__(self, inputs: Sequence[Input], columns: Columns, most: int) -> None:
        """``most`` is the most rows in a chunk."""
        self._inputs, self._columns, self._most = inputs, columns, most
        self._position = 0

    def __iter__(self) -> Iterator[Chunk]:
        chunk, size = Chunk(0), 0
        shape: Any = None
        has_rows = False
        for entry in self._entries():
            if isinstance(entry, Row):
                here = entry.batch.schema if entry.batch is not None else None
                if has_rows and here != shape:
                    yield chunk
                    chunk, size = Chunk(chunk.number + 1), 0
                shape, has_rows = here, True
            chunk.entries.append(entry)
            chunk.position = self._position
            size += entry.size
            if len(chunk.entries) >= self._most or size >= MAX_BYTES:
                yield chunk
                chunk, size, has_rows = Chunk(chunk.number + 1), 0, False
        if chunk.entries:
            yield chunk

    def _entries(self) -> Iterator[Row | Rejected]:
        for item in self._inputs:
            yield from read_rows(item, self._columns, self._read)

    def _read(self, count: int) -> None:
        self._position += count


def check_inputs(inputs: Sequence[Input], columns: Columns) -> None:
    """Read the head of each input, so that a wrong column is told before anything is scored.

    Raises:
        InputError: see ``read_rows``.
    """
    for item in inputs:
        if item.repeatable:
            with closing(read_rows(item, columns)) as rows:
                next(rows, None)


def total_size(inputs: Sequence[Input]) -> int | None:
    """Stored bytes of all inputs together, ``None`` where one of them cannot say.

    Raises:
        InputError: an input cannot be reached.
    """
    total = 0
    for item in inputs:
        with reading(item):
            size = item.size()
        if size is None:
            return None
        total += size
    return total
