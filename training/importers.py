"""Exports of labelling tools, read into judgements: what one labeller said about one article."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from model.errors import DataError
from training import export_formats as formats
from training.export_argilla import RESPONSES, argilla
from training.export_formats import COLUMNS, LABELS, Options, Reader, first, text_of
from training.rows import Row, read_rows

READERS: dict[str, Reader] = {
    "labelstudio": formats.labelstudio, "argilla": argilla, "prodigy": formats.prodigy, "doccano": formats.doccano,
    "csv": formats.csv, "feedback": formats.feedback,
}  # fmt: skip
FORMATS = ("auto", *READERS)


@dataclass(frozen=True)
class Judgement:
    """What one labeller said about one article, in the labels of the tool.

    ``asked`` holds the labels put to the labeller one at a time (None: all at once). ``silent``:
    no label given, and the tool does not tell "no theme" from "not labelled yet".
    """

    where: str
    labeller: str
    text: str
    labels: tuple[str, ...]
    asked: tuple[str, ...] | None = None
    silent: bool = False
    title: str = ""
    lang: str = ""
    story: str = ""
    id: str = ""
    source: str = ""


@dataclass(frozen=True)
class Left:
    """A row that is left out, and why; ``broken`` where the file is at fault."""

    where: str
    reason: str
    broken: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"


def read_judgements(paths: Iterable[Path], kind: str, options: Options) -> tuple[list[Judgement], list[Left]]:
    """All judgements of ``paths``, and all rows that give none.

    Args:
        kind: one of ``FORMATS``; ``auto`` tells each file's format by its first row.

    Raises:
        DataError: a file is missing, unreadable, or of no known format.
    """
    if kind not in FORMATS:
        raise DataError(f"no format {kind!r}", remedy=f"use one of {', '.join(FORMATS)}")
    found: list[Judgement] = []
    left: list[Left] = []
    for path in paths:
        own = kind
        for line, row in read_rows(path):
            where = f"{path}:{line}"
            if isinstance(row, str):
                left.append(Left(where, row, broken=True))
                continue
            own = detect(path, row) if own == "auto" else own
            given = _judgements(own, row, where, options)
            if isinstance(given, Left):
                left.append(given)
            else:
                found += given
    return found, left


def detect(path: Path, row: Row) -> str:
    """The format that a file's first row shows.

    Raises:
        DataError: none that we know.
    """
    keys = set(row)
    if path.suffix in (".csv", ".tsv"):
        return "csv"
    if {"data", "annotations"} <= keys or {"data", "completions"} <= keys or "annotation_id" in keys:
        return "labelstudio"
    nested = {"fields", "responses"} <= keys or {"annotation", "prediction"} <= keys
    if nested or any(key.endswith(RESPONSES) for key in keys):
        return "argilla"
    if "answer" in keys or "_input_hash" in keys:
        return "prodigy"
    if "themes" in keys:
        return "feedback"
    if keys & set(LABELS):
        return "doccano"
    raise DataError(
        f"no known format (its first row has: {', '.join(map(str, list(row)[:8]))})", where=path,
        remedy="name it with --format",
    )  # fmt: skip


def _judgements(kind: str, row: Row, where: str, options: Options) -> list[Judgement] | Left:
    try:
        sources, said = READERS[kind](row, options)
        text = text_of(sources)
    except ValueError as error:
        return Left(where, str(error), broken=True)
    except (AttributeError, KeyError, TypeError) as error:
        return Left(where, f"not a row of {kind} ({type(error).__name__}: {error})", broken=True)
    if isinstance(said, str):
        return Left(where, said)
    if not said:
        return Left(where, "not labelled yet")
    title, lang, story, name = (first(sources, COLUMNS[column]) for column in ("title", "lang", "story", "id"))
    return [
        Judgement(
            where=where, labeller=f"{kind} {one.labeller}" if one.labeller else where, text=text, labels=one.labels,
            asked=one.asked, silent=one.silent, title=title, lang=lang, story=story, id=name, source=kind,
        )
        for one in said
    ]  # fmt: skip
