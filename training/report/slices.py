"""The same figures on parts of the data: by length, by language seen in training or not, under noise."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.classifier import ThemeClassifier
from training.comparison import Answers, compare
from training.metrics import macro_f1, micro_interval, share_interval
from training.report.drift import LENGTHS, length_band
from training.report.scored import Scored
from training.robustness import damages


def by_length(scored: Scored) -> dict[str, dict[str, Any]]:
    """By number of characters; bands without articles are left out."""
    bands = [length_band(item.article.full_text) for item in scored.items]
    return _parts(scored, bands, LENGTHS)


def by_training_language(scored: Scored, languages: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Articles in the ``languages`` of the training part, and in others."""
    names = ("in a language trained on", "in another language")
    return _parts(scored, [names[item.lang not in languages] for item in scored.items], names)


def by_windows(scored: Scored) -> dict[str, dict[str, Any]]:
    """Articles read in one window, in several, and those cut off."""
    names = ("one window", "several windows", "cut off at the limit")
    return _parts(scored, [names[2] if r.truncated else names[r.windows > 1] for r in scored.results], names)


def under_noise(classifier: ThemeClassifier, scored: Scored, sample: int, seed: int = 0) -> dict[str, Any]:
    """Macro-F1 clean and damaged, on at most ``sample`` articles, each kind of noise on its own.

    The differences are paired (``training.comparison``): the same articles, with and without the noise.
    """
    order = list(range(len(scored.items)))
    random.Random(seed).shuffle(order)
    rows = sorted(order[:sample])
    items = [scored.items[i] for i in rows]
    clean = Answers(scored.keys, scored.said[rows], scored.scores[rows], scored.answers.decisions[rows])
    kinds, themed = {}, any(item.themes for item in items)
    for name, damage in damages(items).items():
        changed = []
        for item in items:
            article = damage(item.article, item.lang, random.Random(f"{seed}:{name}:{item.id}"))
            changed.append(replace(item, text=article.text, title=article.title))
        change = compare(items, clean, Answers.of(classifier, changed))
        alarms = change.false_alarms
        kinds[name] = {
            "macro_f1": change.macro_f1.to_dict() if themed else None,
            "false_alarms": alarms.to_dict() if alarms else None,
        }  # fmt: skip
    return {"items": len(items), "kinds": kinds}


def _parts(scored: Scored, values: Sequence[str], order: Sequence[str]) -> dict[str, dict[str, Any]]:
    parts = {name: np.asarray([value == name for value in values]) for name in order}
    return {name: part_figures(scored, rows) for name, rows in parts.items() if rows.any()}


def part_figures(scored: Scored, rows: NDArray[np.bool_]) -> dict[str, Any]:
    """Macro- and micro-F1, recall down to the review band, and false alarms of some articles."""
    truth, said, kept = scored.truth[rows], scored.said[rows], scored.kept[rows]
    stories = [s for s, inside in zip(scored.stories, rows, strict=True) if inside]
    carried = np.flatnonzero(truth.any(axis=0)).tolist()
    free = truth.sum(axis=1) == 0
    free_stories = [s for s, inside in zip(stories, free, strict=True) if inside]
    return {
        "items": int(rows.sum()),
        "macro_f1": macro_f1(truth, said, stories, carried).to_dict() if carried else None,
        "micro_f1": micro_interval(truth, said, stories).to_dict(),
        "recall_at_review": round(float((truth & kept).sum() / truth.sum()), 4) if truth.any() else None,
        "theme_free": int(free.sum()),
        "false_alarms": share_interval(said[free].any(axis=1), free_stories).to_dict() if free.any() else None,
    }
