"""What a user could have instead: keyword rules, TF-IDF + logistic regression, frozen encoder + logistic regression.

The last two are trained on the very articles that trained the model (the corpus, split as its record says).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from model.backbone import resolve_backbone
from model.classifier import ThemeClassifier
from model.errors import DataError
from model.windows import Windower
from training.data import Item
from training.seen import recorded_parts
from training.table import figures, truth_table

Scorer = Callable[[Sequence[Item]], NDArray[np.float64]]
Fit = Callable[[Sequence[Item], Sequence[str], ThemeClassifier], Scorer]
KEYWORDS = Path(__file__).parent.parent / "configs" / "keywords.yaml"


def fit_baselines(classifier: ThemeClassifier, data: Sequence[Path] = ()) -> dict[str, Scorer]:
    """Every baseline, trained once on the articles that trained the model.

    Args:
        data: the files it was trained on; empty: the bundled corpus.

    Raises:
        DataError: the model's training articles are not at hand.
    """
    train, keys = training_items(classifier, data), classifier.artifact.taxonomy.keys
    fits: dict[str, Fit] = {
        "TF-IDF + logistic regression": fit_tfidf,
        "frozen encoder + logistic regression": fit_frozen,
    }
    if KEYWORDS.is_file():
        fits = {"keyword rules": fit_keywords, **fits}
    return {name: fit(train, keys, classifier) for name, fit in fits.items()}


def baseline_tables(scorers: dict[str, Scorer], items: Sequence[Item], keys: Sequence[str]) -> dict[str, Any]:
    """Figures of each baseline on ``items``; one threshold of one half for all."""
    scored = {name: scorer(items) for name, scorer in scorers.items()}
    return {name: figures(items, keys, scores >= 0.5, scores) for name, scores in scored.items()}


def training_items(classifier: ThemeClassifier, data: Sequence[Path] = ()) -> list[Item]:
    """The articles that trained a model, found again by its record and checked by digest.

    Raises:
        DataError: they are not at hand.
    """
    parts = recorded_parts(classifier.artifact, data)
    if parts is None:
        raise DataError(
            "the articles this model was trained on are not at hand",
            remedy="give them with --trained-on, or --no-baselines",
        )
    return parts.train


def fit_keywords(_train: Sequence[Item], keys: Sequence[str], _classifier: ThemeClassifier) -> Scorer:
    """Rules of ``configs/keywords.yaml``: any pattern of any language; parts joined by ``&`` must all occur."""
    rules = yaml.safe_load(KEYWORDS.read_text("utf-8"))
    patterns = [
        [[part.strip().casefold() for part in p.split("&")] for ps in rules.get(key, {}).values() for p in ps]
        for key in keys
    ]

    def score(items: Sequence[Item]) -> NDArray[np.float64]:
        texts = [item.article.full_text.casefold() for item in items]
        return np.asarray(
            [[float(any(all(part in text for part in p) for p in own)) for own in patterns] for text in texts]
        )

    return score


def fit_tfidf(train: Sequence[Item], keys: Sequence[str], _classifier: ThemeClassifier) -> Scorer:
    """Character 2-5-grams inside words, logistic regression per theme."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, max_features=200_000),
        OneVsRestClassifier(LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000)),
    )
    model.fit([i.article.full_text for i in train], truth_table(train, keys))
    return lambda items: np.asarray(model.predict_proba([i.article.full_text for i in items]))


def fit_frozen(train: Sequence[Item], keys: Sequence[str], classifier: ThemeClassifier) -> Scorer:
    """Mean token vector of the untouched encoder over the whole article, logistic regression per theme."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(
        StandardScaler(),
        OneVsRestClassifier(LogisticRegression(C=0.1, class_weight="balanced", max_iter=2000)),
    )
    backbone, config = classifier.artifact.backbone, classifier.artifact.windows
    encode = frozen_vectors(backbone, Windower.from_folder(resolve_backbone(backbone), config))
    model.fit(encode(train), truth_table(train, keys))
    return lambda items: np.asarray(model.predict_proba(encode(items)))


def frozen_vectors(backbone: str, windower: Windower) -> Callable[[Sequence[Item]], NDArray[np.float32]]:
    """A function from items to float32 ``[items, hidden]``: mean-pooled frozen token vectors.

    The vectors come from the same store as those of a frozen training run: bf16 where the processor is fast
    at it, in batches, each window once and then from the user's cache.
    """
    import torch
    from transformers import AutoModel

    from training.features import FeatureStore, encoder_key, mean_vectors
    from training.trainer import precision

    folder = resolve_backbone(backbone)
    dtype = precision("auto", "cuda" if torch.cuda.is_available() else "cpu")
    encoder = AutoModel.from_pretrained(folder, add_pooling_layer=False)
    store = FeatureStore(encoder, encoder_key(folder, None, dtype), dtype)

    def encode(items: Sequence[Item]) -> NDArray[np.float32]:
        encoded = [windower.encode(item.article, item.lang) for item in items]
        store.fill((window for article in encoded for window in article.windows), "articles with the frozen encoder")
        return mean_vectors(store, encoded, windower.lead)

    return encode
