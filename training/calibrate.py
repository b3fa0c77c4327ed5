"""Calibration, thresholds and review bands, fitted on validation data only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from model.decisions import Decisions, ThemeDecision

RECALL_AT_REVIEW = 0.98  # the review band starts where this share of the expected positives is still inside
FLOOR = 0.03  # nothing less likely than this is worth a person's time
CEILING = 0.1  # what is at least this likely is worth it, however surely a theme is found in the tidier written texts
PRECISION_AT_MATCH = 0.93  # so many of the matches should be right, by their calibrated probabilities


FEW = 20  # of the rarer answer: below, thresholds lean on a prior


def fit_decisions(
    logits: NDArray[np.float64],
    truth: NDArray[np.bool_],
    keys: tuple[str, ...],
    mask: NDArray[np.bool_] | None = None,
    kept: Mapping[str, ThemeDecision] | None = None,
) -> Decisions:
    """Platt scaling, the F1-best threshold, and a band around it, for every theme.

    With few articles of either kind, Platt's smoothed targets keep the slope finite, and threshold and
    band are drawn towards 0.5 and a wide band: what is not known goes to review.

    Args:
        logits: ``[items, themes]`` of validation articles, as the served model gives them.
        truth: bool ``[items, themes]``.
        mask: bool ``[items, themes]``, which pairs are labelled; default: all.
        kept: themes whose decision stays as it was.
    """
    known = np.ones_like(truth) if mask is None else mask
    fitted = {key: _fit(logits[known[:, k], k], truth[known[:, k], k]) for k, key in enumerate(keys)}
    return Decisions({key: (kept or {}).get(key, fitted[key]) for key in keys})


def _fit(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> ThemeDecision:
    from sklearn.linear_model import LogisticRegression

    positives = int(truth.sum())
    rarer = min(positives, len(truth) - positives)
    if rarer == 0:  # nothing to tell apart: the bare score, and whatever is not clear goes to review
        return ThemeDecision(1.0, 0.0, 0.5, 0.2, 0.8)
    x, y, weights = logits[:, None], truth, np.ones(len(truth))
    if rarer < FEW:  # each article as a little of its opposite: targets (n+ + 1) / (n+ + 2) and 1 / (n- + 2)
        doubt = np.where(truth, 1 / (positives + 2), 1 / (len(truth) - positives + 2))
        x, y, weights = np.concatenate([x, x]), np.concatenate([y, ~y]), np.concatenate([1 - doubt, doubt])
    scale = LogisticRegression(C=1.0).fit(x, y, sample_weight=weights)
    slope, intercept = float(scale.coef_[0, 0]), float(scale.intercept_[0])
    if slope <= 0:  # worse than chance: do not turn scores upside down
        slope, intercept = 1.0, 0.0
    p = 1 / (1 + np.exp(-(slope * logits + intercept)))
    threshold = _best_threshold(p)
    lower, upper = _with_recall(p, threshold), _with_precision(p, threshold)
    if rarer < FEW:
        trust = rarer / (rarer + FEW / 2)
        threshold = trust * threshold + (1 - trust) * 0.5
        lower = min(lower, 0.25, threshold)
        upper = max(trust * upper + (1 - trust) * 0.8, threshold)
    return ThemeDecision(slope, intercept, threshold, lower, upper)


def _best_threshold(p: NDArray[np.float64]) -> float:
    """Half the best F1 that calibrated probabilities promise: the F1-best cut (Lipton, Elkan & Naryanaswamy 2014).

    Expected counts instead of counted ones: a single validation article does not move it.
    """
    ranked = np.sort(p)[::-1]
    hits = np.cumsum(ranked)  # expected true positives when the first n are said
    best = float((2 * hits / (np.arange(1, len(p) + 1) + hits[-1])).max())
    return float(np.clip(best / 2, 0.2, 0.5))


def _with_recall(p: NDArray[np.float64], threshold: float) -> float:
    """The highest lower edge that promises the wanted recall, between ``FLOOR`` and ``CEILING``.

    Expected counts here too: the lowest of some hundred positives says little, and the epoch was chosen on them.
    """
    ranked = np.sort(p)
    missed = np.cumsum(ranked) / ranked.sum()  # of the expected positives, were the edge above this article
    edge = float(ranked[np.searchsorted(missed, 1 - RECALL_AT_REVIEW)])
    return float(min(max(edge, FLOOR), CEILING, threshold))


def _with_precision(p: NDArray[np.float64], threshold: float) -> float:
    """The lowest upper edge, from the threshold up, whose matches promise the wanted precision (0.95 at most)."""
    ranked = np.sort(p)[::-1]
    promised = np.cumsum(ranked) / np.arange(1, len(p) + 1)  # falls with every further article said
    enough = ranked[promised >= PRECISION_AT_MATCH]
    return float(min(max(threshold, enough[-1] if len(enough) else 0.95), 0.95))
