"""Whether a figure of two models differs by more than chance, and by how much more where many figures are looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from training.metrics import Bools, Floats

Figure = Callable[[Floats, Floats, Floats], Floats]  # true positives, false positives, misses ``[draws, themes]``
SWAPS = 10_000
_AT_ONCE = 1000  # swaps held in memory


def chance_of(figure: Figure, truth: Bools, old: Bools, new: Bools, stories: Sequence[str], sign: int = -1) -> float:
    """How probable as large a change of ``figure`` is if both models are equally good, 0 to 1.

    Approximate randomisation (Noreen 1989): the two models' answers change places story by story, at random.
    Unlike an interval it stays right where few articles tell the models apart.

    Args:
        truth, old, new: bool ``[articles, themes]``, labels and both models' matches.
        sign: -1 for a fall, 1 for a rise.
    """
    _, index = np.unique(np.asarray(stories), return_inverse=True)
    before, after = _outcomes(truth, old), _outcomes(truth, new)  # [articles, 3, themes]
    moves = np.zeros((int(index.max()) + 1, *before.shape[1:]), dtype=np.float32)
    np.add.at(moves, index, after - before)
    moves = moves[moves.any(axis=(1, 2))]  # the stories on which the models differ
    if not len(moves):
        return 1.0
    first, last = before.sum(axis=0), after.sum(axis=0)

    def difference(moved: NDArray[np.float32]) -> Floats:
        ones, others = first + moved, last - moved
        out: Floats = figure(*(ones[:, i] for i in range(3))) - figure(*(others[:, i] for i in range(3)))
        return sign * out

    seen = float(difference((last - first)[None])[0])
    rng, as_far = np.random.default_rng(0), 0
    for _ in range(0, SWAPS, _AT_ONCE):
        kept = rng.integers(0, 2, (_AT_ONCE, len(moves)), dtype=np.int8).astype(np.float32)
        moved = (kept @ moves.reshape(len(moves), -1)).reshape(_AT_ONCE, *moves.shape[1:])
        as_far += int((difference(moved) >= seen - 1e-9).sum())
    return (as_far + 1) / (SWAPS + 1)


def holm(chances: Mapping[str, float]) -> dict[str, float]:
    """p-values for their number: of equal models, the share with any at or below a level is that level (Holm 1979)."""
    out: dict[str, float] = {}
    highest = 0.0
    for rank, (name, p) in enumerate(sorted(chances.items(), key=lambda pair: pair[1])):
        highest = max(highest, min(1.0, p * (len(chances) - rank)))
        out[name] = highest
    return out


def _outcomes(truth: Bools, said: Bools) -> NDArray[np.float32]:
    return np.stack([truth & said, ~truth & said, truth & ~said], axis=1).astype(np.float32)
