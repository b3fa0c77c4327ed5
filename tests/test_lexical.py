"""The linear part over word pieces: exact in every token, only where one language is trained, sealed with the model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file, save_file

from model.artifact import Artifact
from model.classifier import ThemeClassifier
from model.errors import ArtifactError
from model.layout import LAYOUT
from model.lexical import Lexical, piece_counts
from model.result import Result
from model.text import Article
from model.windows import Windower
from tests.conftest import tiny_rows, tiny_settings, write_jsonl
from training.config import load_config
from training.lexical import _fit, wanted
from training.run import Run, prepare, train

LONG = Article(" ".join(row["text"] for row in tiny_rows(8, seed=9)))


def _run(folder: Path, encoder: Path, languages: tuple[str, ...], **changes: object) -> Run:
    data = write_jsonl(folder / "data.jsonl", tiny_rows(320, languages=languages))
    path = folder / "config.yaml"
    settings = {"optimizer": {"epochs": 1, "batch": 16}, **changes}
    path.write_text(yaml.safe_dump(tiny_settings(encoder, data, **settings)), "utf-8")
    return prepare(load_config(path))


@pytest.fixture(scope="module")
def trained(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A model of one language."""
    folder = tmp_path_factory.mktemp("lexical")
    return train(_run(folder, tiny_encoder, ("en",)), folder / "model")


def _logits(result: Result) -> list[float]:
    return list(result.logits.values())


def test_token_parts_add_up_to_the_regression(tiny_encoder: Path, tmp_path: Path) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    run = _run(tmp_path, tiny_encoder, ("en",))
    windower = Windower.from_folder(run.encoder, run.config.windows.build())
    items, keys = run.train, run.taxonomy.keys
    fitted = _fit(items, [windower.encode(i.article) for i in items], keys, windower.lead)

    def pieces(article: Article) -> list[int]:
        whole = Windower(windower._tokenizer, replace(windower.config, size=4096)).encode(article)
        return list(whole.windows[0][windower.lead : -1])

    weigh = TfidfVectorizer(analyzer=pieces, sublinear_tf=True)
    table = weigh.fit_transform(i.article for i in items)
    encoded = windower.encode(LONG)
    assert len(encoded.windows) > 3  # tokens shared by two windows count once
    found, _, times = piece_counts(encoded, windower.lead)
    assert len(pieces(LONG)) == times.sum()
    assert set(pieces(LONG)) == set(found.tolist())
    ours = fitted.contributions(encoded, windower.lead).sum(axis=0) + fitted.bias
    for k, key in enumerate(keys):
        model = LogisticRegression(C=10.0, class_weight="balanced", solver="liblinear")
        model.fit(table, [key in i.themes for i in items])
        assert ours[k] == pytest.approx(model.decision_function(weigh.transform([LONG]))[0], abs=0.02)


def test_a_model_of_one_language_has_it_and_answers_by_it(trained: Artifact, tmp_path: Path) -> None:
    folder = trained.folder
    assert json.loads((folder / LAYOUT.manifest).read_text())["format"] == 2
    assert f"{len(load_file(folder / LAYOUT.lexical)['pieces'])} word pieces" in trained.card()
    classifier = ThemeClassifier.load(folder)
    assert classifier.lexical is not None
    with_words = classifier.predict([LONG])[0]
    encoded = classifier.windower.encode(LONG)
    own = classifier.lexical.contributions(encoded, classifier.windower.lead).sum(axis=0) + classifier.lexical.bias
    classifier.lexical = None
    without = classifier.predict([LONG])[0]
    assert np.allclose(np.subtract(_logits(with_words), _logits(without)), own, atol=1e-4)
    assert with_words.evidence  # its sentences are found as ever
    nothing = Article("ъъъ ыыы")  # pieces never seen: the linear part says only its bias
    unknown = ThemeClassifier.load(folder).predict([nothing])[0]
    silent = classifier.predict([nothing])[0]
    assert np.allclose(np.subtract(_logits(unknown), _logits(silent)), Lexical.load(folder).bias, atol=1e-4)  # type: ignore[union-attr]


def test_calibration_is_of_what_is_served(trained: Artifact, tiny_encoder: Path, tmp_path: Path) -> None:
    from training.measure import calibrate, logits_of
    from training.table import predict_items

    run, classifier = _run(tmp_path, tiny_encoder, ("en",)), ThemeClassifier.load(trained.folder, "torch")
    _, metrics = calibrate(run, lambda items: logits_of(predict_items(classifier, items), run.taxonomy.keys))
    recorded = trained.training["metrics"]["validation"]
    assert metrics["validation"]["macro_f1"]["value"] == pytest.approx(recorded["macro_f1"]["value"], abs=0.02)


def test_only_where_one_known_language_is_trained(tiny_encoder: Path, tmp_path: Path, tiny_artifact: Artifact) -> None:
    assert wanted(_run(tmp_path, tiny_encoder, ("en",)))
    assert not wanted(_run(tmp_path, tiny_encoder, ("en", "fr")))
    assert not wanted(_run(tmp_path, tiny_encoder, ("",)))
    assert not wanted(_run(tmp_path, tiny_encoder, ("en",), split={"validation": 0.05, "test": 0.2}))  # too few
    assert not wanted(_run(tmp_path, tiny_encoder, ("en",), lexical=False))
    assert wanted(_run(tmp_path, tiny_encoder, ("en", "fr"), lexical=True))
    assert json.loads((tiny_artifact.folder / LAYOUT.manifest).read_text())["format"] == 1
    assert not (tiny_artifact.folder / LAYOUT.lexical).exists()


def test_a_file_that_does_not_fit_is_refused(trained: Artifact, tmp_path: Path) -> None:
    saved = load_file(trained.folder / LAYOUT.lexical)
    saved.pop("rarity")
    save_file(saved, tmp_path / LAYOUT.lexical)
    with pytest.raises(ArtifactError, match=r"lexical\.safetensors cannot be read"):
        Lexical.load(tmp_path)
    assert Lexical.load(tmp_path / "elsewhere") is None
