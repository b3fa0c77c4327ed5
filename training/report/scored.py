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
