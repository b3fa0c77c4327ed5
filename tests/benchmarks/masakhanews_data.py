"""What the MasakhaNEWS benchmark needs: its articles, the project's training on them, a baseline on the same articles.

The body alone is read: the headline is left out. Training is ``training.prepare.prepare`` and ``training.run.train``
on a taxonomy, a configuration and JSONL files in a temporary folder, as ``themewatch train --data --themes`` has it.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import yaml
from numpy.typing import NDArray

from model.artifact import Artifact
from model.classifier import ThemeClassifier
from model.decisions import Decisions
from model.lexical import Lexical
from model.network import ThemeNetwork
from model.result import Result
from model.windows import Encoded, Windower
from training import head_run
from training.build import in_memory
from training.config import TrainConfig, load_config
from training.data import Item
from training.head import Head
from training.head_fits import FeatureEngine
from training.prepare import Run, prepare
from training.run import feature_store, train
from training.splits import Parts

REPOSITORY = Path(__file__).parents[2]
DATA = REPOSITORY.parent / "shared" / "data" / "masakhanews"
CODES = {"amh": "am", "eng": "en", "fra": "fr", "hau": "ha", "lin": "ln", "pcm": "pcm", "swa": "sw", "tir": "ti",
         "yor": "yo"}  # fmt: skip
_FEATURES_GB = 16.0  # of disk: the test files of six languages take about 2.5; what the user has cached stays too
_CHUNK = 64  # articles a call
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """Of test articles: calibrated ``probabilities`` and ``logits``, both ``[items, topics]`` in taxonomy order."""

    probabilities: Scores
    logits: Scores


def read_articles(language: str, part: str) -> list[Item]:
    """The articles of ``<language>/<part>.tsv``: body, one topic each; no headline."""
    csv.field_size_limit(10_000_000)  # bytes of a cell; the default is less than a long article
    with (DATA / language / f"{part}.tsv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [
        Item(id=f"{language}-{part}-{number}", text=row["text"], themes=(row["category"],), lang=CODES[language])
        for number, row in enumerate(rows, 1)
    ]


def some(items: Sequence[Item], limit: int) -> list[Item]:
    """At most ``limit`` of the items, the same each time; 0: all."""
    return random.Random(0).sample(items, limit) if 0 < limit < len(items) else list(items)


def draw(items: Sequence[Item], per_label: int, draws: int) -> Iterator[list[Item]]:
    """``draws`` times ``per_label`` articles of each topic; once where that is all there are."""
    topics = {key: [item for item in items if item.themes == (key,)] for key in topics_of(items)}
    once = all(len(own) <= per_label for own in topics.values())
    for number in range(1 if once else max(draws, 1)):
        rng = random.Random(number)
        yield [item for own in topics.values() for item in rng.sample(own, min(per_label, len(own)))]


def topics_of(items: Sequence[Item]) -> tuple[str, ...]:
    """The topics that occur, sorted: the order of all tables of scores."""
    return tuple(sorted({item.themes[0] for item in items}))


def gold(items: Sequence[Item], keys: Sequence[str]) -> NDArray[np.int64]:
    """Each item's topic as its place in ``keys``."""
    return np.asarray([keys.index(item.themes[0]) for item in items], dtype=np.int64)


def configuration(
    folder: Path, base: str, keys: Sequence[str], epochs: int = 0, windows: int = 0, start: str = "", runs: int = 1
) -> TrainConfig:
    """``configs/<base>.yaml`` for the topics, written to ``folder`` and read back.

    Args:
        epochs: instead of the file's; windows: of 512 tokens read of each article, instead of the file's; 0: as there.
        start: the model that training starts from, its themes before the topics; without it the bare encoder.
        runs: trainings in other orders, of which the average or the best is served.
    """
    themes = [
        {"key": key, "names": {"en": key.capitalize()}, "definition": f"News on {key}.", "includes": [],
         "excludes": [], "source": "MasakhaNEWS"}
        for key in keys
    ]  # fmt: skip
    (folder / "topics.yaml").write_text(yaml.safe_dump({"version": "1", "themes": themes}), "utf-8")
    settings: dict[str, Any] = yaml.safe_load((REPOSITORY / "configs" / f"{base}.yaml").read_text("utf-8"))
    settings |= {"name": "masakhanews", "taxonomy": "topics.yaml", "features": {"limit_gb": _FEATURES_GB}}
    if epochs:
        settings["optimizer"]["epochs"] = epochs
    if runs > 1:
        settings["runs"] = runs
    if windows:
        settings["windows"] = {**settings.get("windows", {}), "limit": windows}
    if start:  # its linear part knows nothing of the topics, so these get one of their own
        settings |= {"start": start, "replay": 0.0, "lexical": True}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    return load_config(folder / "config.yaml")


def prepared(config: TrainConfig, folder: Path, train_part: Sequence[Item], validation: Sequence[Item] = ()) -> Run:
    """``prepare`` on the articles as JSONL. Its test part trains too: the benchmark has a test file.

    Args:
        validation: articles that choose epoch and calibration; without them those that ``prepare`` holds out.
    """
    path, items = folder / "articles.jsonl", [*train_part, *validation]
    rows = [{"id": i.id, "lang": i.lang, "text": i.text, "themes": list(i.themes)} for i in items]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    run = prepare(config, [path])
    everything = [*run.parts.train, *run.parts.validation, *run.parts.test]
    held = {item.id for item in validation or run.parts.validation}
    parts = Parts([i for i in everything if i.id not in held], [i for i in everything if i.id in held], [], [])
    return replace(run, parts=parts)


def train_in_memory(run: Run, folder: Path) -> ThemeClassifier:
    """``training.run.train`` with ``method: head``, all but the last step.

    Writing the artifact (with its comparison of engines) is put aside: it takes longer than training a head, and there
    are over sixty. The classifier serves the same head and calibration on cached features.
    """
    served: list[ThemeClassifier] = []

    def keep(
        run: Run,
        network: ThemeNetwork,
        windower: Windower,
        decisions: Decisions,
        record: dict[str, Any],
        out: Path,
        lexical: Lexical | None = None,
    ) -> Artifact:
        head = Head(network.head.weight.detach().cpu().clone(), network.bias.detach().cpu().clone())
        engine = FeatureEngine(feature_store(run, network), head)
        served.append(in_memory(run, None, windower, decisions, engine=engine, lexical=lexical))
        return replace(served[0].artifact, training=record)

    with patch.object(head_run, "write_artifact", keep), quiet():
        train(run, folder / "not-written")
    return served[0]


def answer(classifier: ThemeClassifier, encoded: Sequence[Encoded], keys: Sequence[str]) -> Answers:
    """The served path on test articles cut into windows already (the same for all draws), for the topics ``keys``."""
    results: list[Result] = []
    for at in range(0, len(encoded), _CHUNK):
        results += classifier.predict_encoded(encoded[at : at + _CHUNK], explain=False)
    return Answers(
        np.asarray([[result.scores[key] for key in keys] for result in results]),
        np.asarray([[result.logits[key] for key in keys] for result in results]),
    )


def tfidf(pool: Sequence[Item], test: Sequence[Item]) -> Callable[[Sequence[Item]], Scores]:
    """TF-IDF of characters (2-5, inside words) and words (1-2), logistic regression over all topics.

    The characters' settings and C are ``training.baselines.fit_tfidf``'s, which would count the test file anew in each
    draw and answers for each topic alone. Only n-grams of the draw are used.

    Returns:
        A function from a draw of ``pool`` to probabilities ``[test, topics]``, topics sorted.
    """
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_union

    options: dict[str, Any] = {"n_features": 2**21, "norm": None, "alternate_sign": False}
    counter = make_union(
        HashingVectorizer(analyzer="char_wb", ngram_range=(2, 5), **options),
        HashingVectorizer(analyzer="word", ngram_range=(1, 2), **options),
    )
    counted = counter.fit_transform([item.text for item in pool]).tocsr()
    asked = counter.transform([item.text for item in test]).tocsc()
    row = {item.id: number for number, item in enumerate(pool)}

    def fit(drawn: Sequence[Item]) -> Scores:
        counts = counted[[row[item.id] for item in drawn]]
        used = np.unique(counts.indices)
        weigh = TfidfTransformer(sublinear_tf=True)
        model = LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000)
        model.fit(weigh.fit_transform(counts[:, used]), gold(drawn, topics_of(drawn)))
        return np.asarray(model.predict_proba(weigh.transform(asked[:, used].tocsr())), dtype=np.float64)

    return fit


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Swallow progress lines, the same for over sixty draws (errors still come as exceptions)."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        yield
