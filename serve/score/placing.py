"""A chunk's rows and what scoring says of them, brought together: the same for every engine of ``score``."""

from __future__ import annotations

from collections.abc import Sequence

from model.text import Article
from serve.score.chunks import Chunk
from serve.score.duplicates import Duplicates, Placement
from serve.score.scorer import Outcome


def place(chunk: Chunk, duplicates: Duplicates) -> tuple[list[Placement], list[Article]]:
    """Where each readable row's outcome comes from, and the articles to score for it, in order."""
    placements = [duplicates.place(row.title, row.text) for row in chunk.rows]
    fresh = [row for row, placed in zip(chunk.rows, placements, strict=True) if placed.fresh]
    return placements, [Article(row.text, row.title, row.id) for row in fresh]


def fill(placements: Sequence[Placement], outcomes: Sequence[Outcome]) -> None:
    """Put the outcomes of the articles that ``place`` gave where all rows find them."""
    slots = [placed.slot for placed in placements if placed.fresh]
    for slot, outcome in zip(slots, outcomes, strict=True):
        slot.outcome = outcome
