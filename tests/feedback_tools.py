"""What the tests of feedback share: a piece of feedback, and a store in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serve.feedback.record import Feedback
from serve.feedback.store import FeedbackStore

THEMES = ("sextortion", "livestreamed_abuse", "trafficking_recruitment", "crypto_laundering")


def said(**changes: Any) -> Feedback:
    plain = Feedback(
        text="The mixer laundered coins.", title="Court", consent=True, language="en", model_name="tiny",
        model_version="0.1.0", taxonomy="1.0", scores=dict.fromkeys(THEMES, 0.5),
        decisions=dict.fromkeys(THEMES, "none"), verdicts={}, themes=("crypto_laundering",),
    )  # fmt: skip
    return replace(plain, **changes)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'deep' / 'er' / 'feedback.sqlite3'}"


@pytest.fixture
def store(url: str) -> Iterator[FeedbackStore]:
    store = FeedbackStore.open(url)
    yield store
    store.close()
