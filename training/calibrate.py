"""Calibration, thresholds and review bands, fitted on validation data only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.decisions import Decisions, ThemeDecision
from training.metrics import f1

RECALL_AT_REVIEW = 0.99  # the review band starts where this share of positives is still inside
PRECISION_AT_MATCH = 0.95  # a match should be right this often on validation data


def fit_decisions(logits: NDArray[np.float64], truth: NDArray[np.bool_], keys: tuple[str, ...]) -> Decisions:
    """Platt scaling, the F1-best threshold, and a band around it, for every theme.

    Args:
        logits: ``[items, themes]`` of validation articles, as the served model gives them.
        truth: bool ``[items, themes]``.
    """
    return Decisions({key: _fit(logits[:, k], truth[:, k]) for k, key in enumerate(keys)})


def _fit(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> ThemeDecision:
    from sklearn.linear_model import LogisticRegression

    if truth.all() or not truth.any():
        return ThemeDecision(1.0, 0.0, 0.5, 0.5, 0.5)
    scale = LogisticRegression(C=1.0).fit(logits[:, None], truth)
    slope, intercept = float(scale.coef_[0, 0]), float(scale.intercept_[0])
    if slope <= 0:  # worse than chance: do not turn scores upside down
        slope, intercept = 1.0, 0.0
    p = 1 / (1 + np.exp(-(slope * logits + intercept)))
    threshold = _best_threshold(p, truth)
    lower = _with_recall(p, truth, threshold)
    upper = _with_precision(p, truth, threshold)
    return ThemeDecision(slope, intercept, threshold, lower, upper)


def _best_threshold(p: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """The middle of the widest-margin cut among those with the best F1."""
    order = np.sort(np.unique(p))
    cuts = np.concatenate([(order[1:] + order[:-1]) / 2, [0.5]])
    said = p[:, None] >= cuts[None, :]
    tp = (truth[:, None] & said).sum(0).astype(float)
    score = f1(tp, said.sum(0) - tp, truth.sum() - tp)
    best = cuts[score >= score.max() - 1e-9]
    return float(np.clip(np.median(best), 0.2, 0.8))


def _with_recall(p: NDArray[np.float64], truth: NDArray[np.bool_], threshold: float) -> float:
    """The highest lower edge that keeps the wanted recall, lowered by half its odds for safety."""
    positives = np.sort(p[truth])
    edge = float(positives[int(np.floor((1 - RECALL_AT_REVIEW) * len(positives)))])
    odds = edge / max(1 - edge, 1e-9) / 2
    return float(min(max(odds / (1 + odds), 0.02), threshold))


def _with_precision(p: NDArray[np.float64], truth: NDArray[np.bool_], threshold: float) -> float:
    """The lowest upper edge, from the threshold up, that has the wanted precision (0.95 at most)."""
    for cut in np.concatenate([[threshold], np.sort(p[p > threshold])]):
        if truth[p >= cut].any() and truth[p >= cut].mean() >= PRECISION_AT_MATCH:
            return float(min(cut, 0.95))
    return max(threshold, 0.95)
