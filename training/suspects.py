"""Probable label errors, by confident learning (Northcutt et al. 2021, ``cleanlab``) on the served model's scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.artifact import Artifact
from model.classifier import ThemeClassifier
from model.errors import DataError
from training.data import Item, digest
from training.labels import label_mask, settle
from training.rows import Row
from training.seen import made_with, overlaps
from training.table import predict_items, truth_table


@dataclass(frozen=True)
class Suspect:
    """An article whose label looks wrong; ``quality``, 0 to 1, is low where it does."""

    item: Item
    quality: float
    scores: dict[str, float]
    reason: str

    def row(self) -> Row:
        """The article with its label as given, for another look."""
        item = self.item
        return {
            "id": item.id, "story": item.story, "lang": item.lang, "title": item.title, "text": item.text,
            "themes": list(item.themes), **item.extra, "scores": self.scores, "quality": round(self.quality, 4),
            "reason": self.reason,
        }  # fmt: skip


def find_suspects(classifier: ThemeClassifier, items: Sequence[Item]) -> list[Suspect]:
    """The articles of ``items`` whose labels are probably wrong, worst first.

    Raises:
        DataError: there are no labels to compare, or no theme at all.
    """
    from cleanlab.multilabel_classification import get_label_quality_scores
    from cleanlab.multilabel_classification.filter import find_label_issues

    keys = classifier.artifact.taxonomy.keys
    truth = truth_table(items, keys)
    if not truth.any():
        raise DataError("no article carries a theme", remedy="give labelled articles, some with themes")
    results = predict_items(classifier, items)
    scores = np.asarray([[result.scores[key] for key in keys] for result in results])
    scores = np.where(label_mask(settle(items, keys), keys), scores, 0.0)  # what nobody judged is no error
    labels = [[int(k) for k in np.flatnonzero(row)] for row in truth]
    wrong = find_label_issues(labels, scores, n_jobs=1)
    quality = get_label_quality_scores(labels, scores)
    found = []
    for i in sorted(np.flatnonzero(wrong), key=lambda i: float(quality[i])):
        belief = np.where(truth[i], scores[i], 1 - scores[i])  # in the label as given, by theme
        doubtful = [k for k in np.argsort(belief) if belief[k] < 0.5] or [int(belief.argmin())]
        said = [
            f"{'labelled' if truth[i, k] else 'not labelled'} {keys[k]}, score {scores[i, k]:.0%}" for k in doubtful
        ]
        own = {key: round(float(p), 4) for key, p in zip(keys, scores[i], strict=True)}
        found.append(Suspect(items[int(i)], float(quality[i]), own, "; ".join(said)))
    return found


def optimism(artifact: Artifact, items: Sequence[Item]) -> str:
    """A warning where a model's scores on ``items`` flatter it: it was trained on them, or that cannot be told."""
    if digest(items) == artifact.training.get("data", {}).get("train", {}).get("sha256"):
        return "the model was trained on these articles: scores are optimistic, and errors it has learnt are missed"
    made = made_with(artifact)
    seen = overlaps(items, made.items) if made.items else {}
    if seen:
        return f"{len(seen)} of {len(items)} articles were in the model's training data: their scores are optimistic"
    if made.complete:
        return ""
    return "the model's training articles are not at hand: if these are among them, scores are optimistic"
