"""A row with its provenance, and the checks that say whether it can be scored."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from model.errors import InputError

MAX_TEXT = 2_000_000  # characters


@dataclass(frozen=True)
class Columns:
    """Which columns to read, and which names the output needs for itself.

    ``title`` and ``id`` are ``None`` where the user named none: the usual names are then taken if
    they are there, and passed over if they hold something else than strings.
    """

    text: str = "text"
    title: str | None = None
    id: str | None = None
    reserved: frozenset[str] = frozenset()

    @property
    def title_name(self) -> str:
        """The column of titles; none (an empty name) where the usual one is read as text already."""
        return self.title or ("title" if self.text != "title" else "")

    @property
    def id_name(self) -> str:
        """The column of the articles' names."""
        return self.id or "id"

    def check(self, names: Iterable[str], where: str) -> None:
        """Check the columns of a table before it is read.

        Raises:
            InputError: a column is missing, stands twice, or has a name the output needs.
        """
        listed = list(names)
        twice = next((name for name, times in Counter(listed).items() if times > 1), None)
        if twice is not None:
            raise InputError(f"column {twice!r} stands twice", where=where, remedy="give each column its own name")
        for option, name in (("--text-column", self.text), ("--title-column", self.title), ("--id-column", self.id)):
            if name is not None and name not in listed:
                shown = ", ".join(listed[:20])[:300]
                raise InputError(f"no column {name!r} (there are: {shown})", where=where, remedy=f"give {option}")
        problem = self.clash(listed)
        if problem:
            raise InputError(problem, where=where, remedy="rename or remove it")

    def clash(self, names: Iterable[str]) -> str:
        """What is wrong if a name is one that the output needs for itself, else nothing."""
        name = next((name for name in names if name in self.reserved), None)
        return f"column {name!r} has a name that the output needs" if name is not None else ""


@dataclass(slots=True)
class Row:
    """One article to score, with all it came with.

    ``cells`` holds the whole row (CSV, JSON lines); a Parquet row is ``batch[index]`` instead.
    ``raw`` is the record as it stood (empty for Parquet); ``size`` is its memory in bytes, about.
    """

    file: str
    line: int
    text: str
    title: str
    id: str
    size: int
    raw: bytes = b""
    cells: dict[str, Any] | None = None
    batch: Any = None
    index: int = 0

    def reject(self, reason: str) -> Rejected:
        """The same row as one that cannot be scored."""
        if self.batch is None:
            return Rejected(self.file, self.line, reason, as_text(self.raw), self.size)
        return Rejected(self.file, self.line, reason, batch_row_text(self.batch, self.index), self.size)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that cannot be scored. ``line`` counts from 1 (rows for Parquet); ``raw`` is the row as text."""

    file: str
    line: int
    reason: str
    raw: str
    size: int

    def to_json(self) -> str:
        """Its line in ``OUTPUT.rejected.jsonl``."""
        return dumps({"file": self.file, "line": self.line, "reason": self.reason, "raw": self.raw})


def fields(cells: dict[str, Any], columns: Columns) -> tuple[str, str, str] | str:
    """Text, title and id of a row, or the reason why it cannot be scored."""
    if columns.text not in cells:
        return f"no column {columns.text!r}"
    text = cells[columns.text]
    if not isinstance(text, str):
        return f"the text is not a string ({'null' if text is None else type(text).__name__})"
    if not text.replace("\0", " ").strip():
        return "the text is empty"
    title = cells.get(columns.title_name) if columns.title_name else None
    if not isinstance(title, str):
        if columns.title is not None and title is not None:
            return f"the title is not a string ({type(title).__name__})"
        title = ""
    if len(text) + len(title) > MAX_TEXT:
        return f"the text is too long (over {MAX_TEXT:,} characters)"
    name = cells.get(columns.id_name)
    return text, title, "" if name is None else str(name)[:200]


def as_text(raw: bytes) -> str:
    """Bytes as text without the line end; what is no UTF-8 becomes backslash escapes."""
    return raw.decode("utf-8", "backslashreplace").rstrip("\r\n")


def batch_row_text(batch: Any, index: int) -> str:
    """A Parquet row as JSON text."""
    from serve.score.arrow import plain_column

    part = batch.slice(index, 1)
    return dumps({name: plain_column(part.column(i))[0] for i, name in enumerate(part.schema.names)})


def dumps(value: Any) -> str:
    """JSON on one line that can be written as UTF-8; lone surrogates stay escapes."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value)
    return text
