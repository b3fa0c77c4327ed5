"""Score a table with the page's own model, a few rows at a time, so that others are served in between."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from model.artifact import Artifact
from model.classifier import ThemeClassifier
from model.errors import InputError, ThemewatchError
from model.taxonomy import Taxonomy
from model.text import Article
from serve.demo.context import LaterError
from serve.demo.rows import TableRow, table_row
from serve.score.arrow import merged_schema
from serve.score.chunks import Cutter
from serve.score.duplicates import Duplicates
from serve.score.formats import Format
from serve.score.inputs import Input
from serve.score.layout import Layout
from serve.score.parts import build_part, read_part
from serve.score.placing import fill, place
from serve.score.rows import Columns
from serve.score.scorer import Outcome, scored
from serve.score.sinks import open_sink, records

_CHUNK = 64  # rows
_ARTICLES, _CHARACTERS = 8, 40_000  # of one call of the model
_PATIENCE, _PAUSE = 300.0, 1.0  # seconds to wait for a busy service, and between two tries


@dataclass(frozen=True)
class Order:
    """What to score, and what to write."""

    item: Input
    text: str
    title: str | None
    form: Format
    explain: bool
    total: int  # rows of the item


@dataclass
class ScoredTable:
    """What came of it: files in ``folder``, rows to look at, and counts by reason of rows left out."""

    folder: Path
    output: Path
    taxonomy: Taxonomy | None = None  # of the model that scored it; another may serve by now
    rejects: Path | None = None
    columns: list[str] = field(default_factory=list)
    rows: list[TableRow] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)


def score_table(classifier: ThemeClassifier, order: Order, table: ScoredTable) -> Iterator[int]:
    """Score row by row into ``table``; gives the number of rows done, again and again.

    Raises:
        InputError: the table cannot be read, or the service stays too busy.
        ThemewatchError: the model was replaced meanwhile.
    """
    artifact = classifier.artifact
    table.taxonomy = artifact.taxonomy
    model = artifact.label()
    layout = Layout(artifact.taxonomy.keys, f"{artifact.name}/{artifact.version}", order.explain)
    columns = Columns(order.text, order.title, None, layout.reserved)
    duplicates, parts = Duplicates(), []
    done = 0
    with (table.folder / "rejected.jsonl").open("w", encoding="utf-8") as refused:
        for chunk in Cutter([order.item], columns, _CHUNK):
            placements, articles = place(chunk, duplicates)
            outcomes: list[Outcome] = []
            for some in _slices(articles):
                outcomes += _outcomes(classifier, some, order.explain, model)
                yield min(done + len(outcomes), order.total)
            fill(placements, outcomes)
            data, rejected = build_part(chunk, placements, layout)
            for entry in rejected:
                table.rejected[entry.reason.split(" (")[0]] += 1
                refused.write(f"{entry.to_json()}\n")
            parts.append(table.folder / f"{chunk.number}.part")
            parts[-1].write_bytes(data)
            done += len(chunk.entries)
            yield min(done, order.total)
    _join(artifact, order, table, layout, parts)
    if table.rejected:
        table.rejects = table.folder / "rejected.jsonl"


def _join(artifact: Artifact, order: Order, table: ScoredTable, layout: Layout, parts: Sequence[Path]) -> None:
    """Turn the parts into the output, and into rows to look at."""
    schema = merged_schema(read_part(path.read_bytes(), layout, False).columns for path in parts)
    table.columns = [str(name) for name in schema.names]
    with table.output.open("wb") as file:
        sink = open_sink(file, order.form, schema, layout)
        for path in parts:
            part = read_part(path.read_bytes(), layout)
            sink.write(part)
            for own, added in records(part, layout):
                table.rows.append(table_row(artifact.taxonomy.keys, own, added, order.text, order.title))
            path.unlink()
        sink.close()


def _slices(articles: Sequence[Article]) -> Iterator[list[Article]]:
    some: list[Article] = []
    for article in articles:
        some.append(article)
        if len(some) >= _ARTICLES or sum(len(a.text) for a in some) >= _CHARACTERS:
            yield some
            some = []
    if some:
        yield some


def _outcomes(
    classifier: ThemeClassifier, articles: list[Article], explain: bool, model: dict[str, str]
) -> list[Outcome]:
    """The outcome of each article; one that cannot be read does not keep the others from it."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            results = classifier.predict(articles, explain=explain)
        except LaterError:
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE)
        except InputError as error:
            if len(articles) == 1:
                return [error.what]
            return [outcome for article in articles for outcome in _outcomes(classifier, [article], explain, model)]
        else:
            if any(result.model != model for result in results):
                raise ThemewatchError("the model was replaced meanwhile", remedy="score the table again")
            return [scored(result) for result in results]
