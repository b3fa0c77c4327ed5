"""What to label next: articles the model is unsure of, unlike one another, from all languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.classifier import ThemeClassifier
from model.decisions import Decision, Decisions
from model.result import Result
from training.data import Item
from training.rows import Row
from training.splits import SIMILAR, sketch
from training.table import predict_items

_LIKENESS, _SPREAD = 0.4, 0.3  # weights beside an uncertainty of 0 to 1
_REACH = 0.25  # distance of two articles' scores at which they count as unlike


@dataclass(frozen=True)
class Choice:
    """An article worth labelling, and why."""

    item: Item
    result: Result
    reason: str

    def row(self) -> Row:
        """The article as a row to label: no themes yet."""
        item = self.item
        about = {"id": item.id, "story": item.story, "lang": item.lang or self.result.language, "title": item.title}
        scores = {key: round(score, 4) for key, score in self.result.scores.items()}
        return {**about, "text": item.text, **item.extra, "scores": scores, "reason": self.reason}


def choose(classifier: ThemeClassifier, pool: Sequence[Item], count: int, known: Sequence[Item] = ()) -> list[Choice]:
    """Up to ``count`` articles of ``pool``, most useful first.

    Greedy (maximal marginal relevance, Carbonell & Goldstein 1998): each step takes the article with
    the highest uncertainty less its likeness to those taken, less what its language has had already.
    Near-duplicates of one another, and of ``known`` (labelled already), are never taken.
    """
    results = predict_items(classifier, pool)
    doubts = [doubt(result, classifier.artifact.decisions) for result in results]
    scores = np.asarray([list(result.scores.values()) for result in results]).reshape(len(pool), -1)
    languages = [item.lang or result.language for item, result in zip(pool, results, strict=True)]
    sketches = np.asarray([sketch(item.text).hashvalues for item in pool]).reshape(len(pool), -1)
    open_ = np.ones(len(pool), dtype=bool)
    for item in known:
        open_ &= likeness(sketches, sketch(item.text).hashvalues) < SIMILAR
    quotas, had = shares(Counter(languages), count), Counter[str]()
    nearest = np.zeros(len(pool))  # likeness to the most alike article taken
    chosen: list[Choice] = []
    while open_.any() and len(chosen) < count:
        spent = np.asarray([had[lang] / quotas[lang] for lang in languages])
        value = np.asarray([amount for amount, _ in doubts]) - _LIKENESS * nearest - _SPREAD * spent
        best = int(np.where(open_, value, -np.inf).argmax())
        had[languages[best]] += 1
        alike = f"{nearest[best]:.0%} like the nearest article before it" if chosen else "the first article"
        reason = f"{doubts[best][1]}; {alike}; {languages[best]} article {had[languages[best]]}"
        chosen.append(Choice(pool[best], results[best], reason))
        text = likeness(sketches, sketches[best])
        said = np.exp(-np.square(np.linalg.norm(scores - scores[best], axis=1) / _REACH))
        nearest = np.maximum(nearest, (text + said) / 2)
        open_ &= text < SIMILAR
        open_[best] = False
    return chosen


def doubt(result: Result, decisions: Decisions) -> tuple[float, str]:
    """How unsure the model is, 0 to 1, of the theme it is least sure of, and that in words.

    From 0.5 on a score lies inside the theme's review band (1 at its threshold); below, it falls to
    0 with the distance from the band.
    """
    best, words = -1.0, ""
    for key, p in result.scores.items():
        rule = decisions.themes[key]
        decision = rule.decide(p)
        if decision is Decision.REVIEW:
            edge = rule.lower if p < rule.threshold else rule.upper
            width = abs(rule.threshold - edge)
            amount, place = 1 - 0.5 * (abs(p - rule.threshold) / width if width else 0.0), "in the review band"
        elif decision is Decision.NONE:
            amount, place = 0.5 * p / rule.lower, "below the review band"
        else:
            amount, place = 0.5 * (1 - p) / max(1 - rule.upper, 1e-9), "above the review band"
        if amount > best:
            best, words = amount, f"{key} {p:.0%} is {place} ({rule.lower:.0%} to {rule.upper:.0%})"
    return best, words


def shares(languages: Mapping[str, int], count: int) -> dict[str, int]:
    """Equal shares of ``count`` for all languages; what a small language cannot use goes to the others."""
    out: dict[str, int] = {}
    rest = count
    for done, (language, size) in enumerate(sorted(languages.items(), key=lambda pair: (pair[1], pair[0]))):
        out[language] = max(1, min(size, rest // (len(languages) - done)))
        rest = max(0, rest - out[language])
    return out


def likeness(sketches: NDArray[np.uint64], one: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Estimated share of 5-grams, 0 to 1, that each text has in common with one text (Jaccard)."""
    return np.asarray((sketches == one).mean(axis=1), dtype=np.float64)
