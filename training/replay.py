"""Replay: articles of the bundled corpus beside a user's own, so that a few hundred new ones unlearn nothing.

Only the corpus' training part trains; its validation part helps to calibrate, its test part only measures. All three
are cut as for the model that training starts from, so what was held out for it stays held out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from model.artifact import Artifact
from model.cache import progress
from model.errors import DataError
from training.config import BARE, CORPUS, Split, TrainConfig
from training.data import Item, digest
from training.labels import judge
from training.seen import cut_files, overlaps, recorded_parts
from training.splits import Parts

SHARE = 0.3  # where training starts from a model and replay is not set
_LEAST_TEST = 150  # articles to test on, however small the share


@dataclass(frozen=True)
class Replay:
    """What is replayed: ``parts`` hold the drawn articles, ``held`` all that must not be trained on."""

    share: float
    parts: Parts
    held: list[Item]
    record: dict[str, Any]
    unknown: tuple[str, ...]  # themes that no corpus article carries: not labelled for, see training.reliable


def replay_share(config: TrainConfig, own_data: bool) -> float:
    """The share to replay: as set, else 0.3 for own data on top of a model, else none."""
    if config.replay is not None:
        return config.replay if own_data else 0.0
    return SHARE if own_data and config.start != BARE else 0.0


def draw_replay(share: float, keys: Sequence[str], start: Artifact | None) -> Replay:
    """Draw ``share`` of the corpus, the same articles each time (a larger share holds a smaller one).

    Its validation part comes along as a whole: thresholds fitted on fewer articles are worse than the starting
    model's, which were fitted on all.
    """
    cut, split, seed = _corpus_parts(start)
    parts = Parts(*([replace(i, id=f"corpus:{i.id}", story=f"corpus:{i.story}") for i in part]
                    for part in (cut.train, cut.validation, cut.test, cut.unseen)))  # fmt: skip
    items = [*parts.train, *parts.validation, *parts.test, *parts.unseen]
    known = {key for item in items for key in item.themes}
    unknown = tuple(key for key in keys if key not in known)
    own = [key for key in keys if key in known]

    def draw(part: Sequence[Item], least: int) -> list[Item]:
        return [judge(item, own) for item in _sample(part, share, least, seed)]

    drawn = Parts(
        draw(parts.train, 0), draw(parts.validation, len(parts.validation)), draw(parts.test, _LEAST_TEST), []
    )
    record = {
        "share": share, "split": split.model_dump(mode="json"), "seed": seed,
        "corpus": {"items": len(items), "train_sha256": digest(parts.train)},
        **{name: {"items": len(part), "sha256": digest(part), "languages": sorted({item.lang for item in part})}
           for name, part in (("train", drawn.train), ("validation", drawn.validation), ("test", drawn.test))},
    }  # fmt: skip
    return Replay(share, drawn, [*parts.validation, *parts.test, *parts.unseen], record, unknown)


def refuse_held_out(items: Sequence[Item], replay: Replay) -> None:
    """Held-out articles of the corpus may not come back as training data; of replayed ones a warning tells.

    Raises:
        DataError: naming those that do.
    """
    found = overlaps(items, replay.held)
    if found:
        raise DataError(
            f"{len(found)} articles are in the held-out part of the corpus: {_named(found)}",
            remedy="take them out, or set replay: 0 and judge the model on other articles",
        )
    twice = overlaps(items, replay.parts.train)
    if twice:
        progress(
            f"warning: {len(twice)} of your articles are replayed from the corpus, too: {_named(twice)}; figures on "
            "your test part that count them are too good: take them out"
        )


def _named(found: dict[str, str]) -> str:
    return ", ".join(f"{key} ({reason})" for key, reason in list(found.items())[:3]) + (", …" if len(found) > 3 else "")


def _corpus_parts(start: Artifact | None) -> tuple[Parts, Split, int]:
    """The corpus, cut as for the starting model; where that never had it, as for the released one."""
    released = Artifact.load()
    if start is not None and (before := start.training.get("replay")):
        settings, seed, expected = before["split"], before["seed"], before["corpus"]["train_sha256"]
    else:
        record = (start if start is not None and recorded_parts(start) else released).training
        settings, seed = record["config"]["split"], record["config"]["seed"]
        expected = record["data"]["train"]["sha256"]
    parts = cut_files((CORPUS,), released.taxonomy.keys, json.dumps(settings), int(seed))
    if digest(parts.train) != expected:
        progress(
            "warning: the corpus at hand is not the one that the starting or the released model was trained on: "
            "figures on its held-out part may flatter"
        )
    return parts, Split(**settings), int(seed)


def _sample(items: Sequence[Item], share: float, least: int, seed: int) -> list[Item]:
    count = min(len(items), max(round(share * len(items)), least))
    return sorted(items, key=lambda i: hashlib.sha256(f"{seed}:{i.id}".encode()).digest())[:count]
