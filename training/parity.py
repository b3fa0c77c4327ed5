"""The parity gate: the lowest precision whose decisions are still those of the exact network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from model.artifact import Artifact
from model.cache import progress
from model.classifier import ThemeClassifier
from model.engines import FAST_ENGINES
from model.errors import EngineError, MissingExtraError
from model.layout import LAYOUT
from training.comparison import LEAST, Answers, disagreement
from training.data import Item
from training.metrics import counts, f1
from training.table import truth_table

MOST_DIFFERENT = 0.005  # share of (article, theme) decisions
MOST_LOST = 0.01  # macro-F1 in any language


def choose_precision(artifact: Artifact, items: Sequence[Item]) -> tuple[str, dict[str, Any]]:
    """The precision an artifact is released at, and what each candidate measured on ``items``.

    Candidates are tried from the fastest; ``fp32`` needs no trial. A library that is missing here,
    or a processor without the instructions, leaves its candidate out.
    """
    tried: dict[str, Any] = {}
    if not items or not (artifact.folder / LAYOUT.graph).is_file():
        return "fp32", tried
    exact: Answers | None = None
    for precision, name in FAST_ENGINES.items():
        try:
            fast = ThemeClassifier.load(artifact.folder, name)
        except (EngineError, MissingExtraError) as error:
            progress(f"{name} left out: {error}")
            continue
        exact = exact or Answers.of(ThemeClassifier.load(artifact.folder, "torch"), items)
        answers = Answers.of(fast, items)
        different, lost = disagreement(exact, answers), _most_lost(items, exact, answers)
        passed = different <= MOST_DIFFERENT and lost[0] <= MOST_LOST
        tried[name] = {
            "decisions_that_differ": round(different, 5), "most_lost_macro_f1": round(lost[0], 4),
            "language": lost[1], "articles": len(items), "passed": passed,
        }  # fmt: skip
        if passed:
            return precision, tried
    return "fp32", tried


def _most_lost(items: Sequence[Item], exact: Answers, fast: Answers) -> tuple[float, str]:
    """The largest fall of macro-F1 in a language with enough articles, and that language."""
    truth = truth_table(items, exact.keys)
    worst = (0.0, "")
    for language in sorted({item.lang for item in items}):
        rows = np.asarray([item.lang == language for item in items])
        columns = truth[rows].any(axis=0)
        if rows.sum() < LEAST or not columns.any():
            continue
        old, new = (float(f1(*counts(truth[rows][:, columns], a.said[rows][:, columns], None)).mean())
                    for a in (exact, fast))  # fmt: skip
        worst = max(worst, (old - new, language))
    return worst
