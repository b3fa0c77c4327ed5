"""One reader's word on one article, and what of it can be learnt from."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

_REVIEW = "review"
_MATCH = "match"
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True)
class Feedback:
    """What one reader said about one article.

    Attributes:
        text: the article; stored only with ``consent``, otherwise only its hash is.
        user: who said it; empty where nobody is logged in.
        scores: calibrated probability, 0 to 1, of each theme.
        decisions: ``match``, ``review`` or ``none`` for each theme.
        verdicts: for some themes, whether the article reports on them.
        themes: all themes that the article reports on, where the reader listed them.
    """

    text: str
    title: str
    consent: bool
    language: str
    model_name: str
    model_version: str
    taxonomy: str
    scores: dict[str, float]
    decisions: dict[str, str]
    verdicts: dict[str, bool]
    themes: tuple[str, ...] | None = None
    note: str = ""
    article_id: str = ""
    user: str = ""

    @property
    def digest(self) -> str:
        """Hex SHA-256 of title and text: names the article in the store."""
        parts = json.dumps([storable(self.title), storable(self.text)])
        return hashlib.sha256(parts.encode("ascii")).hexdigest()

    @property
    def labels(self) -> list[str] | None:
        """The article's themes as far as a reader vouches for them; None where that leaves any open.

        A full list counts as it stands. Otherwise verdicts go before the model's decisions, which
        count for themes without a verdict unless the model itself asked for a review.
        """
        if self.themes is not None:
            return sorted(set(self.themes))
        if not self.verdicts:
            return None
        if any(decision == _REVIEW and key not in self.verdicts for key, decision in self.decisions.items()):
            return None
        settled = {key: decision == _MATCH for key, decision in self.decisions.items()} | self.verdicts
        return sorted(key for key, carried in settled.items() if carried)


def storable(text: str) -> str:
    """``text`` with what no database takes replaced one for one, so that character offsets hold."""
    return _SURROGATE.sub("\ufffd", text.replace("\0", " "))
