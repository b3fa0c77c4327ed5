"""Scoring itself: the same batches for the same chunk, whichever process does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from model.errors import InputError
from model.text import Article
from serve.score.rows import dumps

if TYPE_CHECKING:
    from model.artifact import Artifact
    from model.engines import Engine
    from model.result import Result

_SLICE = 32_768  # tokens between two signs of life


@dataclass(frozen=True, slots=True)
class Scored:
    """What the output says about one article; ``evidence`` is JSON: themes to evidence objects."""

    language: str
    themes: tuple[str, ...]
    scores: tuple[float, ...]
    decisions: tuple[str, ...]
    windows: int
    truncated: bool
    evidence: str
    tokens: int


Outcome = Scored | str  # a string says why the article cannot be scored
Tick = Callable[[float, int], None]  # articles (fractions while a chunk is under way), tokens


@dataclass(frozen=True)
class ModelChoice:
    """Which model, how it runs, and the user's own thresholds (theme key to probability)."""

    folder: str | None = None
    engine: str = "auto"
    thresholds: tuple[tuple[str, float], ...] = ()
    explain: bool = False


class Scorer:
    """A loaded classifier that scores chunks."""

    def __init__(self, choice: ModelChoice, tick: Tick, threads: int | None = None) -> None:
        from model.classifier import ThemeClassifier

        self._classifier = ThemeClassifier.load(choice.folder, choice.engine, threads)
        self._classifier.artifact = with_thresholds(self._classifier.artifact, choice.thresholds)
        self._engine = Metered(self._classifier.engine, tick)
        self._classifier.engine = self._engine
        self._explain = choice.explain
        self.engine_name = self._engine.name

    def score(self, articles: Sequence[Article]) -> list[Outcome]:
        """The outcome of each article, in order. All windows go to the engine at once, so tokens fill its batches."""
        encoded, places = [], []
        outcomes: list[Outcome] = [""] * len(articles)
        for place, article in enumerate(articles):
            try:
                encoded.append(self._classifier.windower.encode(article))
                places.append(place)
            except InputError as error:
                outcomes[place] = error.what
            except (MemoryError, OSError):
                raise
            except Exception as error:  # whatever a text does to a tokenizer, the other rows still count
                outcomes[place] = f"cannot be scored ({type(error).__name__}: {str(error)[:80]})"
        self._engine.expect(len(encoded), sum(len(window) for item in encoded for window in item.windows))
        for place, item, result in zip(
            places, encoded, self._classifier.predict_encoded(encoded, self._explain), strict=True
        ):
            outcomes[place] = scored(result, sum(map(len, item.windows)))
        return outcomes


def scored(result: Result, tokens: int = 0) -> Scored:
    """What the output says about an article of so many ``tokens``, from the model's answer."""
    told = result.to_dict()
    return Scored(
        result.language, tuple(told["themes"]), tuple(told["scores"].values()), tuple(told["decisions"].values()),
        result.windows, result.truncated, dumps(told["evidence"]), tokens,
    )  # fmt: skip


def with_thresholds(artifact: Artifact, thresholds: Sequence[tuple[str, float]]) -> Artifact:
    """The artifact with the user's thresholds: ``match`` from there, ``review`` where it was, but not above.

    Raises:
        InputError: no such theme.
    """
    rules = dict(artifact.decisions.themes)
    for key, value in thresholds:
        if key not in rules:
            raise InputError(f"no theme {key!r}", where="--threshold", remedy=f"themes: {', '.join(rules)}")
        rules[key] = replace(rules[key], threshold=value, upper=value, lower=min(rules[key].lower, value))
    return replace(artifact, decisions=replace(artifact.decisions, themes=rules))


class Metered:
    """An engine that tells how far it got: long work reaches it in slices of windows of like length."""

    def __init__(self, engine: Engine, tick: Tick) -> None:
        self.name = engine.name
        self._engine, self._tick = engine, tick
        self._share = 0.0

    def expect(self, articles: int, tokens: int) -> None:
        """Announce what the next call is worth."""
        self._share = articles / max(1, tokens)

    def bias(self) -> NDArray[np.float32]:
        return self._engine.bias()

    def token_scores(self, windows: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        out: list[NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(windows)
        group: list[int] = []
        tokens = 0
        order = sorted(range(len(windows)), key=lambda i: -len(windows[i]))
        for at, index in enumerate(order):
            group.append(index)
            tokens += len(windows[index])
            if tokens >= _SLICE or at == len(order) - 1:
                for place, scores in zip(group, self._engine.token_scores([windows[i] for i in group]), strict=True):
                    out[place] = scores
                self._tick(tokens * self._share, tokens)
                group, tokens = [], 0
        return out
