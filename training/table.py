"""Evaluation of a served classifier on labelled items: figures by theme and language, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.classifier import ThemeClassifier
from model.decisions import Decision
from model.result import Result
from training.data import Item
from training.metrics import (
    by_theme,
    calibration_error,
    counts,
    f1,
    macro_f1,
    micro_f1,
    micro_interval,
    score_counts,
    story_weights,
)

_BATCH = 64  # articles a call


def truth_table(items: Sequence[Item], keys: Sequence[str]) -> NDArray[np.bool_]:
    """bool ``[items, themes]``."""
    return np.asarray([[key in item.themes for key in keys] for item in items], dtype=bool)


def predict_items(classifier: ThemeClassifier, items: Sequence[Item]) -> list[Result]:
    """The served answer for every item, without evidence."""
    results: list[Result] = []
    for start in range(0, len(items), _BATCH):
        chunk = [item.article for item in items[start : start + _BATCH]]
        results += classifier.predict(chunk, explain=False)
    return results


def evaluate_items(classifier: ThemeClassifier, items: Sequence[Item]) -> dict[str, Any]:
    """The figures of one data set (see ``result_figures``)."""
    return result_figures(items, predict_items(classifier, items), classifier.artifact.taxonomy.keys)


def result_figures(items: Sequence[Item], results: Sequence[Result], keys: Sequence[str]) -> dict[str, Any]:
    """``figures`` of a model's answers, and its calibration, recall down to the review band, and score counts."""
    said = np.asarray([[r.decisions[k] is Decision.MATCH for k in keys] for r in results])
    kept = np.asarray([[r.decisions[k] is not Decision.NONE for k in keys] for r in results])
    scores = np.asarray([[r.scores[k] for k in keys] for r in results])
    out = figures(items, keys, said, scores)
    truth = truth_table(items, keys)
    out["calibration_error"] = round(calibration_error(truth, scores), 4)
    wanted = truth.sum()
    out["recall_at_review"] = round(float((truth & kept).sum() / wanted), 4) if wanted else None
    out["scores"] = score_counts(scores, keys)
    return out


def figures(
    items: Sequence[Item], keys: Sequence[str], said: NDArray[np.bool_], scores: NDArray[np.float64]
) -> dict[str, Any]:
    """Macro-F1, and by theme precision, recall, F1 and average precision, by language
    macro-F1 and micro-F1 (``interval`` is the latter's).

    Macro-F1 counts the themes that occur in ``items``. Any model or baseline can be measured by it:

    Args:
        said: bool ``[items, themes]``, the decisions.
        scores: float ``[items, themes]``, whatever ranks them.
    """
    truth = truth_table(items, keys)
    stories = [item.story for item in items]
    weights = story_weights(stories)
    occurring = [k for k in range(len(keys)) if truth[:, k].any()]
    languages = {}
    for language in sorted({item.lang for item in items}):
        rows = np.asarray([item.lang == language for item in items])
        here = [k for k in range(len(keys)) if truth[rows][:, k].any()]
        per_theme = f1(*counts(truth[rows][:, here], said[rows][:, here]))
        languages[language] = {
            "items": int(rows.sum()),
            "macro_f1": round(float(per_theme.mean()), 4) if here else None,
            "micro_f1": round(micro_f1(truth[rows], said[rows]), 4),
            "interval": micro_interval(truth[rows], said[rows], stories, weights[:, rows]).to_dict(),
            "false_alarms": int((said[rows] & ~truth[rows]).any(axis=1).sum()),
        }
    return {
        "items": len(items),
        "macro_f1": macro_f1(truth, said, stories, occurring).to_dict() if occurring else None,
        "themes": by_theme(truth, said, scores, stories, keys),
        "languages": languages,
    }
