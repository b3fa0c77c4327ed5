"""JSON objects that the API gives."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from serve.api.inputs import EXAMPLE_TEXT, DecisionName, ModelName, Share

EXAMPLE_RESULT: dict[str, Any] = {
    "id": "a-17", "language": "en", "themes": ["sextortion"], "scores": {"sextortion": 0.9731},
    "decisions": {"sextortion": "match"},
    "evidence": {"sextortion": [{"start": 0, "end": 98, "text": EXAMPLE_TEXT, "share": 1.0}]},
    "windows": 1, "truncated": False, "taxonomy": "1.0",
    "model": {"name": "themewatch", "version": "0.1.0", "digest": "96b0c3ad1f27"},
}  # fmt: skip


class EvidenceOut(BaseModel):
    """A sentence that carries a theme; offsets are characters of ``text``, or of ``title`` where ``field`` says so."""

    start: int
    end: int
    text: str
    share: Share
    field: Literal["title"] | None = None


class ResultOut(BaseModel):
    """What the classification of one article says."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_RESULT]})

    id: str
    language: str = Field(description="ISO 639 code, und where it cannot be told")
    themes: list[str] = Field(description="The themes that match")
    scores: dict[str, Share] = Field(description="Calibrated probability of each theme")
    decisions: dict[str, DecisionName]
    evidence: dict[str, list[EvidenceOut]]
    windows: int = Field(description="Pieces the article was read in")
    truncated: bool = Field(description="Whether the article is longer than the model reads")
    model: ModelName
    taxonomy: str = Field(description="Version of the taxonomy")


class ResultsOut(BaseModel):
    """Answers, in the order of the articles."""

    results: list[ResultOut]


class FeedbackOut(BaseModel):
    """What was stored. When this arrives, it is on disk."""

    id: str = Field(description="SHA-256 of title and text")
    stored: Literal["created", "updated"]
    text_kept: bool
    trainable: bool = Field(description="Whether the export has it: the text is kept, the themes are settled")


class ThemeOut(BaseModel):
    """A theme and from which probabilities on it is to review, and matches."""

    key: str
    names: dict[str, str] = Field(description="Display names by language code")
    definition: str
    includes: list[str]
    excludes: list[str]
    source: str
    review_from: Share
    match_from: Share


class ThemesOut(BaseModel):
    """The taxonomy."""

    version: str
    themes: list[ThemeOut]


class ModelOut(BaseModel):
    """The model that answers from now on; what is in work may still get the one before."""

    name: str
    version: str
    digest: str = Field(description="SHA-256 of the model's manifest")
    backbone: str
    engine: str
    taxonomy: str
    max_windows: int
    since: datetime = Field(description="When this service began to answer with it, UTC")
    card: str = Field(description="The model card, Markdown")


class StatusOut(BaseModel):
    """The service is up."""

    status: Literal["ok"]


class ErrorBody(BaseModel):
    """What was wrong, for programs (``code``) and people (``message``), and in which field."""

    code: str
    message: str
    where: str | None = None


class ErrorOut(BaseModel):
    """The one shape of every error."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"error": {"code": "invalid", "message": "Field required", "where": "articles[3].text"}}]
        }
    )

    error: ErrorBody
