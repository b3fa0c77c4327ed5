"""``ThemeClassifier``: the one way from an article to themes, for every front and every evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.artifact import Artifact
from model.backbone import backbone_digest, resolve_backbone, resolve_tokenizer
from model.decisions import Decision
from model.engines import Engine, load_engine
from model.errors import ArtifactError
from model.evidence import find_evidence
from model.lexical import Lexical
from model.pooling import contributions
from model.result import Evidence, Result
from model.text import Article
from model.windows import Encoded, Windower


class ThemeClassifier:
    """A loaded artifact. Any number of threads may ask at once; they share the processor."""

    def __init__(self, artifact: Artifact, engine: Engine, windower: Windower, lexical: Lexical | None = None) -> None:
        self.artifact = artifact
        self.engine = engine
        self.windower = windower
        self.lexical = lexical
        self._bias = engine.bias()

    @classmethod
    def load(
        cls, folder: Path | str | None = None, engine: str = "auto", threads: int | None = None
    ) -> ThemeClassifier:
        """Load an artifact folder (default: the released model that comes with the package).

        Raises:
            ArtifactError: the folder is damaged, foreign, or made for another encoder.
            BackboneError, CacheError, EngineError: see there.
        """
        artifact = Artifact.load(folder)
        if artifact.backbone != "bundled" and _changed(artifact):
            raise ArtifactError(
                f"made for another encoder than {artifact.backbone} now gives",
                where=artifact.folder, remedy="use the encoder it was trained on, or retrain",
            )  # fmt: skip
        windower = Windower.from_folder(resolve_tokenizer(artifact.backbone), artifact.windows)
        return cls(artifact, load_engine(artifact, engine, threads), windower, Lexical.load(artifact.folder))

    def predict(self, articles: Iterable[Article | str], *, explain: bool = True, language: str = "") -> list[Result]:
        """Classify articles, in order.

        Args:
            articles: texts of any length; a plain string is a text without title.
            explain: whether to look for evidence.
            language: ISO code for all of them, where it is known; detected otherwise.

        Raises:
            InputError: a text is empty or not a string.
        """
        given = [a if isinstance(a, Article) else Article(a) for a in articles]
        return self.predict_encoded([self.windower.encode(a, language) for a in given], explain)

    def predict_encoded(self, encoded: Sequence[Encoded], explain: bool = True) -> list[Result]:
        """``predict`` for articles already cut into windows."""
        windows = [window for item in encoded for window in item.windows]
        scores = self.engine.token_scores(windows)
        results, at = [], 0
        for item in encoded:
            own = scores[at : at + len(item.windows)]
            at += len(item.windows)
            results.append(self._result(item, own, explain))
        return results

    def _result(self, item: Encoded, scores: list[NDArray[np.float32]], explain: bool) -> Result:
        lead = self.windower.lead
        content = [s[lead : lead + b - a] for s, (a, b) in zip(scores, item.spans, strict=True)]
        entries = np.concatenate(content)
        parts = contributions(np, self.artifact.pooling, entries, item.weights, item.spans)
        bias = self._bias
        if self.lexical is not None:
            own, rest = self.lexical.contributions(item, lead)
            parts, bias = parts + own, bias + rest
        logits = parts.sum(axis=0) + bias
        probabilities: dict[str, float] = {}
        decisions: dict[str, Decision] = {}
        evidence: dict[str, tuple[Evidence, ...]] = {}
        for index, (key, rule) in enumerate(self.artifact.decisions.themes.items()):
            probabilities[key] = rule.probability(float(logits[index]))
            decisions[key] = rule.decide(probabilities[key])
            if explain and decisions[key] is not Decision.NONE:
                evidence[key] = find_evidence(item, parts[:, index])
        return Result(
            id=item.article.id, language=item.language, scores=probabilities,
            decisions=decisions, evidence=evidence, windows=len(item.windows),
            truncated=item.truncated,
            model=self.artifact.label(),
            taxonomy=self.artifact.taxonomy.version,
            logits=dict(zip(probabilities, map(float, logits), strict=True)),
        )  # fmt: skip


def _changed(artifact: Artifact) -> bool:
    """Whether the encoder is another than the one the artifact was trained on (bundled: pinned)."""
    return backbone_digest(resolve_backbone(artifact.backbone)) != artifact.backbone_sha256
