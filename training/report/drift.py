"""How far a file of articles is from what a model was trained and measured on: languages, lengths, scores.

Distance: Jensen-Shannon (Endres & Schindelin 2003), base 2: 0 is the same, 1 has nothing in common.
Small files differ by chance; how much, two random draws of the same sizes tell (95th percentile).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

LENGTHS = (
    "under 500 characters", "500 to 1,499", "1,500 to 3,999", "4,000 to 9,999", "10,000 characters and more",
)  # fmt: skip
_EDGES = (500, 1500, 4000, 10_000)
_SLIGHT, _CLEAR = 0.1, 0.3
_DRAWS = 400
SCORE_BINS = tuple(f"{b / 10:.1f} to {(b + 1) / 10:.1f}" for b in range(10))


def length_band(text: str) -> str:
    """The band of ``LENGTHS`` that a text belongs to."""
    return LENGTHS[sum(len(text) >= edge for edge in _EDGES)]


def profile(languages: Iterable[str], texts: Iterable[str]) -> dict[str, dict[str, int]]:
    """Counts of languages and length bands, as a training record keeps them."""
    lengths = Counter(map(length_band, texts))
    return {
        "languages": dict(sorted(Counter(languages).items())),
        "lengths": {band: lengths[band] for band in LENGTHS},
    }


def compare_counts(old: Mapping[str, int], new: Mapping[str, int]) -> dict[str, Any]:
    """Distance between two distributions, what chance alone would give, a verdict, and the shares.

    Returns:
        ``distance``, ``by_chance``, ``verdict`` and, for every value, its share ``before`` and ``now``.
    """
    names = [*old, *(name for name in new if name not in old)]
    p, q = (np.asarray([counts.get(name, 0) for name in names], dtype=float) for counts in (old, new))
    sizes = int(p.sum()), int(q.sum())
    p, q = p / max(p.sum(), 1), q / max(q.sum(), 1)
    rng = np.random.default_rng(0)
    first, second = (rng.multinomial(n, p / p.sum(), size=_DRAWS) / max(n, 1) for n in sizes)
    chance = float(np.percentile(distance(first, second), 95))
    found = float(distance(p, q))
    both = zip(names, p.tolist(), q.tolist(), strict=True)
    shares = {name: {"before": round(a, 4), "now": round(b, 4)} for name, a, b in both}
    return {
        "distance": round(found, 4), "by_chance": round(chance, 4), "verdict": verdict(found, chance),
        "shares": shares,
    }  # fmt: skip


def distance(p: NDArray[np.float64], q: NDArray[np.float64]) -> Any:
    """Jensen-Shannon distance of distributions over the last axis."""
    from scipy.spatial.distance import jensenshannon

    return np.nan_to_num(jensenshannon(p, q, base=2, axis=-1))  # rounding below zero gives nan


def verdict(found: float, chance: float) -> str:
    """A distance in plain words."""
    if found <= chance:
        return "alike: no further apart than chance makes files of these sizes"
    if found < _SLIGHT:
        return "slightly different"
    return "clearly different" if found < _CLEAR else "very different"
