"""What the tabs share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import gradio as gr

from model.artifact import Artifact
from model.classifier import ThemeClassifier
from model.errors import InputError, ThemewatchError
from model.result import Result
from model.text import Article
from serve.feedback.record import Feedback

Save = Callable[[Feedback], bool]  # whether the record is new


class LaterError(InputError):
    """Too much waits to be scored; the same again may well succeed."""


@dataclass(frozen=True)
class Context:
    """The model behind the page, where corrections go, and who is asking ("" for anybody)."""

    classifier: ThemeClassifier
    save: Save
    user: Callable[[gr.Request], str] = field(default=lambda _request: "")

    def answer(self, text: str) -> tuple[Result, Artifact]:
        """What is found in an article, and the model that found it: another may take over at any time.

        Raises:
            ThemewatchError: the text cannot be classified now.
        """
        before = self.classifier.artifact
        result = self.classifier.predict([Article(text)])[0]
        for artifact in (before, self.classifier.artifact):
            if artifact.label() == result.model:
                return result, artifact
        raise ThemewatchError("the model was replaced meanwhile", remedy="read it again")


@dataclass(frozen=True)
class Reading:
    """An article that was read, and what was found in it; lives in memory, with its browser tab."""

    text: str
    result: Result


def default_save() -> Save:
    """Into the store that ``themewatch feedback export`` reads; opened with the first correction."""

    def save(feedback: Feedback) -> bool:
        import os

        from serve.feedback.command import DATABASE_VARIABLE
        from serve.feedback.store import FeedbackStore

        store = FeedbackStore.open(os.environ.get(DATABASE_VARIABLE))
        try:
            return store.put(feedback)
        finally:
            store.close()

    return save
