"""What a classification says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model.decisions import Decision


@dataclass(frozen=True)
class Evidence:
    """A sentence that carries a theme.

    ``start`` and ``end`` are character offsets into the text as given (into the title where
    ``in_title``); ``share`` is the sentence's part, 0 to 1, in all that speaks for the theme.
    """

    start: int
    end: int
    text: str
    share: float
    in_title: bool = False

    def to_dict(self) -> dict[str, Any]:
        place = {"field": "title"} if self.in_title else {}
        return {"start": self.start, "end": self.end, "text": self.text, "share": self.share, **place}


@dataclass(frozen=True)
class Result:
    """Themes of one article: calibrated probabilities, decisions, and the sentences that show why."""

    id: str
    language: str
    scores: dict[str, float]
    decisions: dict[str, Decision]
    evidence: dict[str, tuple[Evidence, ...]]
    windows: int
    truncated: bool
    model: dict[str, str]
    taxonomy: str
    logits: dict[str, float]

    @property
    def themes(self) -> list[str]:
        """The themes that match, in taxonomy order."""
        return [key for key, decision in self.decisions.items() if decision is Decision.MATCH]

    def to_dict(self) -> dict[str, Any]:
        """The JSON object that the command line, the API and batch scoring give."""
        return {
            "id": self.id,
            "language": self.language,
            "themes": self.themes,
            "scores": {key: round(score, 4) for key, score in self.scores.items()},
            "decisions": {key: decision.value for key, decision in self.decisions.items()},
            "evidence": {key: [e.to_dict() for e in found] for key, found in self.evidence.items()},
            "windows": self.windows,
            "truncated": self.truncated,
            "model": self.model,
            "taxonomy": self.taxonomy,
        }
