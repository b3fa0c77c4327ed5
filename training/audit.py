"""What labelled data must not be before training starts: each refusal or warning is one line that says what to do."""

from __future__ import annotations

from collections.abc import Sequence

from model.cache import progress
from model.errors import DataError
from training.data import Item
from training.labels import is_labelled
from training.merge import text_digest
from training.partition import LEAST
from training.splits import near_duplicates

_SHOWN = 3
_STORIES = 3  # that a theme's articles must come from, or nothing of it can be held out


def audit(items: Sequence[Item], keys: Sequence[str], known: Sequence[str], replayed: bool) -> None:
    """Refuse data that cannot train, warn about data that will disappoint.

    Args:
        items: after ``labels.settle``.
        known: themes that the starting model knows: they need no articles here.
        replayed: whether the corpus is mixed in.

    Raises:
        DataError: contradictory labels, no theme at all, or a theme with too few articles or nothing to tell it from.
    """
    _refuse_contradictions(items, keys)
    if not any(item.themes for item in items):
        raise DataError(
            f"none of the {len(items)} articles carries a theme", remedy="add articles that do (column `themes`)"
        )
    for key in keys:
        carrying = [item for item in items if key in item.themes]
        if len(carrying) < LEAST and key in known:
            continue
        if len(carrying) < LEAST:
            raise DataError(
                f"theme {key!r} has {len(carrying)} articles, and training needs at least {LEAST}",
                remedy="label more of them, or take the theme out of the taxonomy",
            )
        if len({item.story for item in carrying}) < _STORIES:
            raise DataError(
                f"all {len(carrying)} articles of theme {key!r} ({_named(carrying)}) are on fewer than {_STORIES} "
                "stories",
                remedy="label articles on other stories, or correct the column `story`",
            )
        if not replayed and not any(is_labelled(i, key) and key not in i.themes for i in items):
            raise DataError(
                f"every article carries theme {key!r}, so nothing shows what it is not",
                remedy="add articles without it, or mix in the corpus with --replay 0.3",
            )
    languages = {item.lang for item in items if item.lang}
    if len(languages) == 1 and not replayed:
        progress(
            f"warning: all {len(items)} articles are in {languages.pop()!r}; other languages will rest on the encoder "
            "alone: add some, or mix in the corpus with --from released --replay 0.3"
        )
    if all(item.themes for item in items) and not replayed:
        progress("warning: every article carries a theme; a model trained on this sees themes everywhere: add others")


def _refuse_contradictions(items: Sequence[Item], keys: Sequence[str]) -> None:
    """The same text twice, labelled differently, is an error; nearly the same text is a warning."""
    texts: dict[str, list[Item]] = {}
    for item in items:
        texts.setdefault(text_digest(item.text), []).append(item)
    same = [(a, b) for first, *rest in texts.values() for a, b in ((first, other) for other in rest)]
    wrong = [f"{a.id} and {b.id}" for a, b in same if _contradict(a, b, keys)]
    if wrong:
        raise DataError(
            f"the same text is labelled differently: {'; '.join(wrong[:_SHOWN])}{_more(wrong)}",
            remedy="settle these rows; `themewatch data check FILE` lists all of them",
        )
    near = [(items[a], items[b]) for a, b in near_duplicates(items)]
    odd = [f"{a.id} and {b.id}" for a, b in near if _contradict(a, b, keys)]
    if odd:
        progress(
            f"warning: nearly the same text is labelled differently: {'; '.join(odd[:_SHOWN])}{_more(odd)}; look at "
            "them once more (`themewatch data check FILE` lists all)"
        )


def _contradict(a: Item, b: Item, keys: Sequence[str]) -> bool:
    return any((k in a.themes) != (k in b.themes) for k in keys if is_labelled(a, k) and is_labelled(b, k))


def _named(items: Sequence[Item]) -> str:
    return ", ".join(item.id for item in items[:_SHOWN]) + (", …" if len(items) > _SHOWN else "")


def _more(found: Sequence[str]) -> str:
    return f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
