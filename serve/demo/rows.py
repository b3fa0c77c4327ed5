"""Scored rows to look at: filtered, as a table, as a plot."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serve.demo.html import box, escaped, stacked_bars
from serve.demo.languages import language_name
from serve.demo.render import WORDS

ANY = ""
PAGE = 50  # rows shown at once
_SHOWN = 160  # characters of an article
_GROUPS = 40  # bars of a plot
_DATE = re.compile(r"\s*(\d{4})(?:[-/.](\d{1,2})(?:[-/.](\d{1,2}))?)?(?!\d)")
_DATE_NAMES = ("date", "published", "publish", "time", "day")


@dataclass(frozen=True)
class TableRow:
    """One scored article; ``decisions`` and ``scores`` in taxonomy order, ``cells`` what could be a date."""

    beginning: str
    language: str
    decisions: tuple[str, ...]
    scores: tuple[float, ...]
    cells: dict[str, str]


@dataclass(frozen=True)
class Filter:
    """Which rows to show; indexes and words, ``None`` and "" for all."""

    theme: int | None = None
    decision: str = ANY
    language: str = ANY

    def passes(self, row: TableRow) -> bool:
        """Whether to show a row. A theme alone asks for its matches and reviews."""
        if self.language != ANY and row.language != self.language:
            return False
        if self.theme is not None:
            said = row.decisions[self.theme]
            return said == self.decision if self.decision != ANY else said != "none"
        if self.decision == "none":
            return all(said == "none" for said in row.decisions)
        return self.decision == ANY or self.decision in row.decisions


def table_row(
    keys: Sequence[str], own: dict[str, Any], added: dict[str, Any], text: str, title: str | None
) -> TableRow:
    """A row as scoring gave it, cut down to what is shown."""
    parts = [own.get(title or "title"), own.get(text)]
    beginning = " ".join(" ".join(part[:400] for part in parts if isinstance(part, str)).split())
    return TableRow(
        beginning[:_SHOWN] + ("…" if len(beginning) > _SHOWN else ""), added["tw_language"],
        tuple(added[f"tw_decision_{key}"] for key in keys), tuple(added[f"tw_score_{key}"] for key in keys),
        {name: cell[:10] for name, cell in own.items() if isinstance(cell, str) and _DATE.match(cell[:12])},
    )  # fmt: skip


def date_columns(rows: Sequence[TableRow]) -> list[str]:
    """Columns whose values look like dates (ISO order) in at least half of the rows, likely names first."""
    counts: dict[str, int] = defaultdict(int)
    for row in rows:
        for name in row.cells:
            counts[name] += 1
    found = [name for name, count in counts.items() if count * 2 >= len(rows)]
    return sorted(found, key=lambda name: not any(word in name.lower() for word in _DATE_NAMES))


def table_html(rows: Sequence[TableRow], page: int, names: Sequence[str], languages: list[str]) -> str:
    """One page of rows, numbered from 1."""
    pages = max(1, -(-len(rows) // PAGE))
    page = min(max(1, page), pages)
    head = "".join(f"<th scope='col' dir='auto'>{escaped(n)}</th>" for n in ("Article", "Language", *names))
    body = "".join(_row(row, names, languages) for row in rows[(page - 1) * PAGE : page * PAGE])
    return box(
        f"<p class='tw-soft' role='status'>{len(rows):,} articles, page {page} of {pages}</p><div class='tw-scroll' "
        f"tabindex='0' role='region' aria-label='Scored articles'><table class='tw-articles'><thead><tr>{head}</tr>"
        f"</thead><tbody>{body}</tbody></table></div>"
    )


def _row(row: TableRow, names: Sequence[str], languages: list[str]) -> str:
    cells = "".join(
        f"<td class='tw-{decision}' data-label='{escaped(name)}'><span class='tw-word'>{score:.0%}</span> "
        f"{WORDS[decision]}</td>"
        for name, decision, score in zip(names, row.decisions, row.scores, strict=True)
    )  # fmt: skip
    return (
        f"<tr><td dir='auto'>{escaped(row.beginning)}</td>"
        f"<td data-label='Language'>{escaped(language_name(row.language, languages))}</td>{cells}</tr>"
    )


def plot_html(rows: Sequence[TableRow], by: str, names: Sequence[str], languages: list[str]) -> str:
    """Matches by theme, a bar for each language, or for each stretch of time in the date column ``by``."""
    groups: dict[str, list[int]] = {}
    labels = _dates(rows, by) if by else [row.language for row in rows]
    for label, row in zip(labels, rows, strict=True):
        counts = groups.setdefault(label, [0] * len(names))
        for index, decision in enumerate(row.decisions):
            counts[index] += decision == "match"
    if by:
        shown = [(label or "no date", counts) for label, counts in sorted(groups.items())]
    else:
        ordered = sorted(groups.items(), key=lambda pair: (-sum(pair[1]), pair[0]))
        shown = [(language_name(code, languages), counts) for code, counts in ordered]
    left = len(shown) - _GROUPS
    more = f"<p class='tw-soft'>and {left} more</p>" if left > 0 else ""
    caption = f"Matches by theme and {'time' if by else 'language'} (an article can match several themes)"
    return box(stacked_bars(shown[:_GROUPS], names, caption) + more)


def _dates(rows: Sequence[TableRow], column: str) -> list[str]:
    """Days, or months or years where days are too many."""
    found = [_DATE.match(row.cells.get(column, "")) for row in rows]
    labels: list[str] = []
    for depth in (3, 2, 1):
        labels = ["-".join(part.zfill(2) for part in m.groups()[:depth] if part) if m else "" for m in found]
        if len(set(labels)) <= _GROUPS:
            break
    return labels
