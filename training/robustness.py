"""The same test articles, damaged as pages are: what each kind of noise costs."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from model.classifier import ThemeClassifier
from model.text import Article
from training.data import Item
from training.noise import Noise, capitals, ocr_errors, strip_diacritics
from training.table import evaluate_items

Damage = Callable[[Article, str, random.Random], Article]


def damages(items: Sequence[Item]) -> dict[str, Damage]:
    """Each kind of noise; headlines are those of ``items`` themselves, never trained on."""
    noise = Noise.load([(i.lang, i.title) for i in items if i.themes], "test")
    return {
        "sidebar headlines of other articles": noise.sidebar,
        "cookie and page text": noise.page,
        "missing diacritics": lambda a, _language, _rng: strip_diacritics(a),
        "capitals": lambda a, _language, _rng: capitals(a),
        "OCR errors (2 % of letters)": lambda a, _language, rng: ocr_errors(a, rng),
    }


def robustness(classifier: ThemeClassifier, items: Sequence[Item], seed: int = 0) -> dict[str, dict[str, Any]]:
    """Figures of ``evaluate_items`` under each kind of noise, and ``clean``."""
    out = {"clean": evaluate_items(classifier, items)}
    for name, damage in damages(items).items():
        changed = []
        for item in items:
            article = damage(item.article, item.lang, random.Random(f"{seed}:{name}:{item.id}"))
            changed.append(Item(item.id, article.text, item.themes, article.title, item.lang, item.story))
        out[name] = evaluate_items(classifier, changed)
    return out
