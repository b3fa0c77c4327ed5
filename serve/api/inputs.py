"""JSON objects that the API takes. Validation is strict: nothing is read as something else."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from model.text import Article
from serve.api.limits import MAX_ARTICLES, MAX_TEXT, MAX_TITLE

EXAMPLE_TEXT = "Police arrested a man who demanded money from teenagers and threatened to publish intimate images."
LanguageCode = Annotated[str, Field(pattern="^[a-z]{2,3}$", description="ISO 639 code", examples=["en"])]
ThemeKey = Annotated[str, Field(min_length=1, max_length=100, description="Key of a theme", examples=["sextortion"])]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
DecisionName = Literal["match", "review", "none"]
_MOST_KEYS = 200


def _few(value: Any) -> Any:
    if isinstance(value, dict) and len(value) > _MOST_KEYS:
        raise ValueError(f"more than {_MOST_KEYS} themes")
    return value


_Few = BeforeValidator(_few)


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _only_known(cls, value: Any) -> Any:
        # before pydantic does, which would build an error for each of a million keys
        if isinstance(value, dict) and not value.keys() <= cls.model_fields.keys():
            raise ValueError(f"unknown field; there are: {', '.join(cls.model_fields)}")
        return value


class ArticleIn(_Sent):
    """An article to classify."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "a-17", "text": EXAMPLE_TEXT}]})

    text: str = Field(max_length=MAX_TEXT, pattern=r"\S", description="The article, plain text")
    title: str = Field("", max_length=MAX_TITLE, description="Its title, where it stands apart from the text")
    id: str = Field("", max_length=200, description="Yours; it comes back with the answer")
    language: LanguageCode | None = Field(None, description="ISO 639 code where it is known; otherwise detected")

    @field_validator("text")
    @classmethod
    def _not_blank(cls, text: str) -> str:
        if not text.replace("\0", " ").strip():  # what ``Article`` finds empty; cheaper, for this holds up all others
            raise ValueError("the text is empty")
        return text

    def article(self) -> Article:
        """What the classifier reads."""
        return Article(self.text, self.title, self.id)


class ArticlesIn(_Sent):
    """Several articles, answered in order."""

    articles: list[ArticleIn] = Field(min_length=1, max_length=MAX_ARTICLES)


def _kind(value: Any) -> str:
    many = "articles" in value if isinstance(value, dict) else isinstance(value, ArticlesIn)
    return "many" if many else "one"


ClassifyIn = Annotated[
    Annotated[ArticleIn, Tag("one")] | Annotated[ArticlesIn, Tag("many")], Discriminator(_kind)
]  # fmt: skip


class ModelName(BaseModel):
    """Which model gave an answer."""

    model_config = ConfigDict(strict=True)

    name: str = Field(max_length=200)
    version: str = Field(max_length=200)
    digest: str = Field("", max_length=64, description="Beginning of the digest that `/v1/model` gives")


class ResultIn(BaseModel):
    """An answer as `/v1/classify` gave it; what feedback does not need of it is not looked at."""

    model_config = ConfigDict(extra="ignore", strict=True)

    language: str = Field(max_length=20, pattern="^[A-Za-z-]*$")
    scores: Annotated[dict[ThemeKey, Share], _Few] = Field(max_length=_MOST_KEYS)
    decisions: Annotated[dict[ThemeKey, DecisionName], _Few] = Field(max_length=_MOST_KEYS)
    model: ModelName
    taxonomy: str = Field(max_length=200)


class FeedbackIn(_Sent):
    """A reader's word on an article: verdicts for some themes, or the full list of its themes, or a note."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"article": {"text": EXAMPLE_TEXT}, "themes": ["sextortion"], "consent": True}],
            "anyOf": [{"required": [name]} for name in ("verdicts", "themes", "note")],
        }
    )

    article: ArticleIn
    verdicts: Annotated[dict[ThemeKey, bool], _Few] = Field(
        {}, min_length=1, max_length=_MOST_KEYS, description="For each theme judged: whether the article reports on it"
    )
    themes: list[ThemeKey] = Field(
        [], max_length=_MOST_KEYS, description="All themes that the article reports on; an empty list for none"
    )
    note: str = Field("", min_length=1, max_length=2_000)
    consent: bool = Field(False, description="Whether text and title may be kept, and learnt from")
    result: ResultIn | None = Field(None, description="The answer spoken about; without it the article is read again")

    @model_validator(mode="after")
    def _says_something(self) -> FeedbackIn:
        if not self.model_fields_set & {"verdicts", "themes", "note"}:
            raise ValueError("give verdicts, themes or a note")
        return self

    @property
    def listed(self) -> tuple[str, ...] | None:
        """The full list of themes, where one was given."""
        return tuple(self.themes) if "themes" in self.model_fields_set else None
