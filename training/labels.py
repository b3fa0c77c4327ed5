"""Which themes an article was labelled for. What nobody judged is neither yes nor no: it is left out of loss,
calibration and figures.

A row's optional column ``labelled`` names the themes that its labeller judged (``all``, a list, or keys joined by
``|``). Without it a row was judged for all themes; but where training starts from a model and adds themes, only for
the added ones and those it carries: whoever labels forty articles for a fifth theme has rarely read them for the
other four, and a wrong "no" would unlearn those.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import DataError
from training.data import Item

COLUMN = "labelled"


def settle(items: Iterable[Item], keys: Sequence[str], added: Sequence[str] = ()) -> list[Item]:
    """The items with the themes each was labelled for in ``extra["labelled"]``.

    Args:
        added: themes that the model training starts from does not know; see above.

    Raises:
        DataError: a row's column names something that is no theme.
    """
    out = []
    for item in items:
        given = _given(item, keys)
        judged = tuple(added) or tuple(keys) if given is None else given
        out.append(judge(item, [key for key in keys if key in judged or key in item.themes]))
    return out


def judge(item: Item, keys: Iterable[str]) -> Item:
    """The item, labelled for ``keys`` alone."""
    return replace(item, extra={**item.extra, COLUMN: tuple(keys)})


def is_labelled(item: Item, key: str) -> bool:
    """Whether the item says anything on theme ``key``."""
    judged = item.extra.get(COLUMN)
    return not isinstance(judged, tuple) or key in judged


def label_mask(items: Sequence[Item], keys: Sequence[str]) -> NDArray[np.bool_]:
    """bool ``[items, themes]``: which pairs are labelled."""
    return np.asarray([[is_labelled(item, key) for key in keys] for item in items], dtype=bool).reshape(-1, len(keys))


def _given(item: Item, keys: Sequence[str]) -> tuple[str, ...] | None:
    value: Any = item.extra.get(COLUMN)
    if isinstance(value, str):  # an empty cell of a table says nothing
        value = None if not value.strip() else [part.strip() for part in value.split("|") if part.strip()]
    if not value and value != []:
        return None
    if value in (["all"], True):
        return tuple(keys)
    if not isinstance(value, list | tuple) or not all(key in keys for key in value):
        raise DataError(
            f"column {COLUMN!r} of row {item.id!r} is {item.extra[COLUMN]!r}",
            remedy=f"give `all`, or the keys of the themes that were judged ({', '.join(keys)})",
        )
    return tuple(value)
