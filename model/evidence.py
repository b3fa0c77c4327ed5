"""Which sentences carry a theme, from each token's exact part in its logit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.result import Evidence
from model.windows import Encoded

MOST, LEAST_SHARE = 5, 0.05  # sentences shown per theme at most; smaller shares say nothing


def sentence_parts(encoded: Encoded, parts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sum of token parts by sentence: ``[entries]`` to ``[sentences]``."""
    starts = np.asarray([start for start, _ in encoded.sentences])
    middles = encoded.offsets.mean(axis=1)
    index = np.clip(np.searchsorted(starts, middles, side="right") - 1, 0, len(starts) - 1)
    sums = np.zeros(len(starts), dtype=np.float32)
    np.add.at(sums, index, parts)
    return sums


def find_evidence(encoded: Encoded, parts: NDArray[np.float32]) -> tuple[Evidence, ...]:
    """The sentences that speak for a theme, strongest first.

    Args:
        encoded: the article.
        parts: float32 ``[entries]``, each entry's part in the theme's logit.
    """
    if not encoded.sentences:
        return ()
    support = np.maximum(sentence_parts(encoded, parts), 0.0)
    total = float(support.sum())
    if total <= 0.0:
        return ()
    shares = support / total
    found: list[Evidence] = []
    for index in np.argsort(-shares, kind="stable")[:MOST]:
        share = float(shares[index])
        if share < LEAST_SHARE and found:
            break
        found.append(_evidence(encoded, int(index), share))
    return tuple(found)


def _evidence(encoded: Encoded, index: int, share: float) -> Evidence:
    start, end = encoded.sentences[index]
    article = encoded.article
    in_title = start < article.text_start
    if not in_title:
        start, end = start - article.text_start, end - article.text_start
    source = article.title if in_title else article.text
    return Evidence(start, end, source[start:end], round(share, 4), in_title)
