"""Multi-label metrics with bootstrap intervals over stories (Efron 1979; percentile method)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
DRAWS = 1000


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def to_dict(self) -> dict[str, float]:
        return {key: round(value, 4) for key, value in asdict(self).items()}


def story_weights(stories: Sequence[str], draws: int = DRAWS, seed: int = 0) -> NDArray[np.int64]:
    """How often each item is drawn in each bootstrap sample of whole stories: ``[draws, items]``."""
    _, index = np.unique(np.asarray(stories), return_inverse=True)
    count = int(index.max()) + 1
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=draws)
    return drawn[:, index]


def counts(truth: Bools, said: Bools, weights: NDArray[Any] | None = None) -> tuple[Floats, Floats, Floats]:
    """True positives, false positives, false negatives by theme, over the last axis but one.

    Args:
        truth, said: bool ``[items, themes]``.
        weights: ``[draws, items]``, or None for each item once.
    """
    w = np.ones((1, len(truth))) if weights is None else weights.astype(float)
    return w @ (truth & said), w @ (~truth & said), w @ (truth & ~said)


def f1(tp: Floats, fp: Floats, fn: Floats) -> Floats:
    """F1, 1 where there was nothing to find and nothing was found."""
    denominator = 2 * tp + fp + fn
    return np.where(denominator > 0, 2 * tp / np.maximum(denominator, 1e-9), 1.0)


def macro_f1(truth: Bools, said: Bools, stories: Sequence[str], themes: Sequence[int] | None = None) -> Interval:
    """Mean F1 over themes (``themes``: only these columns)."""
    columns = list(range(truth.shape[1])) if themes is None else list(themes)
    t, s = truth[:, columns], said[:, columns]
    value = float(f1(*counts(t, s)).mean())
    drawn = f1(*counts(t, s, story_weights(stories))).mean(axis=1)
    return Interval(value, *np.percentile(drawn, [2.5, 97.5]).tolist())


def micro_f1(truth: Bools, said: Bools) -> float:
    """F1 over all (item, theme) pairs."""
    tp, fp, fn = (c.sum() for c in counts(truth, said))
    return float(f1(np.asarray(tp), np.asarray(fp), np.asarray(fn)))


def micro_interval(truth: Bools, said: Bools, stories: Sequence[str], weights: NDArray[Any] | None = None) -> Interval:
    """``micro_f1`` with its interval; ``weights``: the draws, where they are made already."""
    drawn = f1(*(c.sum(axis=1) for c in counts(truth, said, story_weights(stories) if weights is None else weights)))
    return Interval(micro_f1(truth, said), *np.percentile(drawn, [2.5, 97.5]).tolist())


def share_interval(hits: Bools, stories: Sequence[str]) -> Interval:
    """The share of items that ``hits`` (bool ``[items]``) is true of; there must be an item."""
    weights = story_weights(stories).astype(float)
    drawn = (weights @ hits) / weights.sum(axis=1)
    return Interval(float(hits.mean()), *np.percentile(drawn, [2.5, 97.5]).tolist())


def by_theme(
    truth: Bools, said: Bools, scores: Floats, stories: Sequence[str], keys: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Precision, recall, F1 with intervals, and average precision, by theme."""
    from sklearn.metrics import average_precision_score

    weights = story_weights(stories)
    exact, drawn = counts(truth, said), counts(truth, said, weights)
    out: dict[str, dict[str, Any]] = {}
    for k, key in enumerate(keys):
        row: dict[str, Any] = {"items": int(truth[:, k].sum())}
        for name, figure in (("precision", _precision), ("recall", _recall), ("f1", f1)):
            value = float(figure(*(c[0, k] for c in exact)))
            low, high = np.percentile(figure(*(c[:, k] for c in drawn)), [2.5, 97.5])
            row[name] = Interval(value, float(low), float(high)).to_dict()
        both = 0 < truth[:, k].sum() < len(truth)
        ap = float(average_precision_score(truth[:, k], scores[:, k])) if both else float("nan")
        row["average_precision"] = round(ap, 4) if both else None
        out[key] = row
    return out


def _precision(tp: Floats, fp: Floats, _fn: Floats) -> Floats:
    return np.where(tp + fp > 0, tp / np.maximum(tp + fp, 1e-9), 1.0)


def _recall(tp: Floats, _fp: Floats, fn: Floats) -> Floats:
    return np.where(tp + fn > 0, tp / np.maximum(tp + fn, 1e-9), 1.0)


def calibration_error(truth: Bools, scores: Floats, bins: int = 10) -> float:
    """Expected calibration error (Naeini et al. 2015), equal-width bins, all pairs together."""
    p, y = scores.ravel(), truth.ravel()
    index = np.minimum((p * bins).astype(int), bins - 1)
    error = 0.0
    for b in range(bins):
        inside = index == b
        if inside.any():
            error += inside.mean() * abs(float(p[inside].mean()) - float(y[inside].mean()))
    return float(error)


def score_counts(scores: Floats, keys: Sequence[str]) -> dict[str, list[int]]:
    """For each theme, how many scores ``[articles, themes]`` fall into each tenth of the range."""
    index = np.minimum((scores * 10).astype(int), 9)
    return {key: np.bincount(index[:, k], minlength=10).tolist() for k, key in enumerate(keys)}
