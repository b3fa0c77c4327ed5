"""Which themes come together, which are taken for each other, and which neighbours raise false alarms."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from training.metrics import share_interval
from training.report.scored import Scored

NONE = "none"


def cooccurrence(scored: Scored) -> dict[str, dict[str, int]]:
    """How many articles carry both themes; on the diagonal, how many carry the theme."""
    t = scored.truth.astype(int)
    together = t.T @ t
    return {a: {b: int(together[i, j]) for j, b in enumerate(scored.keys)} for i, a in enumerate(scored.keys)}


def confusion(scored: Scored) -> dict[str, dict[str, int]]:
    """Articles that carry exactly one theme, or none, by the themes that they were matched with.

    A row has ``items``, a count for each theme, and ``none`` for articles that nothing matched.
    """
    count = scored.truth.sum(axis=1)
    rows = {key: (count == 1) & scored.truth[:, k] for k, key in enumerate(scored.keys)}
    out = {}
    for key, inside in {**rows, NONE: count == 0}.items():
        said = scored.said[inside]
        matched = {other: int(said[:, k].sum()) for k, other in enumerate(scored.keys)}
        out[key] = {"items": int(inside.sum()), **matched, NONE: int((~said.any(axis=1)).sum())}
    return out


def by_kind(scored: Scored, column: str = "kind") -> dict[str, dict[str, Any]]:
    """For each value of a column of the data: false alarms, reviews and misses; empty without the column.

    ``taken_for`` counts the themes wrongly matched, most frequent first.
    """
    values = [str(item.extra.get(column) or "") for item in scored.items]
    wrong, missed = scored.said & ~scored.truth, scored.truth & ~scored.kept
    out: dict[str, dict[str, Any]] = {}
    for value in sorted(set(values) - {""}):
        rows = np.asarray([v == value for v in values])
        stories = [s for s, inside in zip(scored.stories, rows, strict=True) if inside]
        taken = Counter({key: int(wrong[rows, k].sum()) for k, key in enumerate(scored.keys)})
        out[value] = {
            "items": int(rows.sum()),
            "false_alarms": share_interval(wrong[rows].any(axis=1), stories).to_dict(),
            "to_review": round(float((scored.kept & ~scored.said)[rows].any(axis=1).mean()), 4),
            "lost": round(float(missed[rows].any(axis=1).mean()), 4),
            "taken_for": {key: n for key, n in taken.most_common() if n},
        }
    return out
