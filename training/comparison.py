"""Two models on the same articles: differences with 95 % intervals, by paired bootstrap over stories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.classifier import ThemeClassifier
from model.decisions import Decision
from training.data import Item
from training.metrics import Bools, Floats, Interval, calibration_error, counts, f1, story_weights
from training.table import predict_items, truth_table

LEAST = 20  # articles of a language below which it is not judged alone
Figure = Callable[[Bools, Bools, "NDArray[Any] | None"], Floats]  # truth, said, weights to one value a draw


@dataclass(frozen=True)
class Answers:
    """What a model says on some articles; tables are ``[articles, themes]``."""

    keys: tuple[str, ...]
    said: Bools  # matches
    scores: Floats
    decisions: NDArray[np.str_]

    @classmethod
    def of(cls, classifier: ThemeClassifier, items: Sequence[Item]) -> Answers:
        keys = classifier.artifact.taxonomy.keys
        results = predict_items(classifier, items)
        decisions = np.asarray([[str(r.decisions[k]) for k in keys] for r in results])
        scores = np.asarray([[r.scores[k] for k in keys] for r in results], dtype=float)
        return cls(keys, decisions == str(Decision.MATCH), scores, decisions)


@dataclass(frozen=True)
class Change:
    """A figure of the old and the new model, and the new less the old with its interval."""

    old: float
    new: float
    difference: Interval

    def __str__(self) -> str:
        low, high = self.difference.low, self.difference.high
        return f"{self.old:.3f} → {self.new:.3f} ({self.difference.value:+.3f} [{low:+.3f}, {high:+.3f}])"

    def to_dict(self) -> dict[str, Any]:
        return {"old": round(self.old, 4), "new": round(self.new, 4), "difference": self.difference.to_dict()}


@dataclass(frozen=True)
class Comparison:
    """The figures a promotion is decided on; themes are those that both models know and the articles carry."""

    items: int
    macro_f1: Change
    themes: dict[str, Change]  # F1
    languages: dict[str, Change]  # micro-F1, of languages with enough articles
    calibration_error: tuple[float, float]  # old, new
    false_alarms: Change | None  # share of theme-free articles with a match; None: there are none such
    lost: tuple[str, ...]  # themes that only the old model knows

    def to_dict(self) -> dict[str, Any]:
        return {
            "items": self.items, "macro_f1": self.macro_f1.to_dict(),
            "themes": {key: change.to_dict() for key, change in self.themes.items()},
            "languages": {key: change.to_dict() for key, change in self.languages.items()},
            "calibration_error": [round(error, 4) for error in self.calibration_error],
            "false_alarms": self.false_alarms.to_dict() if self.false_alarms else None,
            "lost": list(self.lost),
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The comparison for a terminal."""
        out = [f"{self.items} articles; old → new (difference [95 % interval])", f"macro-F1: {self.macro_f1}"]
        out += [f"theme {key}: F1 {change}" for key, change in self.themes.items()]
        out += [f"language {key}: micro-F1 {change}" for key, change in self.languages.items()]
        out.append("calibration error: {:.3f} → {:.3f}".format(*self.calibration_error))
        out += [f"false alarms on theme-free articles: {self.false_alarms}"] if self.false_alarms else []
        return out


def compare(items: Sequence[Item], old: Answers, new: Answers) -> Comparison:
    """Compare two models' answers on the same ``items``."""
    keys = [key for key in old.keys if key in new.keys]
    truth = truth_table(items, keys)
    pairs = [a.said[:, [a.keys.index(k) for k in keys]] for a in (old, new)]
    scores = [a.scores[:, [a.keys.index(k) for k in keys]] for a in (old, new)]
    weights = story_weights([item.story for item in items])
    carried = [k for k in range(len(keys)) if truth[:, k].any()]

    def change(figure: Figure, rows: Any = slice(None), columns: Any = slice(None)) -> Change:
        t, w = truth[rows][:, columns], weights[:, rows]
        told = [said[rows][:, columns] for said in pairs]
        exact = [float(figure(t, s, None)[0]) for s in told]
        drawn = figure(t, told[1], w) - figure(t, told[0], w)
        low, high = np.percentile(drawn, [2.5, 97.5])
        return Change(exact[0], exact[1], Interval(exact[1] - exact[0], float(low), float(high)))

    languages = {}
    for language in sorted({item.lang for item in items}):
        rows = np.asarray([item.lang == language for item in items])
        if rows.sum() >= LEAST:
            languages[language] = change(_micro, rows)
    free = np.asarray([not item.themes for item in items])
    return Comparison(
        items=len(items),
        macro_f1=change(_macro, columns=carried or slice(None)),  # no theme carried: alarms alone count
        themes={keys[k]: change(_macro, columns=[k]) for k in carried},
        languages=languages,
        calibration_error=(calibration_error(truth, scores[0]), calibration_error(truth, scores[1])),
        false_alarms=change(_alarms, free) if free.any() else None,
        lost=tuple(key for key in old.keys if key not in new.keys),
    )


def disagreement(one: Answers, other: Answers) -> float:
    """The share, 0 to 1, of (article, theme) pairs on which two engines of a model decide differently."""
    return float((one.decisions != other.decisions).mean())


def _macro(truth: Bools, said: Bools, weights: NDArray[Any] | None) -> Floats:
    mean: Floats = f1(*counts(truth, said, weights)).mean(axis=1)
    return mean


def _micro(truth: Bools, said: Bools, weights: NDArray[Any] | None) -> Floats:
    tp, fp, fn = (c.sum(axis=1) for c in counts(truth, said, weights))
    return f1(tp, fp, fn)


def _alarms(_truth: Bools, said: Bools, weights: NDArray[Any] | None) -> Floats:
    w = np.ones((1, len(said))) if weights is None else weights.astype(float)
    share: Floats = (w @ said.any(axis=1)) / np.maximum(w.sum(axis=1), 1e-9)
    return share
