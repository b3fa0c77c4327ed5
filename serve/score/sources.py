"""Rows of every input format, one at a time, in order; a bad row is a value, not an exception."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pyarrow as pa

from model.errors import InputError
from serve.score.arrow import column_text, is_text
from serve.score.inputs import Input
from serve.score.rows import Columns, Rejected, Row, as_text, fields
from serve.score.streams import MAX_LINE, Line, Lines, opened, reading, seekable

_DELIMITERS = {"csv": (",", ";", "\t", "|"), "tsv": ("\t",)}
_BATCH = 64  # Parquet rows decoded at a time
_DEEPEST = 100  # levels of JSON; what is read must also be written, with less room on the stack
Tell = Callable[[int], None]


def read_rows(item: Input, columns: Columns, tell: Tell = lambda _: None) -> Generator[Row | Rejected]:
    """Every row of ``item``; ``tell`` hears of the stored bytes that were read.

    Raises:
        InputError: the file cannot be read, is not what its name says, or lacks a column.
    """
    with reading(item):
        if item.format.kind == "parquet":
            yield from _parquet(item, columns, tell)
            return
        with opened(item, tell) as stream:
            lines = Lines(stream, item)
            yield from (_jsonl if item.format.kind == "jsonl" else _csv)(lines, item, columns)


def _jsonl(lines: Lines, item: Input, columns: Columns) -> Iterator[Row | Rejected]:
    first = True
    for line in lines:
        if not line.data.strip():
            continue
        cells = _json_cells(line)
        problem = columns.clash(cells) if isinstance(cells, dict) else ""
        if problem and first:  # most likely the output of an earlier run: better told before hours of work
            raise InputError(problem, where=f"{item.name}:{line.number}", remedy="rename or remove it")
        first = False
        yield _row(item, line.number, line.data, line.size, problem or cells, columns)


def _json_cells(line: Line) -> dict[str, Any] | str:
    problem = _unreadable(line.data, line.size)
    if problem:
        return problem
    try:
        # NaN and Infinity, which Python reads, are no JSON: nothing else could read them in our output
        value = json.loads(line.data.decode("utf-8").lstrip("\ufeff"), parse_constant=lambda _: None)
    except RecursionError:
        return "not JSON (nested too deeply)"
    except ValueError as error:
        return f"not JSON ({str(error)[:80]})"
    if not isinstance(value, dict):
        return f"not a JSON object ({type(value).__name__})"
    if line.data.count(b"[") + line.data.count(b"{") > _DEEPEST and _depth(value) > _DEEPEST:
        return "not JSON (nested too deeply)"
    if not _encodable("".join(value)):
        return "a column's name is no Unicode text"
    return value


def _depth(value: Any) -> int:
    """Levels of lists and objects, counted without recursion."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return depth


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _unreadable(raw: bytes, size: int) -> str:
    """Why a record cannot even be parsed, or nothing."""
    if size > MAX_LINE:
        return f"the line is too long ({size:,} bytes; only its beginning is kept)"
    if not raw.strip(b"\0 \t\r\n"):
        return "nothing but NUL bytes"
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return f"not UTF-8 (byte {error.start + 1})"
    return ""


def _csv(lines: Lines, item: Input, columns: Columns) -> Iterator[Row | Rejected]:
    csv.field_size_limit(MAX_LINE)
    found = _header(lines, item, columns)
    if found is None:
        return
    header, delimiter = found
    while taken := _record(lines, delimiter):
        record, parsed = taken
        raw = b"".join(line.data for line in record)
        if not raw.strip():
            continue
        size = sum(line.size for line in record)
        problem = _unreadable(raw, size) or (parsed if isinstance(parsed, str) else "")
        if not problem and len(parsed) != len(header):
            problem = f"wrong number of columns ({len(parsed)} instead of {len(header)})"
        yield _row(item, record[0].number, raw, size, problem or dict(zip(header, parsed, strict=True)), columns)


def _header(lines: Lines, item: Input, columns: Columns) -> tuple[list[str], str] | None:
    """Column names and delimiter: the first delimiter that gives a text column."""
    shown: list[str] = []
    for delimiter in _DELIMITERS[item.format.kind]:
        taken = _record(lines, delimiter)
        if taken is None:
            return None
        record, parsed = taken
        if isinstance(parsed, list) and columns.text in parsed:
            if not _encodable("".join(parsed)):
                raise InputError("the header is not UTF-8", where=item.name, remedy="save the file as UTF-8")
            columns.check(parsed, item.name)
            return parsed, delimiter
        shown = shown or (parsed if isinstance(parsed, list) else [as_text(record[0].data)[:100]])
        lines.give_back(record)
    columns.check([name.encode("utf-8", "replace").decode() for name in shown], item.name)
    raise InputError("the header cannot be read", where=item.name)


def _record(lines: Lines, delimiter: str) -> tuple[list[Line], list[str] | str] | None:
    """The physical lines of the next record, and its fields or what is wrong; ``None`` at the end.

    Where quotes are out of order, only the first line is given up: an opening quote that is never
    closed must not swallow the good rows after it.
    """
    taken: list[Line] = []

    def feed() -> Iterator[str]:
        size = 0
        for line in lines:
            taken.append(line)
            size += line.size
            if size > MAX_LINE:
                raise csv.Error(f"record longer than {MAX_LINE:,} bytes")
            yield line.data.decode("utf-8", "surrogateescape")

    try:
        return taken, next(csv.reader(feed(), delimiter=delimiter, strict=True))
    except StopIteration:
        return None
    except csv.Error as error:
        lines.give_back(taken[1:])
        return taken[:1], f"not CSV ({error})"


def _parquet(item: Input, columns: Columns, tell: Tell) -> Iterator[Row | Rejected]:
    import pyarrow.parquet as pq

    with seekable(item, tell) as stream:
        file = pq.ParquetFile(stream, pre_buffer=False, buffer_size=1 << 20)
        schema = file.schema_arrow
        check_schema(schema, columns, item.name)
        wanted = [name for name in (columns.text, columns.title_name, columns.id_name) if name and name in schema.names]
        share = (item.size() or 0) / max(1, file.metadata.num_rows)
        counted = item.repeatable and not item.format.compression
        first, stop = item.rows or (0, file.metadata.num_rows)
        groups, number = _row_groups(file.metadata, first, stop)
        for batch in file.iter_batches(batch_size=_BATCH, row_groups=groups, use_threads=False):
            if number + batch.num_rows <= first:
                number += batch.num_rows
                continue
            if number >= stop:
                return
            values = {name: column_text(batch.column(name)) for name in wanted}
            size = batch.nbytes // max(1, batch.num_rows)
            for index in range(batch.num_rows):
                number += 1
                if not first < number <= stop:
                    continue
                cells = {name: values[name][index] for name in wanted}
                row = Row(item.name, number, "", "", "", size, batch=batch, index=index)
                found = "not UTF-8" if any(isinstance(v, bytes) for v in cells.values()) else fields(cells, columns)
                if isinstance(found, str):
                    yield row.reject(found)
                else:
                    row.text, row.title, row.id = found
                    yield row
            if counted:
                tell(round(share * batch.num_rows))


def check_schema(schema: Any, columns: Columns, where: str) -> None:
    """Check the Arrow schema of a Parquet file before it is read.

    Raises:
        InputError: see ``Columns.check``; or the text column holds no strings.
    """
    columns.check(schema.names, where)
    kind = schema.field(columns.text).type
    if not is_text(kind):
        raise InputError(f"column {columns.text!r} holds {kind}, not strings", where=where)


def column_names(item: Input, columns: Columns) -> pa.Schema:
    """The columns that ``item`` has even if it has no rows: none for JSON lines and for what cannot be read twice.

    Raises:
        InputError: the file cannot be read.
    """
    if not item.repeatable or item.format.kind == "jsonl":
        return pa.schema([])
    with reading(item):
        if item.format.kind == "parquet":
            import pyarrow.parquet as pq

            with seekable(item, lambda _: None) as stream:
                return pq.ParquetFile(stream).schema_arrow.remove_metadata()
        with opened(item) as stream:
            found = _header(Lines(stream, item), item, columns)
            return pa.schema([(name, pa.string()) for name in (found[0] if found else [])])


def _row_groups(about: Any, first: int, stop: int) -> tuple[list[int], int]:
    """The row groups of a Parquet file that hold rows ``first`` to ``stop``, and the number of rows before them."""
    groups: list[int] = []
    before = at = 0
    for index in range(about.num_row_groups):
        end = at + about.row_group(index).num_rows
        if end <= first:
            before = end
        elif at < stop:
            groups.append(index)
        at = end
    return groups, before


def _row(
    item: Input, number: int, raw: bytes, size: int, cells: dict[str, Any] | str, columns: Columns
) -> Row | Rejected:
    found = cells if isinstance(cells, str) else fields(cells, columns)
    if isinstance(found, str) or isinstance(cells, str):
        return Rejected(item.name, number, str(found), as_text(raw), len(raw))
    return Row(item.name, number, *found, size, raw=raw, cells=cells)
