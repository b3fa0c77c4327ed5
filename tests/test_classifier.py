"""What the served classifier answers."""

from __future__ import annotations

import numpy as np
import pytest

from model.classifier import ThemeClassifier
from model.decisions import Decision
from model.errors import InputError
from model.pooling import contributions
from model.text import Article
from tests.conftest import PLAIN, WORDS, tiny_rows

FILLER = "team report said the people of the city in the market. "
THEMED = "the mixer laundered coins and proceeds through a wallet broker."


def test_answers_have_the_documented_shape(tiny: ThemeClassifier) -> None:
    answer = tiny.predict([Article(THEMED, id="x")])[0].to_dict()
    assert list(answer) == ["id", "language", "themes", "scores", "decisions", "evidence", "windows", "truncated",
                            "model", "taxonomy"]  # fmt: skip
    assert set(answer["scores"]) == set(WORDS)
    assert all(0 <= score <= 1 for score in answer["scores"].values())
    assert set(answer["decisions"].values()) <= {"match", "review", "none"}
    assert answer["model"] == {"name": "tiny", "version": "0.1.0", "digest": tiny.artifact.digest[:12]}


def test_it_learned_the_toy_task(tiny: ThemeClassifier) -> None:
    rows = tiny_rows(60, seed=9)
    results = tiny.predict([str(row["text"]) for row in rows])
    cut = {key: rule.threshold for key, rule in tiny.artifact.decisions.themes.items()}
    right = [
        (r.scores[key] >= cut[key]) == (key in row["themes"])
        for r, row in zip(results, rows, strict=True)
        for key in WORDS
    ]
    assert np.mean(right) > 0.9


def test_evidence_points_at_the_sentence(tiny: ThemeClassifier) -> None:
    text = FILLER * 3 + THEMED + " " + FILLER * 3
    result = tiny.predict([Article(text, title="Team wins match")])[0]
    assert result.decisions["crypto_laundering"] is not Decision.NONE
    found = result.evidence["crypto_laundering"]
    assert found[0].text == THEMED == text[found[0].start : found[0].end]
    assert sum(e.share for e in found) <= 1.001
    assert [e.share for e in found] == sorted((e.share for e in found), reverse=True)


def test_title_evidence_says_so(tiny: ThemeClassifier) -> None:
    result = tiny.predict([Article(FILLER, title=THEMED)])[0]
    if result.decisions["crypto_laundering"] is not Decision.NONE:
        best = result.evidence["crypto_laundering"][0]
        assert best.in_title
        assert best.to_dict()["field"] == "title"


def test_parts_add_up_to_the_logit(tiny: ThemeClassifier) -> None:
    article = Article((FILLER + THEMED + " ") * 6)
    encoded = tiny.windower.encode(article)
    assert len(encoded.windows) > 2
    scores = tiny.engine.token_scores(encoded.windows)
    lead = tiny.windower.lead
    entries = np.concatenate([s[lead : lead + b - a] for s, (a, b) in zip(scores, encoded.spans, strict=True)])
    parts = contributions(np, tiny.artifact.pooling, entries, encoded.weights, encoded.spans)
    assert tiny.lexical is not None
    logits = parts.sum(axis=0) + tiny.engine.bias() + tiny.lexical.logits(encoded, lead)
    np.testing.assert_allclose(logits, list(tiny.predict([article])[0].logits.values()), rtol=1e-4)


def test_a_theme_at_the_end_of_a_long_article_is_seen(tiny: ThemeClassifier) -> None:
    text = FILLER * 14 + THEMED * 3
    result = tiny.predict([text])[0]
    assert result.windows > 3
    assert not result.truncated
    assert result.decisions["crypto_laundering"] is not Decision.NONE


def test_company_changes_nothing(tiny: ThemeClassifier) -> None:
    articles = [str(row["text"]) for row in tiny_rows(20, seed=2)] + [FILLER * 12]
    together = tiny.predict(articles)
    alone = [tiny.predict([a])[0] for a in articles]
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(list(a.scores.values()), list(b.scores.values()), atol=1e-4)


@pytest.mark.parametrize(
    "text", ["\ud800 rain", "rain \x00 city", "😀", "a" * 100_000, "\u202e" + PLAIN, "Ω≈ç√∫˜µ", "<s></s><pad>"]
)
def test_strange_texts_are_answered(tiny: ThemeClassifier, text: str) -> None:
    result = tiny.predict([text])[0]
    assert all(np.isfinite(list(result.scores.values())))


def test_no_text_is_refused(tiny: ThemeClassifier) -> None:
    with pytest.raises(InputError, match="empty"):
        tiny.predict([" "])
