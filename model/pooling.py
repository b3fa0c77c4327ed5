"""From token scores to one logit per theme. One function serves training (torch) and serving (NumPy).

The head gives every token a *value* per theme and, for attention pooling, an *attention* score per
theme. A theme's logit is a weighted sum of its tokens' values plus a bias, so each token's part in
it is exact and additive: that is what the evidence is made of.

Label-wise attention follows Mullenbach et al., "Explainable Prediction of Medical Codes from
Clinical Text" (NAACL 2018), taken over all tokens of all windows of an article at once.
"""

from __future__ import annotations

from typing import Any

POOLINGS = ("mean", "attention", "max", "logsumexp")


def head_width(pooling: str, themes: int) -> int:
    """Outputs per token the head must have."""
    return 2 * themes if pooling == "attention" else themes


def contributions(xp: Any, pooling: str, scores: Any, weights: Any, spans: Any) -> Any:
    """Each token's part in each theme's logit (bias not included).

    Args:
        xp: ``numpy`` or ``torch``.
        pooling: one of ``POOLINGS``.
        scores: float ``[entries, width]``, the head's outputs for the content tokens of every
            window of one article, window after window.
        weights: float ``[entries]``, 1 / (windows the token stands in): overlaps count once.
        spans: ``(first, last+1)`` entry of each window.

    Returns:
        float ``[entries, themes]``; its sum over entries, plus the bias, is the logit.
    """
    weights = weights[:, None]
    if pooling == "mean":
        return scores * (weights / weights.sum())
    if pooling == "attention":
        themes = scores.shape[1] // 2
        values, attention = scores[:, :themes], scores[:, themes:]
        mass = xp.exp(attention - xp.amax(attention, 0)) * weights
        return values * (mass / mass.sum(0))
    # max and logsumexp: mean inside each window, then windows weighed by their own logit
    means = xp.stack([scores[a:b].mean(0) for a, b in spans])
    sharpness = 1.0 if pooling == "logsumexp" else 100.0  # near enough the hard maximum
    share = xp.exp((means - xp.amax(means, 0)) * sharpness)
    share = share / share.sum(0)
    parts = [scores[a:b] * (share[i] / (b - a)) for i, (a, b) in enumerate(spans)]
    return xp.concatenate(parts)
