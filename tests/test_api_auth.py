"""Keys, logins, and who may start what."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from model.classifier import ThemeClassifier
from model.errors import ConfigError
from serve.api.credentials import Credentials, Throttle, is_loopback
from serve.api.limits import Limits
from serve.api.scope import App, Receive, Scope, Send, user_of
from tests.api_tools import PLAIN, assert_error, client_on

KEY, OTHER, PASSWORD = "key-of-the-newsroom", "another-key", "pass:wörd"
HASHES = f"{hashlib.sha256(KEY.encode()).hexdigest()}, {hashlib.sha256(OTHER.encode()).hexdigest().upper()}"
LOGIN = f"ana:{hashlib.sha256(PASSWORD.encode()).hexdigest()}"
ENVIRONMENT = {"THEMEWATCH_API_KEYS": HASHES, "THEMEWATCH_DEMO_LOGIN": LOGIN}
GUARDED = [
    ("POST", "/v1/classify"), ("POST", "/v1/feedback"), ("GET", "/v1/feedback/export"), ("GET", "/v1/themes"),
    ("GET", "/v1/model"), ("GET", "/metrics"), ("GET", "/openapi.json"), ("GET", "/v1/nothing"), ("PUT", "/v1/model"),
]  # fmt: skip


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands for the demo page."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    headers = [(b"access-control-allow-origin", b"*"), (b"x-user", user_of(scope).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"the page"})


@pytest.fixture
def client(tiny: ThemeClassifier, tmp_path: Path) -> Iterator[TestClient]:
    demo: App = page
    with client_on(tiny, tmp_path, credentials=Credentials.from_environment(ENVIRONMENT), page=demo) as client:
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": f"Bearer {KEY}x"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer"},
        {"authorization": KEY},
        {"authorization": f"Basic {KEY}"},
        {"x-api-key": ""},
        {"x-api-key": hashlib.sha256(KEY.encode()).hexdigest()},
        {"x-api-key": f"{KEY},{OTHER}"},
        {"authorization": "Bearer wrong", "x-api-key": KEY},
        basic("ana", PASSWORD),
    ],
)
def test_without_a_good_key_nothing_is_told(client: TestClient, headers: dict[str, str]) -> None:
    for method, path in GUARDED:
        answer = client.request(method, path, headers=headers, content=b"not even read")
        assert_error(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("headers", [{"authorization": f"Bearer {KEY}"}, {"authorization": f"bearer  {KEY}"},
                                     {"x-api-key": KEY}, {"X-API-Key": OTHER}])  # fmt: skip
def test_good_keys(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/v1/classify", json={"text": PLAIN}, headers=headers).status_code == 200
    assert client.get("/v1/model", headers=headers | {"host": "news.example"}).status_code == 200
    assert_error(client.get("/v1/nothing", headers=headers), 404)


def test_health_needs_no_key(client: TestClient) -> None:
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_the_description_tells_of_keys(client: TestClient, tiny: ThemeClassifier, tmp_path: Path) -> None:
    guarded = client.get("/openapi.json", headers={"x-api-key": KEY}).json()
    assert guarded["paths"]["/v1/classify"]["post"]["security"]
    assert "401" in guarded["paths"]["/v1/classify"]["post"]["responses"]
    assert "security" not in guarded["paths"]["/healthz"]["get"]
    (tmp_path / "open").mkdir()
    with client_on(tiny, tmp_path / "open") as open_client:
        assert "securitySchemes" not in open_client.get("/openapi.json").json()["components"]


def test_keys_name_users_and_each_has_its_own_record(client: TestClient) -> None:
    body = {"article": {"text": PLAIN}, "themes": []}
    for key, expected in [(KEY, "created"), (OTHER, "created"), (KEY, "updated")]:
        answer = client.post("/v1/feedback", json=body, headers={"x-api-key": key})
        assert answer.json()["stored"] == expected


def test_the_page_wants_the_login(client: TestClient) -> None:
    for headers in ({}, basic("ana", "wrong"), basic("bob", PASSWORD), {"authorization": "Basic !!!"},
                    {"authorization": f"Bearer {KEY}"}, {"x-api-key": KEY}):  # fmt: skip
        answer = client.get("/", headers=headers)
        assert_error(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith("Basic ")
    answer = client.get("/any/asset.js", headers=basic("ana", PASSWORD))
    assert answer.text == "the page"
    assert answer.headers["x-user"] == "demo-ana"
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]


def test_files_for_the_page_may_be_larger_than_other_bodies(tiny: ThemeClassifier, tmp_path: Path) -> None:
    demo: App = page
    with client_on(tiny, tmp_path, page=demo, limits=Limits(body=1_000, file=2_000)) as client:
        for path, size, status in [
            ("/gradio_api/upload", 1_500, 200), ("/gradio_api/upload", 2_500, 413), ("/gradio_api/upload/", 1_500, 413),
            ("/gradio_api/queue/join", 1_500, 413), ("/v1/classify", 1_500, 413),
        ]:  # fmt: skip
            kind = {"content-type": "application/json"}
            assert client.post(path, content=b" " * size, headers=kind).status_code == status, (path, size)


def test_guessing_is_slowed_down(client: TestClient) -> None:
    codes = [client.get("/", headers=basic("ana", str(i))).status_code for i in range(12)]
    assert codes == [401] * 10 + [429] * 2
    assert_error(client.get("/", headers=basic("ana", PASSWORD)), 429)
    assert client.get("/v1/model", headers={"x-api-key": KEY}).status_code == 200


def test_the_throttle_forgets() -> None:
    throttle = Throttle(failures=1, seconds=0.0)
    throttle.failed("a")
    assert not throttle.blocked("a")
    few = Throttle(failures=1, addresses=2)
    for address in "abc":
        few.failed(address)
    assert [bool(few.blocked(address)) for address in "abc"] == [False, True, True]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("THEMEWATCH_API_KEYS", "secret"),
        ("THEMEWATCH_API_KEYS", "0" * 64 + ",short"),
        ("THEMEWATCH_DEMO_LOGIN", "ana"),
        ("THEMEWATCH_DEMO_LOGIN", "ana:secret"),
        ("THEMEWATCH_DEMO_LOGIN", ":" + "0" * 64),
        ("THEMEWATCH_DEMO_LOGIN", "0" * 64),
    ],
)
def test_wrong_settings_are_named_but_not_shown(variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=variable) as raised:
        Credentials.from_environment({variable: value})
    assert "secret" not in str(raised.value)
    assert "0000" not in str(raised.value)


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.8.8.8", True), ("0.0.0.0", False), ("::", False),
     ("", False), ("0", False), ("192.0.2.1", False), ("::ffff:192.0.2.1", False), ("x" * 300, False)],
)  # fmt: skip
def test_loopback(host: str, local: bool) -> None:
    assert is_loopback(host) == local


def test_open_hosts_need_both_credentials() -> None:
    none = Credentials()
    none.require_for("127.0.0.1", demo=True)
    keys = Credentials.from_environment({"THEMEWATCH_API_KEYS": HASHES})
    both = Credentials.from_environment(ENVIRONMENT)
    with pytest.raises(ConfigError, match="THEMEWATCH_API_KEYS and THEMEWATCH_DEMO_LOGIN"):
        none.require_for("0.0.0.0", demo=True)
    with pytest.raises(ConfigError, match="set THEMEWATCH_DEMO_LOGIN,"):
        keys.require_for("0.0.0.0", demo=True)
    keys.require_for("0.0.0.0", demo=False)
    both.require_for("0.0.0.0", demo=True)


def test_the_command_refuses_before_it_loads_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    from model.main import build_app

    monkeypatch.delenv("THEMEWATCH_API_KEYS", raising=False)
    done = CliRunner().invoke(build_app(), ["serve", "--host", "0.0.0.0", "--port", "0"])
    assert isinstance(done.exception, ConfigError)
    assert "--host 0.0.0.0" in str(done.exception)


def test_answers_are_the_same_objects_with_a_key(client: TestClient) -> None:
    answer = client.post("/v1/classify", json={"text": PLAIN}, headers={"x-api-key": KEY})
    assert json.loads(answer.text)["taxonomy"]
