"""Which articles a model was made with, as far as the data at hand tells, and whether others are among them."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from model.artifact import Artifact
from model.errors import DataError
from training.config import CORPUS, Split
from training.data import Item, digest, load_items
from training.merge import text_digest
from training.partition import split_data
from training.splits import Parts, near_duplicates

_UNNAMED = re.compile(r".*:\d+")  # the id of a row that has none: its file's name and line


@dataclass(frozen=True)
class Made:
    """The articles at hand that a model was made with: trained on, or its epoch and thresholds chosen by."""

    items: list[Item]
    missing: str  # what is not at hand; empty: these are all

    @property
    def complete(self) -> bool:
        return not self.missing


def made_with(artifact: Artifact, data: Sequence[Path] = ()) -> Made:
    """The articles a model was made with: its own, those replayed, and those of the released model it started from.

    Args:
        data: the files it was trained on; empty: the corpus that comes with the package.

    Raises:
        DataError: ``data`` is given and is not what it was trained on.
    """
    own, record = recorded_parts(artifact, data), artifact.training
    cut: Parts | None = None
    items = [*own.train, *own.validation] if own else []
    missing = [] if own else ["the articles it was trained on are not at hand (give them with --trained-on)"]
    if replay := record.get("replay"):
        with contextlib.suppress(DataError):  # no corpus at hand
            cut = cut_files((CORPUS,), Artifact.load().taxonomy.keys, json.dumps(replay["split"]), int(replay["seed"]))
        if cut is not None and digest(cut.train) == replay["corpus"]["train_sha256"]:
            items += [*cut.train, *cut.validation]
        else:
            missing.append("the corpus that was replayed is not the one at hand")
    if start := record.get("start"):
        parts = recorded_parts(released) if (released := Artifact.load()).digest == start["digest"] else None
        if parts:
            items += [*parts.train, *parts.validation]
        elif not replay:
            missing.append(f"what {start['name']} {start['version']}, from which it started, was trained on is unknown")
    return Made(list({id(item): item for item in items}.values()), "; ".join(missing))


def recorded_parts(artifact: Artifact, data: Sequence[Path] = ()) -> Parts | None:
    """The parts an artifact was trained, calibrated and tested on, found again by its record.

    Args:
        data: the files it was trained on; empty: the corpus that comes with the package.

    Returns:
        None where the corpus is not what it was trained on.

    Raises:
        DataError: ``data`` is given and is not what it was trained on.
    """
    record, files = artifact.training, tuple(data) or (CORPUS,)
    keys = artifact.taxonomy.keys
    try:
        split, seed = json.dumps(record["config"]["split"]), int(record["config"]["seed"])
        recorded = sum(part["items"] for part in record["data"].values())
        parts = cut_files(files, keys, split, seed) if _used(load_items(files, keys), split) == recorded else None
        if parts is not None and digest(parts.train) == record["data"]["train"]["sha256"]:
            return parts
    except (DataError, KeyError, TypeError):
        if data:
            raise
    if data:
        raise DataError(
            f"not the articles that {artifact.name} {artifact.version} was trained on",
            where=", ".join(map(str, data)), remedy="give exactly the files that it was trained with",
        )  # fmt: skip
    return None


def _used(items: Sequence[Item], split: str) -> int:
    """How many of ``items`` a split puts into its parts; much cheaper than the split itself."""
    unseen = json.loads(split)["unseen"]
    stories = {item.story for item in items if item.lang in unseen}
    return sum(item.lang in unseen or item.story not in stories for item in items)


@lru_cache(maxsize=2)  # two models of one corpus and split are the usual case, and sketching it takes seconds
def cut_files(files: tuple[Path, ...], keys: tuple[str, ...], split: str, seed: int) -> Parts:
    """The parts of labelled files under a split (as JSON) and a seed."""
    return split_data(load_items(files, keys), Split(**json.loads(split)), seed)


def overlaps(items: Sequence[Item], seen: Sequence[Item]) -> dict[str, str]:
    """The ids of ``items`` that stand in ``seen``, with the reason: same story, same text, or nearly so."""
    stories = {item.story: item.id for item in seen if not _storyless(item)}
    texts = {text_digest(item.text): item.id for item in seen}
    found: dict[str, str] = {}
    for item in items:
        if (digest_ := text_digest(item.text)) in texts:
            found[item.id] = f"same text as {texts[digest_]}"
        elif item.story in stories and not _storyless(item):
            found[item.id] = f"same story as {stories[item.story]}"
    for a, b in near_duplicates([*seen, *items]):
        if a < len(seen) <= b:
            found.setdefault(items[b - len(seen)].id, f"nearly the same text as {seen[a].id}")
    return found


def _storyless(item: Item) -> bool:
    """Whether neither a story nor an id was given: another file of that name has the same by accident."""
    return item.story == item.id and _UNNAMED.fullmatch(item.id) is not None


def trained_languages(artifact: Artifact) -> list[str]:
    """The languages a model was trained on, as records tell: in its own articles, replayed, and where it started."""
    record = artifact.training
    found = set(record.get("data", {}).get("train", {}).get("languages", ()))
    found |= set((record.get("replay") or {}).get("train", {}).get("languages", ()))
    start = record.get("start")
    if start and (released := Artifact.load()).digest == start["digest"]:
        found |= set(released.training["data"]["train"]["languages"])
    return sorted(found - {""})
