"""Precision-recall and reliability curves, as points."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from training.metrics import Bools, Floats

_POINTS, _BINS = 80, 10
_Z = 1.96  # 95 %


def precision_recall(truth: Bools, scores: Floats) -> list[list[float]]:
    """``[recall, precision, threshold]`` of one theme, recall falling, thinned out; empty without both classes."""
    from sklearn.metrics import precision_recall_curve

    if truth.all() or not truth.any():
        return []
    precision, recall, cuts = precision_recall_curve(truth, scores)
    keep = np.unique(np.linspace(0, len(cuts) - 1, min(_POINTS, len(cuts))).round().astype(int))
    return [[round(float(x), 4) for x in (recall[i], precision[i], cuts[i])] for i in keep]


def reliability(truth: Bools, scores: Floats) -> list[dict[str, Any]]:
    """For each tenth of the score range: how many fell in, their mean score, and how many were true.

    ``low`` and ``high`` are the 95 % Wilson interval (1927) of the share that was true.
    """
    p, y = scores.ravel(), truth.ravel()
    index = np.minimum((p * _BINS).astype(int), _BINS - 1)
    out = []
    for b in range(_BINS):
        inside = index == b
        if count := int(inside.sum()):
            share = float(y[inside].mean())
            low, high = wilson(share, count)
            figures = {"score": float(p[inside].mean()), "true": share, "low": low, "high": high}
            out.append({"count": count, **{key: round(value, 4) for key, value in figures.items()}})
    return out


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share seen in ``count`` cases."""
    middle = share + _Z**2 / (2 * count)
    half = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    whole = 1 + _Z**2 / count
    return max(0.0, (middle - half) / whole), min(1.0, (middle + half) / whole)
