"""Two models on the same articles: differences with 95 % intervals, by paired bootstrap over stories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.classifier import ThemeClassifier
from model.decisions import Decision
from training.chance import Figure, chance_of
from training.data import Item
from training.labels import label_mask
from training.metrics import Bools, Floats, Interval, calibration_error, counts, f1, story_weights
from training.table import predict_items, truth_table

LEAST = 20  # articles of a language, or carrying a theme, below which it is not judged alone
_BINS = 10  # of scores, as in ``training.metrics.calibration_error``


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
    """A figure of the old and the new model, and the new less the old with its interval.

    ``chance``, 0 to 1: how probable so large a change for the worse is if both are equally good.
    """

    old: float
    new: float
    difference: Interval
    chance: float

    def __str__(self) -> str:
        low, high = self.difference.low, self.difference.high
        return f"{self.old:.3f} → {self.new:.3f} ({self.difference.value:+.3f} [{low:+.3f}, {high:+.3f}])"

    def to_dict(self) -> dict[str, Any]:
        return {
            "old": round(self.old, 4), "new": round(self.new, 4), "difference": self.difference.to_dict(),
            "chance": round(self.chance, 5),
        }  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """The figures a promotion is decided on; themes are those that both models know and the articles carry."""

    items: int
    macro_f1: Change
    themes: dict[str, Change]  # F1
    languages: dict[str, Change]  # micro-F1, of languages with enough articles
    calibration_error: tuple[float, float]  # old, new
    calibration_change: Interval
    false_alarms: Change | None  # share of theme-free articles with a match; None: there are none such
    lost: tuple[str, ...]  # themes that only the old model knows
    few: tuple[str, ...]  # themes and languages with too few articles to judge alone

    def to_dict(self) -> dict[str, Any]:
        return {
            "items": self.items, "macro_f1": self.macro_f1.to_dict(),
            "themes": {key: change.to_dict() for key, change in self.themes.items()},
            "languages": {key: change.to_dict() for key, change in self.languages.items()},
            "calibration_error": [round(error, 4) for error in self.calibration_error],
            "calibration_change": self.calibration_change.to_dict(),
            "false_alarms": self.false_alarms.to_dict() if self.false_alarms else None,
            "lost": list(self.lost), "few": list(self.few),
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The comparison for a terminal."""
        out = [f"{self.items} articles; old → new (difference [95 % interval])", f"macro-F1: {self.macro_f1}"]
        out += [f"theme {key}: F1 {change}" for key, change in self.themes.items()]
        out += [f"language {key}: micro-F1 {change}" for key, change in self.languages.items()]
        out.append("calibration error: {:.3f} → {:.3f}".format(*self.calibration_error))
        out += [f"false alarms on theme-free articles: {self.false_alarms}"] if self.false_alarms else []
        out += [f"fewer than {LEAST} articles, too few to judge alone: {', '.join(self.few)}"] if self.few else []
        return out


def compare(items: Sequence[Item], old: Answers, new: Answers) -> Comparison:
    """Compare two models' answers on the same ``items``; pairs that nobody labelled count neither way."""
    keys = [key for key in old.keys if key in new.keys]
    mask = label_mask(items, keys)
    truth = truth_table(items, keys) & mask
    said = [a.said[:, [a.keys.index(k) for k in keys]] & mask for a in (old, new)]
    scores = [a.scores[:, [a.keys.index(k) for k in keys]] for a in (old, new)]
    stories = np.asarray([item.story for item in items])
    weights = story_weights(stories.tolist())
    carried = [k for k in range(len(keys)) if truth[:, k].any()]

    def change(figure: Figure, rows: Any = slice(None), columns: Any = slice(None)) -> Change:
        told = [s[rows][:, columns] for s in said]
        return _change(figure, truth[rows][:, columns], told, stories[rows].tolist(), weights[:, rows])

    languages, few = {}, [keys[k] for k in carried if truth[:, k].sum() < LEAST]
    for language in sorted({item.lang for item in items}):
        rows = np.asarray([item.lang == language for item in items])
        if rows.sum() >= LEAST:
            languages[language] = change(_micro, rows)
        else:
            few.append(language or "no language told")
    free = np.asarray([not item.themes for item in items]) & mask.all(axis=1)
    quiet = [
        np.logical_not(s[free].any(axis=1, keepdims=True)) for s in said
    ]  # "found" of articles that should be left in peace
    drawn = _calibration(truth, scores[1], mask, weights) - _calibration(truth, scores[0], mask, weights)
    errors = [calibration_error(truth[mask], s[mask]) for s in scores]
    return Comparison(
        items=len(items),
        macro_f1=change(_macro, columns=carried or slice(None)),  # no theme carried: alarms alone count
        themes={keys[k]: change(_macro, columns=[k]) for k in carried},
        languages=languages,
        calibration_error=(errors[0], errors[1]),
        calibration_change=Interval(errors[1] - errors[0], *np.percentile(drawn, [2.5, 97.5]).tolist()),
        false_alarms=_change(_missed, np.ones_like(quiet[0]), quiet, stories[free].tolist(), weights[:, free], 1)
        if free.any() else None,
        lost=tuple(key for key in old.keys if key not in new.keys),
        few=tuple(few),
    )  # fmt: skip


def disagreement(one: Answers, other: Answers) -> float:
    """The share, 0 to 1, of (article, theme) pairs on which two engines of a model decide differently."""
    return float((one.decisions != other.decisions).mean())


def _change(
    figure: Figure, truth: Bools, said: Sequence[Bools], stories: Sequence[str], weights: NDArray[Any], sign: int = -1
) -> Change:
    """``said``: of the old and the new model; ``sign``: 1 where more is worse."""
    old, new = (float(figure(*counts(truth, s))[0]) for s in said)
    drawn = figure(*counts(truth, said[1], weights)) - figure(*counts(truth, said[0], weights))
    low, high = np.percentile(drawn, [2.5, 97.5])
    chance = chance_of(figure, truth, said[0], said[1], stories, sign)
    return Change(old, new, Interval(new - old, float(low), float(high)), chance)


def _macro(tp: Floats, fp: Floats, fn: Floats) -> Floats:
    mean: Floats = f1(tp, fp, fn).mean(axis=1)
    return mean


def _micro(tp: Floats, fp: Floats, fn: Floats) -> Floats:
    return f1(tp.sum(axis=1), fp.sum(axis=1), fn.sum(axis=1))


def _missed(tp: Floats, _fp: Floats, fn: Floats) -> Floats:
    share: Floats = fn.sum(axis=1) / np.maximum((tp + fn).sum(axis=1), 1e-9)
    return share


def _calibration(truth: Bools, scores: Floats, mask: Bools, weights: NDArray[Any]) -> Floats:
    """Expected calibration error of each draw of articles."""
    place = np.minimum((scores * _BINS).astype(int), _BINS - 1)
    gaps = [np.where(mask & (place == b), scores - truth, 0.0).sum(axis=1) for b in range(_BINS)]
    w = weights.astype(float)
    error: Floats = np.abs(w @ np.stack(gaps, axis=1)).sum(axis=1) / np.maximum(w @ mask.sum(axis=1), 1e-9)
    return error
