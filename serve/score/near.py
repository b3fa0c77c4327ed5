"""Clusters of near-identical articles: MinHash (Broder 1997) with banding, in fixed memory."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIMILAR = 0.8  # least estimated Jaccard similarity of the shingles of two near copies
_PERMUTATIONS, _BANDS = 128, 32
_SHINGLE = 4  # units
_MOST_UNITS = 5000  # of an article; bounds the work on very long ones
_WORDS = re.compile(r"\w+")
_LONG_WORD = 12  # mean characters a word; beyond it the script sets no spaces


class NearIndex:
    """Remembers the first article of each of the last 65,536 clusters.

    Only first articles are compared with, so a chain of small changes cannot drift away from what
    its cluster began with. Memory is about 50 MB whatever the number of articles.
    """

    def __init__(self, capacity: int = 65_536) -> None:
        """``capacity`` is the number of clusters remembered, a power of two."""
        from datasketch import MinHash

        self._empty: Any = MinHash(num_perm=_PERMUTATIONS, seed=1)
        self._capacity = capacity
        self._count = 0
        self._signatures = np.zeros((capacity, _PERMUTATIONS), dtype=np.uint32)
        # one direct-mapped table a band: bucket to the newest cluster (0: none) with that band
        self._tables = np.zeros((_BANDS, capacity * 2), dtype=np.int32)
        self._rows = np.arange(_BANDS)

    def cluster(self, text: str) -> int:
        """The number, from 1, of the cluster ``text`` belongs to; a new one where it is like none."""
        signature = self._signature(text)
        buckets = self._buckets(signature)
        candidates = np.unique(self._tables[self._rows, buckets])
        candidates = candidates[candidates > max(0, self._count - self._capacity)]
        if len(candidates):
            alike = (self._signatures[candidates % self._capacity] == signature).mean(axis=1)
            best = int(alike.argmax())
            if alike[best] >= SIMILAR:
                return int(candidates[best])
        self._count += 1
        self._signatures[self._count % self._capacity] = signature
        self._tables[self._rows, buckets] = self._count
        return self._count

    def _signature(self, text: str) -> NDArray[np.uint32]:
        sketch = self._empty.copy()
        sketch.update_batch([shingle.encode("utf-8", "surrogatepass") for shingle in shingles(text)])
        return np.asarray(sketch.hashvalues, dtype=np.uint32)

    def _buckets(self, signature: NDArray[np.uint32]) -> NDArray[np.uint64]:
        mixed = np.zeros(_BANDS, dtype=np.uint64)
        for column in signature.reshape(_BANDS, -1).T.astype(np.uint64):
            mixed = (mixed ^ column) * np.uint64(0x9E3779B97F4A7C15)
        return (mixed >> np.uint64(32)) % np.uint64(self._capacity * 2)


def shingles(text: str) -> list[str]:
    """Overlapping runs of four words (four characters in scripts without spaces), each once, case ignored."""
    units = _WORDS.findall(text.casefold())
    if not units:
        return [text.strip()[:_MOST_UNITS]]
    if sum(map(len, units)) > _LONG_WORD * len(units):
        units = list("".join(units))
    units = units[:_MOST_UNITS]
    runs = {" ".join(units[i : i + _SHINGLE]) for i in range(max(1, len(units) - _SHINGLE + 1))}
    return sorted(runs)
