"""Train, validation and test parts that never share a story or a near-duplicate."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.config import Split
from training.data import PARTS, Item

_SHINGLE, _PERMUTATIONS = 5, 64
SIMILAR = 0.6  # Jaccard similarity of shingles from which texts count as nearly the same


@dataclass(frozen=True)
class Parts:
    """The parts of a data set; ``unseen`` holds languages kept out of training."""

    train: list[Item]
    validation: list[Item]
    test: list[Item]
    unseen: list[Item]


def sketch(text: str) -> Any:
    """MinHash of a text's character 5-grams (Broder 1997), blanks and case aside."""
    from datasketch import MinHash

    plain = "".join(text.split()).casefold()
    shingles = {plain[i : i + _SHINGLE] for i in range(max(1, len(plain) - _SHINGLE + 1))}
    made = MinHash(num_perm=_PERMUTATIONS, seed=1)
    made.update_batch([s.encode("utf-8", "replace") for s in sorted(shingles)])
    return made


def near_duplicates(items: Sequence[Item]) -> list[tuple[int, int]]:
    """Pairs of items whose texts are nearly the same."""
    from datasketch import MinHashLSH

    index = MinHashLSH(threshold=SIMILAR, num_perm=_PERMUTATIONS)
    pairs = []
    for position, item in enumerate(items):
        made = sketch(item.text)
        pairs += [(int(other), position) for other in index.query(made)]
        index.insert(str(position), made)
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


def named_parts(items: Sequence[Item], group: Sequence[int]) -> list[str]:
    """The part each item's row names (column ``split``), its whole group with it; empty where none does.

    Where rows of one group name several parts, the one held out furthest wins: test, then validation.
    """
    named: dict[int, str] = {}
    for item, number in zip(items, group, strict=True):
        named[number] = max(named.get(number, ""), str(item.extra.get("split") or ""), key=PARTS.index)
    return [named[number] for number in group]


def split_items(items: Sequence[Item], config: Split, seed: int) -> Parts:
    """Split by group, stratified by language and first theme; the same seed gives the same parts.

    Rows may name their part (column ``split``). A part that is named by some is drawn from no others, so that what
    is held out stays the same when data are added; test or validation are drawn where no row names them.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    unseen = [item for item in items if item.lang in config.unseen]
    stories = {item.story for item in unseen}
    seen = [i for i in items if i.lang not in config.unseen and i.story not in stories]
    group = np.asarray(groups(seen))
    named = np.asarray(named_parts(seen, group.tolist()))
    strata = np.asarray([f"{i.lang}:{i.themes[0] if i.themes else i.extra.get('kind', '')}" for i in seen])

    def take(indices: NDArray[np.int64], share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        folds = max(2, round(1 / share))
        splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            # strata are small by nature; merging them would move articles between the parts of older models
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
            rest, part = next(splitter.split(indices, strata[indices], group[indices]))
        return indices[rest], indices[part]

    test, validation = np.flatnonzero(named == "test"), np.flatnonzero(named == "validation")
    rest, train = np.flatnonzero(named == ""), np.flatnonzero(named == "train")
    if not len(test):
        rest, test = take(rest, config.test)
    if not len(validation):
        rest, validation = take(rest, config.validation / (1 - config.test))
    train = np.sort(np.concatenate([rest, train]))
    return Parts([seen[i] for i in train], [seen[i] for i in validation], [seen[i] for i in test], unseen)
