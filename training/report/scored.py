"""Labelled articles together with a model's answers: what every part of the report is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from model.classifier import ThemeClassifier
from model.decisions import Decision
from model.result import Result
from training.comparison import Answers
from training.data import Item
from training.labels import label_mask, settle
from training.metrics import Bools, Floats
from training.table import predict_items, truth_table


@dataclass(frozen=True)
class Scored:
    """Tables are ``[articles, themes]``; ``items`` have their language filled in where none was given."""

    items: list[Item]
    keys: tuple[str, ...]
    results: list[Result]
    truth: Bools
    answers: Answers

    @property
    def scores(self) -> Floats:
        """Calibrated probabilities."""
        return self.answers.scores

    @property
    def said(self) -> Bools:
        """Matches."""
        return self.answers.said

    @property
    def kept(self) -> Bools:
        """Matches and reviews."""
        kept: Bools = self.answers.decisions != str(Decision.NONE)
        return kept

    @property
    def stories(self) -> list[str]:
        return [item.story for item in self.items]


def score_items(classifier: ThemeClassifier, items: Sequence[Item]) -> Scored:
    """The served answers for ``items``, without evidence."""
    keys = classifier.artifact.taxonomy.keys
    results = predict_items(classifier, items)
    known = [item if item.lang else replace(item, lang=r.language) for item, r in zip(items, results, strict=True)]
    decisions = np.asarray([[str(r.decisions[k]) for k in keys] for r in results])
    scores = np.asarray([[r.scores[k] for k in keys] for r in results], dtype=float)
    answers = Answers(keys, decisions == str(Decision.MATCH), scores, decisions)
    return Scored(known, keys, results, truth_table(known, keys), answers)


def answers_of(keys: tuple[str, ...], scores: Floats) -> Answers:
    """A baseline's answers: scores ``[articles, themes]``, cut at one half, with no review band."""
    said: Bools = scores >= 0.5
    return Answers(keys, said, scores, np.where(said, str(Decision.MATCH), str(Decision.NONE)))


def unjudged_line(items: Sequence[Item], keys: Sequence[str]) -> str:
    """What the column ``labelled`` says nobody judged, in one line; empty where all was judged.

    Raises:
        DataError: the column names something that is no theme.
    """
    mask = label_mask(settle(items, keys), keys)
    if mask.all():
        return ""
    rows = [item.id for item, whole in zip(items, np.atleast_1d(mask.all(axis=1)), strict=True) if not whole]
    return (
        f"{len(rows):,} of {len(items):,} articles were not judged for every theme (column `labelled`: "
        f"{', '.join(rows[:3])}{', …' if len(rows) > 3 else ''}); what nobody judged counts as 'no' here: leave them "
        "out, or judge them"
    )
