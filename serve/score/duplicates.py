"""Articles that need no scoring of their own: exact copies, and on request near copies.

All memory here is bounded, and what is remembered depends on the order of the input alone, never on
timing: a resumed run walks through the finished rows again and ends up remembering the same.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from serve.score.near import NearIndex
from serve.score.scorer import Outcome

REMEMBERED = 8192  # articles
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class NearDuplicates(StrEnum):
    """``mark`` numbers clusters of near copies; ``share`` also scores only the first of each cluster."""

    MARK = "mark"
    SHARE = "share"


class Recent(Generic[_Key, _Value]):
    """A mapping that keeps the entries used last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[_Key, _Value] = OrderedDict()

    def get(self, key: _Key) -> _Value | None:
        """The entry, which thereby becomes the newest."""
        if key not in self._entries:
            return None
        self._entries.move_to_end(key)
        return self._entries[key]

    def put(self, key: _Key, value: _Value) -> None:
        """Add an entry, forgetting the oldest one where there are too many."""
        self._entries[key] = value
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)


class Slot:
    """Where the outcome of one scoring lands, for every row that shares it."""

    __slots__ = ("outcome",)

    def __init__(self) -> None:
        self.outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a row's outcome comes from.

    ``fresh``: this row fills the slot. ``near``: the slot belongs to an article that differs a
    little. ``cluster``: number of the row's cluster, from 1; 0 where clusters are not asked for.
    """

    slot: Slot
    fresh: bool
    near: bool = False
    cluster: int = 0


class Duplicates:
    """Finds for each article, in input order, whether it must be scored."""

    def __init__(self, near: NearDuplicates | None = None, remembered: int = REMEMBERED) -> None:
        self._exact: Recent[bytes, Placement] = Recent(remembered)
        self._heads: Recent[int, Slot] = Recent(remembered)
        self._index = NearIndex() if near else None
        self._share = near is NearDuplicates.SHARE

    def place(self, title: str, text: str) -> Placement:
        """The placement of the next article."""
        key = _key(title, text)
        known = self._exact.get(key)
        if known is not None:
            return Placement(known.slot, False, known.near, known.cluster)
        placed = self._first_sight(f"{title}\n{text}")
        self._exact.put(key, placed)
        return placed

    def _first_sight(self, text: str) -> Placement:
        if self._index is None:
            return Placement(Slot(), True)
        cluster = self._index.cluster(text)
        head = self._heads.get(cluster) if self._share else None
        if head is not None:
            return Placement(head, False, True, cluster)
        slot = Slot()
        if self._share:
            self._heads.put(cluster, slot)
        return Placement(slot, True, False, cluster)


def _key(title: str, text: str) -> bytes:
    parts = [part.encode("utf-8", "surrogatepass") for part in (title, text)]
    return hashlib.blake2b(b"%d:" % len(parts[0]) + parts[0] + parts[1], digest_size=16).digest()
