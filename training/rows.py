"""Rows of other tools' files (JSONL, JSON, CSV, TSV, Parquet), and JSONL written whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from model.errors import DataError
from training.data import MAX_CHARACTERS, raw_rows

Row = dict[str, Any]
SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet")


def read_rows(path: Path) -> Iterator[tuple[int, Row | str]]:
    """Each row with its line (its position in JSON and Parquet files), or the reason why it is none.

    Raises:
        DataError: the file is missing, unreadable or of an unknown kind.
    """
    if not path.is_file():
        raise DataError("no such file", where=path)
    if path.suffix in (".jsonl", ".parquet"):
        yield from raw_rows(path)
        return
    if path.suffix not in SUFFIXES:
        raise DataError(f"unknown kind of file {path.suffix!r}", where=path, remedy=f"use {', '.join(SUFFIXES)}")
    try:
        yield from _json(path) if path.suffix == ".json" else _table(path)
    except UnicodeDecodeError as error:
        raise DataError("not UTF-8 text", where=path, remedy="save the file as UTF-8") from error
    except (OSError, csv.Error) as error:
        raise DataError(f"cannot be read: {error}", where=path) from error


def _json(path: Path) -> Iterator[tuple[int, Row | str]]:
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except UnicodeDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise DataError("not valid JSON", where=path, remedy="export it again; is it cut off?") from error
    for number, row in enumerate(content if isinstance(content, list) else [content], 1):
        yield number, row if isinstance(row, dict) else "not a JSON object"


def _table(path: Path) -> Iterator[tuple[int, Row | str]]:
    csv.field_size_limit(MAX_CHARACTERS * 4)
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline()
        file.seek(0)
        delimiter = max(",;\t", key=header.count)  # spreadsheets write ; where the comma is the decimal point
        reader = csv.DictReader(file, delimiter=delimiter)
        for row in reader:
            yield reader.line_num, "more cells than columns" if None in row else dict(row)


def write_rows(output: Path, rows: Iterable[Row]) -> int:
    """Write JSON lines to a file, which appears whole or not at all (``-``: standard output).

    Returns:
        The number of lines written.

    Raises:
        DataError: the file cannot be written.
    """
    # default: dates and the like, which Parquet files hold
    lines = [json.dumps(row, ensure_ascii=False, default=str).encode("utf-8", "replace") + b"\n" for row in rows]
    if str(output) == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(b"".join(lines))
        sys.stdout.buffer.flush()
        return len(lines)
    name = ""
    try:
        handle, name = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
        with os.fdopen(handle, "wb") as file:
            file.writelines(lines)
        os.chmod(name, 0o644)
        os.replace(name, output)
    except OSError as error:
        if name:
            Path(name).unlink(missing_ok=True)
        raise DataError(f"cannot be written: {error.strerror or error}", where=output) from error
    return len(lines)
