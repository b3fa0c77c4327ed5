"""Labelled articles from JSONL, CSV or Parquet; every row that cannot be used is named with its reason."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model.errors import DataError
from model.text import Article

MAX_CHARACTERS = 2_000_000  # of one article; a longer one is a broken file
PARTS = ("", "train", "validation", "test")  # what a row's column ``split`` may say, the last weighing most
_CORE = ("id", "title", "text", "themes", "lang", "story")


@dataclass(frozen=True)
class Item:
    """One labelled article. ``story`` groups articles on one event; ``extra`` keeps other columns."""

    id: str
    text: str
    themes: tuple[str, ...]
    title: str = ""
    lang: str = ""
    story: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def article(self) -> Article:
        return Article(text=self.text, title=self.title, id=self.id)


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used: where it stands and why."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


def read_items(
    paths: Iterable[Path], themes: tuple[str, ...], labelled: bool = True
) -> tuple[list[Item], list[BadRow]]:
    """All usable items and all bad rows of ``paths`` (folders are searched for data files).

    Raises:
        DataError: a file is missing, unreadable, or of an unknown format.
    """
    items: list[Item] = []
    bad: list[BadRow] = []
    seen: dict[str, str] = {}
    for path in data_files(paths):
        for line, row in raw_rows(path):
            item = _item(path, line, row, themes, labelled)
            if isinstance(item, Item) and item.id in seen:
                item = BadRow(str(path), line, f"id {item.id!r} already stands in {seen[item.id]}")
            if isinstance(item, BadRow):
                bad.append(item)
            else:
                seen[item.id] = f"{path}:{line}"
                items.append(item)
    return items, bad


def load_items(paths: Iterable[Path], themes: tuple[str, ...]) -> list[Item]:
    """Like ``read_items``, but any bad row is an error.

    Raises:
        DataError: naming the first bad row, or that there is nothing to read.
    """
    paths = list(paths)
    items, bad = read_items(paths, themes)
    if bad:
        more = f" (and {len(bad) - 1} more bad rows)" if len(bad) > 1 else ""
        raise DataError(
            f"{bad[0].reason}{more}", where=f"{bad[0].file}:{bad[0].line}",
            remedy="`themewatch data check FILE` lists all of them",
        )  # fmt: skip
    if not items:
        raise DataError("no labelled articles", where=", ".join(map(str, paths)))
    return items


def data_files(paths: Iterable[Path]) -> list[Path]:
    """The data files among ``paths``; a folder stands for the JSONL, CSV and Parquet files in it."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(p for p in path.iterdir() if p.suffix in (".jsonl", ".csv", ".parquet"))
        elif path.is_file():
            files.append(path)
        else:
            raise DataError("no such file", where=path)
    return files


def digest(items: Iterable[Item]) -> str:
    """SHA-256 of the labelled texts, whatever their order and file."""
    parts = sorted(hashlib.sha256(json.dumps([i.title, i.text, sorted(i.themes)]).encode()).hexdigest() for i in items)
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def raw_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Line number and row, or the reason why the line is no row."""
    try:
        if path.suffix == ".jsonl":
            yield from _jsonl(path)
        elif path.suffix == ".csv":
            yield from _csv(path)
        elif path.suffix == ".parquet":
            yield from _parquet(path)
        else:
            raise DataError(f"unknown format {path.suffix!r}", where=path, remedy="use .jsonl, .csv or .parquet")
    except UnicodeDecodeError as error:
        raise DataError("not UTF-8 text", where=path, remedy="save the file as UTF-8") from error
    except (OSError, csv.Error) as error:
        raise DataError(f"cannot be read: {error}", where=path) from error


def _jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                yield number, "not valid JSON"
                continue
            yield number, row if isinstance(row, dict) else "not a JSON object"


def _csv(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    csv.field_size_limit(MAX_CHARACTERS * 4)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            known = {key: value for key, value in row.items() if key is not None}
            if known.get("themes") is not None:
                known["themes"] = [t.strip() for t in known["themes"].split("|") if t.strip()]
            surplus = None in row
            yield reader.line_num, "more cells than columns" if surplus else known


def _parquet(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    from datasets import load_dataset

    try:
        rows = load_dataset("parquet", data_files=str(path), split="train", streaming=True)
        for number, row in enumerate(rows, 1):
            yield number, dict(row)
    except (ValueError, RuntimeError) as error:  # pyarrow's and datasets' errors derive from these
        raise DataError("not a Parquet file", where=path) from error


def _item(path: Path, line: int, row: dict[str, Any] | str, themes: tuple[str, ...], labelled: bool) -> Item | BadRow:
    reason = row if isinstance(row, str) else _problem(row, themes, labelled)
    if reason or isinstance(row, str):
        return BadRow(str(path), line, reason)
    identifier = str(row.get("id") or f"{path.stem}:{line}")
    return Item(
        id=identifier, text=row["text"], title=row.get("title") or "",
        themes=tuple(key for key in themes if key in (row.get("themes") or ())),
        lang=str(row.get("lang") or ""), story=str(row.get("story") or row.get("group") or identifier),
        extra={key: value for key, value in row.items() if key not in _CORE},
    )  # fmt: skip


def _problem(row: dict[str, Any], themes: tuple[str, ...], labelled: bool) -> str:
    """Why a row cannot be used; empty if it can."""
    if "text" not in row:
        return f"no column 'text' (there are: {', '.join(map(str, list(row)[:8]))})"
    if not isinstance(row["text"], str):
        return f"text is {type(row['text']).__name__}, not a string"
    if not row["text"].strip():
        return "text is empty"
    if len(row["text"]) > MAX_CHARACTERS:
        return f"text has {len(row['text']):,} characters, over the limit of {MAX_CHARACTERS:,}"
    if not isinstance(row.get("title") or "", str):
        return f"title is {type(row['title']).__name__}, not a string"
    if not labelled:
        return ""
    if (row.get("split") or "") not in PARTS:
        return f"split is {row['split']!r} (one of: {', '.join(PARTS[1:])}; or leave the column out)"
    given = row.get("themes")
    if given is None:
        return "no themes (use an empty list for none)"
    if not isinstance(given, list) or not all(isinstance(key, str) for key in given):
        return "themes must be a list of theme keys"
    unknown = [key for key in given if key not in themes]
    return f"unknown theme {unknown[0]!r} (known: {', '.join(themes)})" if unknown else ""
