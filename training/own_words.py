"""Words that own articles have for a theme, added to the linear part of the model they are learnt on top of.

A newsroom's word for a crime is in a few articles and in none of the corpus; a head on a frozen encoder hardly learns
it without forgetting something else. So a logistic regression on word pieces starts from what the model says already,
and learns what own and replayed articles leave to say: pieces of articles that are right weigh next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.lexical import Lexical, piece_counts
from model.windows import Encoded

_C = 1e5  # inverse regularisation; of 1 to 1e5 the best by own articles out of fold and by the corpus' validation part


def with_words(
    part: Lexical,
    encoded: Sequence[Encoded],
    network: NDArray[np.float64],
    truth: NDArray[np.bool_],
    mask: NDArray[np.bool_],
    themes: Sequence[int],
    lead: int,
) -> Lexical:
    """``part`` and what articles add to it.

    Args:
        network: ``[articles, themes]``, the network's logits alone.
        truth: bool ``[articles, themes]``; mask: bool, which pairs are labelled.
        themes: indices of those that words are learnt for. Pieces that ``part`` does not know are added only where
            these are all themes: a piece more counts as known (see ``model.lexical``), which the others would notice.
        lead: tokens before each window's content.
    """
    from scipy.sparse import csr_matrix

    if len(themes) == len(part.bias):
        part = part.knowing(np.concatenate([piece_counts(one, lead)[0] for one in encoded]))
    rows = [part.vector(one, lead) for one in encoded]
    ends = np.cumsum([0, *(len(at) for at, _ in rows)])
    places, values = (np.concatenate([row[side] for row in rows]) for side in (0, 1))
    used, columns = np.unique(places, return_inverse=True)
    table = csr_matrix((values, columns, ends), shape=(len(rows), len(used)))
    before = network + np.stack([part.logits(one, lead) for one in encoded])
    weights = part.weights.copy()
    for k in themes:
        labelled = mask[:, k]
        if labelled.any():
            weights[used, k] += _residual(table[labelled], before[labelled, k], truth[labelled, k])
    return replace(part, weights=weights)


def _residual(table: Any, before: NDArray[np.float64], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights ``[pieces]`` of a logistic regression whose logits are added to those ``before``."""
    from scipy.optimize import minimize

    sign = np.where(truth, 1.0, -1.0)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = (before + table @ weights) * sign
        slope = -sign * np.exp(-np.logaddexp(0.0, margin))
        value = _C * np.logaddexp(0.0, -margin).sum() + weights @ weights / 2
        return float(value), _C * (table.T @ slope) + weights

    start = np.zeros(table.shape[1])
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x)
