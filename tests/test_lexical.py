"""The linear part over word pieces: exact in every token, silent on words never seen, kept by retraining."""

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
from model.layout import FORMAT, LAYOUT
from model.lexical import Lexical, piece_counts
from model.result import Result
from model.text import Article
from model.windows import Windower
from tests.conftest import ROOT, tiny_rows, tiny_settings, write_jsonl
from training.config import load_config
from training.lexical import fit_pieces, wanted
from training.own_words import with_words
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
    fitted = fit_pieces(items, [windower.encode(i.article) for i in items], keys, windower.lead)

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
    assert set(found.tolist()) <= set(fitted.pieces.tolist())  # all known, so the part counts in full
    ours = fitted.logits(encoded, windower.lead)
    for k, key in enumerate(keys):
        model = LogisticRegression(C=10.0, class_weight="balanced", solver="liblinear")
        model.fit(table, [key in i.themes for i in items])
        assert ours[k] == pytest.approx(model.decision_function(weigh.transform([LONG]))[0], abs=0.02)


def test_a_model_has_it_and_answers_by_it(trained: Artifact, tmp_path: Path) -> None:
    folder = trained.folder
    assert json.loads((folder / LAYOUT.manifest).read_text())["format"] == FORMAT
    assert f"{len(load_file(folder / LAYOUT.lexical)['pieces'])} word pieces" in trained.card()
    losses = trained.training["history"][-1]  # by weight, the one served first
    assert next(iter(losses)) != "linear part 0"
    assert list(losses.values()) == sorted(losses.values())
    classifier = ThemeClassifier.load(folder)
    assert classifier.lexical is not None
    with_words = classifier.predict([LONG])[0]
    encoded = classifier.windower.encode(LONG)
    own = classifier.lexical.logits(encoded, classifier.windower.lead)
    classifier.lexical = None
    without = classifier.predict([LONG])[0]
    assert np.allclose(np.subtract(_logits(with_words), _logits(without)), own, atol=1e-4)
    assert with_words.evidence  # its sentences are found as ever
    nothing = Article("ъъъ ыыы")  # pieces never seen: the linear part says nothing
    unknown = ThemeClassifier.load(folder).predict([nothing])[0]
    silent = classifier.predict([nothing])[0]
    assert np.allclose(_logits(unknown), _logits(silent), atol=1e-4)


def test_it_counts_by_the_share_it_knows(trained: Artifact) -> None:
    lexical, windower = Lexical.load(trained.folder), ThemeClassifier.load(trained.folder).windower
    assert lexical is not None
    lead = windower.lead
    alone, mixed = (windower.encode(Article(text)) for text in (LONG.text, f"{LONG.text} ъъъ ыыы щщщ эээ"))
    for encoded, whole in ((alone, True), (mixed, False)):
        found, _, times = piece_counts(encoded, lead)
        known = np.isin(found, lexical.pieces)
        rarity = np.where(known, lexical.rarity[np.searchsorted(lexical.pieces, found) * known], lexical.unseen)
        squares = ((1 + np.log(times)) * rarity) ** 2
        share = squares[known].sum() / squares.sum()
        assert bool(share == 1) is whole
        as_before = replace(lexical, unseen=0.0).contributions(encoded, lead)  # format 2: over known pieces alone
        parts, rest = lexical.contributions(encoded, lead)
        assert np.allclose(rest, share * lexical.bias, atol=1e-5)
        assert np.allclose(parts, share**1.5 * as_before[0], atol=1e-5)


def test_calibration_is_of_what_is_served(trained: Artifact, tiny_encoder: Path, tmp_path: Path) -> None:
    from training.measure import calibrate, logits_of
    from training.table import predict_items

    run, classifier = _run(tmp_path, tiny_encoder, ("en",)), ThemeClassifier.load(trained.folder, "torch")
    _, metrics = calibrate(run, lambda items: logits_of(predict_items(classifier, items), run.taxonomy.keys))
    recorded = trained.training["metrics"]["validation"]
    assert metrics["validation"]["macro_f1"]["value"] == pytest.approx(recorded["macro_f1"]["value"], abs=0.02)


def test_only_where_validation_can_weigh_it(tiny_encoder: Path, tmp_path: Path) -> None:
    few = {"validation": 0.05, "test": 0.2}
    assert wanted(_run(tmp_path, tiny_encoder, ("en", "fr")))
    assert not wanted(_run(tmp_path, tiny_encoder, ("en",), split=few))
    assert not wanted(_run(tmp_path, tiny_encoder, ("en",), lexical=False))
    assert wanted(_run(tmp_path, tiny_encoder, ("en",), split=few, lexical=True))


@pytest.mark.parametrize("method", ["head", "lora"])
def test_retraining_on_own_articles_keeps_it(
    method: str, trained: Artifact, tiny_encoder: Path, tmp_path: Path
) -> None:
    themes = yaml.safe_load((ROOT / "configs" / "themes.yaml").read_text("utf-8"))
    themes["themes"].append({**themes["themes"][0], "key": "fifth", "names": {"en": "Fifth"}})
    (tmp_path / "themes.yaml").write_text(yaml.safe_dump(themes), "utf-8")
    rows = [row | {"themes": ["fifth"] if i % 3 == 0 else []} for i, row in enumerate(tiny_rows(120, seed=5))]
    data = write_jsonl(tmp_path / "own.jsonl", rows)
    settings = {"taxonomy": "themes.yaml", "start": str(trained.folder), "method": method, "replay": 0.0}
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(tiny_settings(tiny_encoder, data, **settings)), "utf-8")
    again = train(prepare(load_config(path), [data]), tmp_path / "again")
    before, after = Lexical.load(trained.folder), Lexical.load(again.folder)
    assert before is not None
    assert after is not None
    assert np.array_equal(before.pieces, after.pieces)
    assert np.array_equal(before.weights, after.weights[:, :-1])
    learnt = any("own words" in entry and next(iter(entry)) == "own words" for entry in again.training["history"])
    assert after.weights[:, -1].any() == learnt  # the new theme is left to the network but for own words
    assert not (learnt and method == "lora")
    assert np.array_equal(before.bias, after.bias[:-1])
    assert after.unseen == before.unseen
    assert again.training["linear_part"] == trained.training["linear_part"]


def test_words_of_own_articles_are_learnt_on_top_of_it(
    trained: Artifact, tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEMEWATCH_CACHE", str(tmp_path / "cache"))
    key = trained.taxonomy.keys[0]
    plain = [str(row["text"]) for row in tiny_rows(200, seed=5) if not row["themes"]][:40]
    own = [{"text": f"{text} ъъъ ыыы" if i % 2 else text, "themes": [key] * (i % 2), "lang": "en"}
           for i, text in enumerate(plain)]  # fmt: skip
    data, path = write_jsonl(tmp_path / "own.jsonl", own), tmp_path / "own.yaml"
    settings = {"start": str(trained.folder), "method": "head", "replay": 0.0, "optimizer": {"epochs": 1}}
    path.write_text(yaml.safe_dump(tiny_settings(tiny_encoder, data, **settings)), "utf-8")
    again = train(prepare(load_config(path), [data]), tmp_path / "again")
    shares, words = again.training["history"][-2:]
    assert set(shares) == {"blend 0", "blend 0.25", "blend 0.5", "blend 0.75", "blend 1"}
    assert list(words) == ["own words", "no own words"]
    before, after = (Lexical.load(model.folder) for model in (trained, again))
    assert before is not None
    assert after is not None
    assert len(after.pieces) > len(before.pieces)
    encoded = ThemeClassifier.load(again.folder).windower.encode(Article(f"{plain[0]} ъъъ ыыы"))
    lead = ThemeClassifier.load(again.folder).windower.lead
    assert after.logits(encoded, lead)[0] > before.logits(encoded, lead)[0] + 1


def test_words_leave_other_themes_and_articles_as_they_were(trained: Artifact) -> None:
    part, windower = Lexical.load(trained.folder), ThemeClassifier.load(trained.folder).windower
    assert part is not None
    texts = [str(row["text"]) for row in tiny_rows(40, seed=3)]
    encoded = [windower.encode(Article(f"{text} ъъъ ыыы" if i < 8 else text)) for i, text in enumerate(texts)]
    truth = np.zeros((len(texts), len(part.bias)), dtype=bool)
    truth[:8, 1] = True
    network = np.where(truth, -3.0, -9.0)
    network[:8, 1] -= np.stack([part.logits(one, windower.lead) for one in encoded[:8]])[:, 1]
    known, added = (
        with_words(part, encoded, network, truth, np.ones_like(truth), themes, windower.lead)
        for themes in ([1], range(len(part.bias)))
    )
    assert np.array_equal(known.pieces, part.pieces)  # a theme that stays would notice a piece that counts as known
    assert np.array_equal(np.delete(known.weights, 1, axis=1), np.delete(part.weights, 1, axis=1))
    assert set(part.pieces.tolist()) < set(added.pieces.tolist())
    said = network + np.stack([added.logits(one, windower.lead) for one in encoded])
    assert said[:8, 1].min() > 0 > said[8:, 1].max()
    other = windower.encode(LONG)
    assert np.allclose(part.knowing(added.pieces).logits(other, windower.lead), part.logits(other, windower.lead))


def test_a_file_that_does_not_fit_is_refused(trained: Artifact, tmp_path: Path) -> None:
    saved = load_file(trained.folder / LAYOUT.lexical)
    saved.pop("rarity")
    save_file(saved, tmp_path / LAYOUT.lexical)
    with pytest.raises(ArtifactError, match=r"lexical\.safetensors cannot be read"):
        Lexical.load(tmp_path)
    assert Lexical.load(tmp_path / "elsewhere") is None
