"""How labelled data are used: parts held out where there is enough, cross-validation where there is not."""

from __future__ import annotations

import contextlib
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from model.cache import progress
from model.errors import DataError
from training.config import Split, TrainConfig
from training.data import Item
from training.labels import is_labelled
from training.splits import Parts, groups, named_parts, split_items

LEAST = 8  # articles that a theme can be trained on
FEW = 50  # below, holding articles out costs more than cross-validation
FOLDS = 5


def choose_folds(items: Sequence[Item], keys: Sequence[str], config: TrainConfig) -> Split:
    """The split with ``folds`` settled.

    Raises:
        DataError: folds are asked for, but the encoder is trained too.
    """
    split = config.split
    if config.method != "head":
        if split.folds:
            raise DataError("cross-validation (split.folds) is for method: head", remedy="use configs/head.yaml")
        return split
    if split.folds is not None:
        return split
    carried = [sum(key in item.themes for item in items) for key in keys]
    few = any(count < FEW for count in carried if count)
    return split.model_copy(update={"folds": FOLDS if few else 0})


def split_data(items: Sequence[Item], split: Split, seed: int) -> Parts:
    """The parts of a data set; with folds all train but unseen languages and rows that name the test part.

    Languages are left out of the strata where these would have fewer articles than there are parts.

    Raises:
        DataError: too few articles to hold any out, or all of them name a part that is held out.
    """
    parts = _split(items, split, seed)
    if not parts.train:
        raise DataError(
            "no article is left to train on: the column 'split' holds all of them out",
            remedy="leave it empty, or write 'train', for those to train on",
        )
    return parts


def _split(items: Sequence[Item], split: Split, seed: int) -> Parts:
    if split.folds:
        stories = {item.story for item in items if item.lang in split.unseen}
        seen = [i for i in items if i.lang not in split.unseen and i.story not in stories]
        named = named_parts(seen, groups(seen))
        test = [i for i, part in zip(seen, named, strict=True) if part == "test"]
        seen = [i for i, part in zip(seen, named, strict=True) if part != "test"]
        return Parts(seen, [], test, [i for i in items if i.lang in split.unseen])
    with contextlib.suppress(ValueError):  # every stratum is smaller than there are parts
        return split_items(items, split, seed)
    whole = {item.id: item for item in items}
    blank = [
        item if item.lang in split.unseen else replace(item, lang="", extra={"split": item.extra.get("split")})
        for item in items
    ]
    try:
        parts = split_items(blank, split, seed)
    except ValueError as error:
        raise DataError(
            f"{len(items)} articles are too few to hold {split.validation:.0%} and {split.test:.0%} out",
            remedy="label more, or use configs/head.yaml, which cross-validates few articles",
        ) from error
    return Parts(*([whole[i.id] for i in p] for p in (parts.train, parts.validation, parts.test, parts.unseen)))


def cross_folds(
    items: Sequence[Item], keys: Sequence[str], folds: int, seed: int
) -> Iterator[tuple[list[int], list[int]]]:
    """Indices to train on and to answer for, fold by fold; stories and near-duplicates stay together.

    Strata are the rarest theme each article carries, so that every fold has some of it to learn from.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    counts = Counter(key for item in items for key in item.themes)
    strata = [min(item.themes, key=lambda k: (counts[k], k), default=_unnamed(item, keys)) for item in items]
    group = np.asarray(groups(items))
    folds = min(folds, len(set(group.tolist())), max(Counter(strata).values()))
    if folds < 2:
        raise DataError(
            f"{len(items)} articles of {len(set(group.tolist()))} stories are too few to cross-validate",
            remedy="label articles on more stories",
        )
    for key in keys:
        stories = len({int(g) for item, g in zip(items, group, strict=True) if key in item.themes})
        if 0 < stories < folds:
            progress(
                f"warning: theme {key!r} is on {stories} stories, fewer than the {folds} folds: its figures are rough; "
                "label articles on more stories"
            )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():  # said above, in the user's words
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        parts = list(splitter.split(np.zeros(len(items)), np.asarray(strata), group))
    for train, held in parts:
        yield train.tolist(), held.tolist()


def _unnamed(item: Item, keys: Sequence[str]) -> str:
    """The stratum of an article without a theme: by what it was judged for."""
    return "|".join(key for key in keys if is_labelled(item, key))
