"""A new theme among replayed articles: nobody labelled them for it, and some carry it.

Without them the theme would hardly see what it is not; taken for "no" altogether, those that carry it would teach its
opposite. So an article counts as "no" unless it looks like the theme: out of fold, a logistic regression of the
theme's articles against the replayed ones scores it as high as it scores the theme's own. (Reliable negatives, Liu et
al., "Building Text Classifiers Using Positive and Unlabeled Examples", ICDM 2003.) The others stay unlabelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from model.cache import progress
from model.windows import Windower
from training.data import Item
from training.features import FeatureStore, mean_vectors
from training.labels import is_labelled, judge
from training.replay import Replay
from training.splits import Parts

_QUANTILE = 0.1  # of the theme's own scores: from here up, a replayed article looks like the theme
_LEAST = 8  # articles of a theme that this can be told from


def with_reliable_negatives(
    replay: Replay, own: Sequence[Item], keys: Sequence[str], store: FeatureStore, windower: Windower
) -> Replay:
    """``replay`` with its articles labelled "no" for themes the corpus does not know, where that is safe."""
    parts = {name: list(getattr(replay.parts, name)) for name in ("train", "validation", "test")}
    drawn = [item for part in parts.values() for item in part]
    themes = [key for key in replay.unknown if sum(key in item.themes for item in own) >= _LEAST]
    if not themes or not drawn:
        return replay
    vectors = _vectors([*own, *drawn], store, windower)
    safe: dict[str, list[str]] = {item.id: [] for item in drawn}
    for key in themes:
        positive = np.asarray([key in item.themes for item in own])
        like = looks_like(vectors[: len(own)][positive], vectors[len(own) :])
        for item, doubtful in zip(drawn, like, strict=True):
            if not doubtful:
                safe[item.id].append(key)
        progress(f"theme {key}: {int((~like).sum())} replayed articles count as 'no', {int(like.sum())} are left open")
    parts = {
        name: [judge(i, [k for k in keys if is_labelled(i, k) or k in safe[i.id]]) for i in part]
        for name, part in parts.items()
    }
    return replace(replay, parts=Parts(**parts, unseen=[]))


def looks_like(theme: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which of ``others`` ``[articles, hidden]`` score as high as the theme's own, out of fold."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    truth = np.arange(len(theme) + len(others)) < len(theme)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = cross_val_predict(model, np.concatenate([theme, others]), truth, cv=folds, method="decision_function")
    like: NDArray[np.bool_] = scores[len(theme) :] >= np.quantile(scores[: len(theme)], _QUANTILE)
    return like


def _vectors(items: Sequence[Item], store: FeatureStore, windower: Windower) -> NDArray[np.float32]:
    encoded = [windower.encode(item.article, item.lang) for item in items]
    store.fill((window for e in encoded for window in e.windows), "replayed articles")
    return mean_vectors(store, encoded, windower.lead)
