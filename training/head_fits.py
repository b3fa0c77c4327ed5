"""Heads and the articles each may be judged on; what validation settles once they are trained.

With few own articles there are several: one head a fold, judged on the own articles it did not see, and the one that is
served, judged on validation articles. What is settled is settled on all of them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.cache import progress
from model.engines.base import Engine
from model.lexical import Lexical
from model.windows import Encoded, Windower
from training.build import in_memory
from training.data import Item
from training.features import FeatureStore
from training.head import Examples, Head, HeadTask, mixed
from training.measure import calibrated_log_loss, logits_of
from training.own_words import with_words
from training.prepare import Run
from training.soup import BLENDS

Logits = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """A trained head.

    Attributes:
        rows: the examples it was trained on; asked: articles it did not see.
        part: the linear part beside it.
    """

    head: Head
    rows: list[int]
    asked: list[Item]
    part: Lexical | None


class FeatureEngine:
    """An engine (see ``model.engines.base``) of a head over kept features: the served path without the encoder."""

    name = "features"

    def __init__(self, store: FeatureStore, head: Head) -> None:
        self._store, self._head = store, head

    def token_scores(self, windows: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        given = [tuple(window) for window in windows]
        self._store.fill(given, "articles")
        return [(self._store.get(window).float() @ self._head.weight.T).numpy() for window in given]

    def bias(self) -> NDArray[np.float32]:
        return np.asarray(self._head.bias.numpy(), dtype=np.float32)


class Asked:
    """Logits ``[articles, themes]`` of a run's heads, as the served model gives them: the language is detected."""

    def __init__(self, run: Run, store: FeatureStore, windower: Windower) -> None:
        self._run, self._store, self._windower = run, store, windower
        self._cut: dict[str, Encoded] = {}

    def __call__(self, head: Head, items: Sequence[Item], part: Lexical | None) -> Logits:
        cut = self._cut
        return self.encoded(
            head, [cut.get(i.id) or cut.setdefault(i.id, self._windower.encode(i.article)) for i in items], part
        )

    def encoded(self, head: Head, encoded: Sequence[Encoded], part: Lexical | None = None) -> Logits:
        """The same of articles cut into windows already."""
        engine: Engine = FeatureEngine(self._store, head)
        served = in_memory(self._run, None, self._windower, engine=engine, lexical=part)
        return logits_of(served.predict_encoded(encoded, explain=False), self._run.taxonomy.keys)

    def all(self, fits: Sequence[Fit]) -> tuple[list[Item], Logits]:
        """The articles that ``fits`` are judged on, and what these say of them."""
        return [i for f in fits for i in f.asked], np.concatenate([self(f.head, f.asked, f.part) for f in fits])

    def loss(self, fits: Sequence[Fit]) -> float:
        """Log loss on them."""
        return calibrated_log_loss(*self.all(fits), self._run.taxonomy.keys)


def settle_share(
    fits: list[Fit], begin: Head, fresh: Sequence[int], asked: Asked
) -> tuple[list[Fit], dict[str, float]]:
    """How far heads go from the one that training started from, by log loss (see ``training.soup``).

    Returns:
        The heads, and for the record the loss at each share, the one served first.
    """

    def gone(share: float) -> list[Fit]:
        return [replace(f, head=mixed(begin, f.head, share, fresh)) for f in fits]

    losses = {share: asked.loss(gone(share)) for share in BLENDS}
    ranked = sorted(BLENDS, key=lambda share: losses[share])
    told = ", ".join(f"{losses[share]:.4f} at {share:g}" for share in BLENDS)
    progress(f"log loss on the way from the starting model's head: {told}; {ranked[0]:g} is served")
    return gone(ranked[0]), {f"blend {share:g}": losses[share] for share in ranked}


def settle_words(
    fits: list[Fit], examples: Examples, task: HeadTask, asked: Asked
) -> tuple[list[Fit], dict[str, float]]:
    """Whether words of own articles come to the linear part (see ``training.own_words``), by log loss."""
    themes = [k for k in range(examples.truth.shape[1]) if k not in task.kept]

    def taught(fit: Fit) -> Fit:
        own = examples.take(fit.rows)
        network = asked.encoded(fit.head, own.encoded)
        assert fit.part is not None
        part = with_words(fit.part, own.encoded, network, own.truth, own.mask, themes, task.lead)
        return replace(fit, part=part)

    progress("learning the words of these articles…")
    more = [taught(fit) for fit in fits]
    before, after = asked.loss(fits), asked.loss(more)
    progress(f"log loss {after:.4f} with them, {before:.4f} without")
    losses = {"own words": after, "no own words": before}
    return (more if after < before else fits), dict(sorted(losses.items(), key=lambda pair: pair[1]))
