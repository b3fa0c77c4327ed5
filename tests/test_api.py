"""The API as a client sees it, in this process, over the tiny real model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from model.classifier import ThemeClassifier
from model.errors import InputError
from model.text import Article
from model.windows import Encoded, Windower
from tests.api_tools import BASE, PLAIN, THEMED, assert_error, client_on, service_on


@pytest.fixture(scope="module")
def client(tiny: ThemeClassifier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with client_on(tiny, tmp_path_factory.mktemp("api")) as client:
        yield client


def same_but_for_rounding(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Batches of other articles change the last digits of a score."""
    near = all(abs(one["scores"][key] - other["scores"][key]) < 2e-3 for key in other["scores"])
    rest = ("id", "language", "themes", "decisions", "windows", "truncated", "model", "taxonomy")
    return near and all(one[key] == other[key] for key in rest)


def test_one_article_gives_its_result(client: TestClient, tiny: ThemeClassifier) -> None:
    answer = client.post("/v1/classify", json={"text": THEMED, "title": "police report", "id": "a-1"})
    assert answer.status_code == 200
    assert answer.json() == tiny.predict([Article(THEMED, "police report", "a-1")])[0].to_dict()


def test_several_articles_are_answered_in_order(client: TestClient, tiny: ThemeClassifier) -> None:
    articles = [{"text": [THEMED, PLAIN][i % 2] + f" market {i}", "id": str(i)} for i in range(64)]
    results = client.post("/v1/classify", json={"articles": articles}).json()["results"]
    expected = tiny.predict([Article(a["text"], id=a["id"]) for a in articles])
    assert [r["id"] for r in results] == [str(i) for i in range(64)]
    assert all(same_but_for_rounding(r, e.to_dict()) for r, e in zip(results, expected, strict=True))


def test_explain_and_language(client: TestClient) -> None:
    short = client.post("/v1/classify?explain=false", json={"text": THEMED, "language": "sw"}).json()
    assert short["evidence"] == {}
    assert short["language"] == "sw"
    assert "crypto_laundering" in short["themes"]
    assert client.post("/v1/classify?explain=true", json={"text": THEMED}).json()["evidence"]
    assert_error(client.post("/v1/classify?explain=maybe", json={"text": THEMED}), 422, "invalid", "explain")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "text"),
        ({"text": ""}, "text"),
        ({"text": " \n\t"}, "text"),
        ({"text": 7}, "text"),
        ({"text": "x", "title": None}, "title"),
        ({"text": "x", "language": "English"}, "language"),
        ({"text": "x" * 500_001}, "text"),
        ({"articles": []}, "articles"),
        ({"articles": [{"text": "x"}] * 65}, "articles"),
        ({"articles": [{"text": "x"}, {"text": ["x"]}]}, "articles[1].text"),
        ({"articles": [{"text": "x"}, {"title": "x"}]}, "articles[1].text"),
        ({"articles": "x"}, "articles"),
        ({"text": "x", "secret words": "x"}, ""),
        ([], ""),
        ("text", ""),
        (None, ""),
        (7, ""),
    ],
)  # fmt: skip
def test_invalid_bodies_name_the_field(client: TestClient, body: object, where: str) -> None:
    headers = {"content-type": "application/json"}
    error = assert_error(client.post("/v1/classify", content=json.dumps(body), headers=headers), 422, "invalid", where)
    assert "secret" not in json.dumps(error)


class PickyWindower(Windower):
    """Finds no words where an article says so."""

    def __init__(self, inner: Windower) -> None:
        self.__dict__ |= inner.__dict__

    def encode(self, article: Article, language: str = "") -> Encoded:
        if "unreadable" in article.text:
            raise InputError("no readable text", where=article.id)
        return super().encode(article, language)


def test_unreadable_articles_name_their_place(tiny: ThemeClassifier, tmp_path: Path) -> None:
    picky = ThemeClassifier(tiny.artifact, tiny.engine, PickyWindower(tiny.windower))
    with client_on(picky, tmp_path) as client:
        assert_error(client.post("/v1/classify", json={"text": "unreadable"}), 422, "unreadable", "text")
        many = {"articles": [{"text": THEMED}, {"text": "unreadable"}, {"text": THEMED}]}
        assert_error(client.post("/v1/classify", json=many), 422, "unreadable", "articles[1].text")
        feedback = {"article": {"text": "unreadable"}, "themes": []}
        assert_error(client.post("/v1/feedback", json=feedback), 422, "unreadable", "article.text")
        assert client.post("/v1/classify", json={"text": THEMED}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1", 404, "not_found"),
        ("GET", "/v1/", 404, "not_found"),
        ("GET", "/v1/nothing", 404, "not_found"),
        ("POST", "/v1/classify/", 404, "not_found"),
        ("GET", "/", 404, "not_found"),
        ("GET", "/docs", 404, "not_found"),
        ("GET", "/v1/classify", 405, "method_not_allowed"),
        ("DELETE", "/v1/themes", 405, "method_not_allowed"),
        ("PUT", "/v1/feedback", 405, "method_not_allowed"),
        ("TRACE", "/healthz", 405, "method_not_allowed"),
    ],
)
def test_wrong_addresses_and_methods(client: TestClient, method: str, path: str, status: int, code: str) -> None:
    answer = client.request(method, path, headers={"content-type": "application/json"})
    assert_error(answer, status, code)
    assert ("allow" in answer.headers) == (status == 405)


def test_themes_and_model(client: TestClient, tiny: ThemeClassifier) -> None:
    themes = client.get("/v1/themes").json()
    assert [t["key"] for t in themes["themes"]] == list(tiny.artifact.taxonomy.keys)
    assert all(0 <= t["review_from"] <= t["match_from"] <= 1 for t in themes["themes"])
    model = client.get("/v1/model").json()
    assert (model["name"], model["digest"]) == ("tiny", tiny.artifact.digest)
    assert model["engine"] == tiny.engine.name
    assert "tiny" in model["card"]


def test_health_readiness_and_metrics(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok"}
    client.post("/v1/classify", json={"text": THEMED, "language": "en"})
    text = client.get("/metrics").text
    for line in (
        'themewatch_requests_total{method="POST",path="/v1/classify",status="200"}',
        'themewatch_decisions_total{decision="match",language="en",theme="crypto_laundering"}',
        "themewatch_queue_articles 0.0",
        'themewatch_request_seconds_bucket{le="0.1",path="/v1/classify"}',
        "process_resident_memory_bytes",
    ):
        assert line in text


def test_metrics_labels_are_bounded(client: TestClient) -> None:
    for i in range(300):
        client.get(f"/v1/made-up-{i}")
        client.request(f"MADE{i}", "/v1/themes")
    text = client.get("/metrics").text
    assert "made-up" not in text
    assert "MADE" not in text


def test_not_ready_without_a_store_or_a_worker(tiny: ThemeClassifier, tmp_path: Path) -> None:
    from serve.api.app import create_app

    with service_on(tiny, tmp_path) as service:
        app: Any = create_app(service)
        with TestClient(app, base_url=BASE) as client:
            assert client.get("/readyz").status_code == 200
            service.scoring.close()
            assert_error(client.get("/readyz"), 503, "not_ready")
            assert client.get("/healthz").status_code == 200
            assert_error(client.post("/v1/classify", json={"text": "x"}), 503, "busy")
