"""Calibrated probabilities and the three-way decision, per theme."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from model.errors import EngineError


class Decision(StrEnum):
    """What to do with an article for one theme."""

    MATCH = "match"
    REVIEW = "review"
    NONE = "none"


@dataclass(frozen=True)
class ThemeDecision:
    """Calibration and thresholds of one theme; all but slope and intercept are probabilities.

    ``probability = sigmoid(slope * logit + intercept)`` (Platt 1999, fitted on validation data).
    ``match`` from ``upper``, ``review`` from ``lower``; ``threshold`` lies between the two.
    """

    slope: float
    intercept: float
    threshold: float
    lower: float
    upper: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.lower <= self.threshold <= self.upper <= 1.0:
            raise ValueError(f"thresholds out of order: {self}")

    def probability(self, logit: float) -> float:
        """Calibrated probability of a logit. Raises EngineError where it is no number."""
        if not math.isfinite(logit):
            raise EngineError("the engine gave no number", remedy="try another --engine, or another model")
        z = max(-60.0, min(60.0, self.slope * logit + self.intercept))
        return 1.0 / (1.0 + math.exp(-z))

    def decide(self, probability: float) -> Decision:
        """``match``, ``review`` or ``none`` for a calibrated probability."""
        if probability >= self.upper:
            return Decision.MATCH
        return Decision.REVIEW if probability >= self.lower else Decision.NONE


@dataclass(frozen=True)
class Decisions:
    """The decisions of all themes, in taxonomy order."""

    themes: Mapping[str, ThemeDecision]

    @classmethod
    def identity(cls, keys: tuple[str, ...]) -> Decisions:
        """Uncalibrated: plain sigmoid, threshold one half, no review band."""
        return cls({key: ThemeDecision(1.0, 0.0, 0.5, 0.5, 0.5) for key in keys})

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Decisions:
        return cls({key: ThemeDecision(**spec) for key, spec in data["themes"].items()})

    def to_dict(self) -> dict[str, Any]:
        return {"themes": {key: asdict(spec) for key, spec in self.themes.items()}}
