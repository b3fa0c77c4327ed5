"""Whether an evaluated file holds articles that the model was made with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.artifact import Artifact
from training.data import Item
from training.seen import made_with, overlaps

_SHOWN = 10


def find_leaks(artifact: Artifact, items: Sequence[Item], trained_on: Sequence[Path] = ()) -> dict[str, Any]:
    """Articles of ``items`` that trained the model, or chose its epoch and thresholds.

    Args:
        trained_on: the files the model was trained on, where that is not the bundled corpus.

    Returns:
        ``checked``, whether all of them are at hand; ``missing``, what is not, in words; ``items``, how many; ``ids``;
        and ``examples``, the first of them with reasons.

    Raises:
        DataError: ``trained_on`` is not what the model was trained on.
    """
    made = made_with(artifact, trained_on)
    found = overlaps(items, made.items) if made.items else {}
    examples = dict(sorted(found.items())[:_SHOWN])
    return {
        "checked": made.complete,
        "missing": made.missing,
        "items": len(found),
        "ids": sorted(found),
        "examples": examples,
    }


def without(items: Sequence[Item], leaks: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """bool ``[items]``: those that are no leak."""
    ids = set(leaks["ids"])
    return np.asarray([item.id not in ids for item in items], dtype=bool)


def leak_line(leaks: dict[str, Any], total: int) -> str:
    """The warning in one line; empty where there is nothing to warn of."""
    if not leaks["items"]:
        return ""
    rows = ", ".join(leaks["ids"][:3]) + (", …" if leaks["items"] > 3 else "")
    return (
        f"{leaks['items']:,} of {total:,} articles made this model (same story, same text or nearly so: {rows}); "
        "figures that count them are too good"
    )
