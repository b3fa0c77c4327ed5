"""Train, validation and test parts that never share a story or a near-duplicate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.config import Split
from training.data import Item

_SHINGLE, _PERMUTATIONS, _SIMILAR = 5, 64, 0.6


@dataclass(frozen=True)
class Parts:
    """The parts of a data set; ``unseen`` holds languages kept out of training."""

    train: list[Item]
    validation: list[Item]
    test: list[Item]
    unseen: list[Item]


def near_duplicates(items: Sequence[Item]) -> list[tuple[int, int]]:
    """Pairs of items whose texts are nearly the same (MinHash over character 5-grams, Broder 1997)."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=_SIMILAR, num_perm=_PERMUTATIONS)
    pairs = []
    for position, item in enumerate(items):
        text = "".join(item.text.split()).casefold()
        shingles = {text[i : i + _SHINGLE] for i in range(max(1, len(text) - _SHINGLE + 1))}
        sketch = MinHash(num_perm=_PERMUTATIONS, seed=1)
        sketch.update_batch([s.encode("utf-8", "replace") for s in sorted(shingles)])
        pairs += [(int(other), position) for other in index.query(sketch)]
        index.insert(str(position), sketch)
    return pairs


def groups(items: Sequence[Item]) -> list[int]:
    """A group number per item: items of one story, or nearly equal, share it."""
    parent = list(range(len(items)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[str, int] = {}
    for i, item in enumerate(items):
        parent[root(i)] = root(first.setdefault(item.story or item.id, i))
    for a, b in near_duplicates(items):
        parent[root(b)] = root(a)
    return [root(i) for i in range(len(items))]


def split_items(items: Sequence[Item], config: Split, seed: int) -> Parts:
    """Split by group, stratified by language and first theme; the same seed gives the same parts."""
    from sklearn.model_selection import StratifiedGroupKFold

    unseen = [item for item in items if item.lang in config.unseen]
    stories = {item.story for item in unseen}
    seen = [i for i in items if i.lang not in config.unseen and i.story not in stories]
    group = np.asarray(groups(seen))
    strata = np.asarray([f"{i.lang}:{i.themes[0] if i.themes else i.extra.get('kind', '')}" for i in seen])

    def take(indices: NDArray[np.int64], share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        folds = max(2, round(1 / share))
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        rest, part = next(splitter.split(indices, strata[indices], group[indices]))
        return indices[rest], indices[part]

    rest, test = take(np.arange(len(seen)), config.test)
    train, validation = take(rest, config.validation / (1 - config.test))
    return Parts([seen[i] for i in train], [seen[i] for i in validation], [seen[i] for i in test], unseen)
