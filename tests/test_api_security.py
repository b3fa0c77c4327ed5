"""What keeps foreign web pages out and texts in: headers, names, types, errors that tell nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from model.classifier import ThemeClassifier
from tests.api_tools import THEMED, assert_error, client_on


@pytest.fixture(scope="module")
def client(tiny: ThemeClassifier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with client_on(tiny, tmp_path_factory.mktemp("api")) as client:
        yield client


@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", ""]
)
def test_other_types_than_json_are_refused(client: TestClient, kind: str) -> None:
    body = json.dumps({"text": THEMED}).encode()
    assert_error(client.post("/v1/classify", content=body, headers={"content-type": kind}), 415)


def test_compressed_bodies_are_refused(client: TestClient) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert_error(client.post("/v1/classify", content=b"x", headers=headers), 415)


def test_security_headers_on_every_answer(client: TestClient) -> None:
    for path in ("/healthz", "/v1/themes", "/v1/nothing", "/openapi.json", "/metrics"):
        headers = client.get(path, headers={"origin": "https://evil.example"}).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert not [name for name in headers if name.startswith("access-control")]
    preflight = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    assert_error(client.options("/v1/classify", headers=preflight), 405)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site", "origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "same-origin", "origin": "https://behind.a.proxy"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://localhost:3000"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost"}, 200),
        ({}, 200),
    ],
)
def test_other_web_pages_cannot_act_through_a_browser(client: TestClient, headers: dict[str, str], status: int) -> None:
    answer = client.post("/v1/classify", json={"text": THEMED}, headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert_error(answer, 403, "foreign_site")
    assert client.get("/v1/model", headers=headers).status_code == 200  # told, but no script of theirs may read it


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "", "localhost.evil"])
def test_without_credentials_only_own_names_are_answered(client: TestClient, host: str) -> None:
    assert_error(client.get("/v1/model", headers={"host": host}), 421, "foreign_name")
    assert client.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:7860", "[::1]", "[::1]:7860"])
def test_own_names(client: TestClient, host: str) -> None:
    assert client.get("/v1/model", headers={"host": host}).status_code == 200


def test_an_error_of_ours_is_told_without_the_text(
    tiny: ThemeClassifier, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(ThemeClassifier):
        def predict_encoded(self, encoded: Any, explain: bool = True) -> Any:
            raise ValueError(f"cannot do {encoded[0].article.text}")

    broken = Broken(tiny.artifact, tiny.engine, tiny.windower)
    with caplog.at_level(logging.DEBUG), client_on(broken, tmp_path) as client:
        assert_error(client.post("/v1/classify?explain=true&x=unspeakable", json={"text": "unspeakable words"}), 500)
        assert client.get("/readyz").status_code == 200
    captured = capsys.readouterr()
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("themewatch")]
    assert any("ValueError at test_api_security.py" in line for line in ours)
    assert "unspeakable" not in "".join([*ours, captured.out, captured.err])
