"""What the service takes on, and how it refuses the rest."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from model.classifier import ThemeClassifier
from model.errors import ConfigError
from serve.api.app import create_app
from serve.api.limits import Limits
from tests.api_tools import BASE, PLAIN, HeldClassifier, assert_error, client_on, service_on

SENT: Any = {"content": json.dumps({"text": PLAIN}), "headers": {"content-type": "application/json"}}


@contextmanager
def held_app(tiny: ThemeClassifier, folder: Path, limits: Limits) -> Iterator[tuple[HeldClassifier, Any]]:
    held = HeldClassifier(tiny)
    with service_on(held, folder, limits) as service:
        yield held, create_app(service)


def asking(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE, timeout=60)


async def until(condition: Any) -> None:
    while not condition():
        await asyncio.sleep(0.005)


def test_a_full_queue_answers_503_and_health_stays_quick(tiny: ThemeClassifier, tmp_path: Path) -> None:
    async def run(held: HeldClassifier, app: Any) -> None:
        many = json.dumps({"articles": [{"text": PLAIN}] * 64})
        headers = {"content-type": "application/json"}
        async with asking(app) as client:
            first = asyncio.create_task(client.post("/v1/classify", **SENT))
            await until(lambda: held.batches)
            full = asyncio.create_task(client.post("/v1/classify", content=many, headers=headers))
            await until(lambda: app._metrics._queue.collect()[0].samples[0].value == 64)
            refused = await asyncio.gather(*(client.post("/v1/classify", **SENT) for _ in range(50)))
            for answer in refused:
                assert_error(answer, 503, "busy")
            begun = time.monotonic()
            for path in ("/healthz", "/v1/themes", "/readyz"):
                assert (await client.get(path)).status_code == 200
            assert time.monotonic() - begun < 5
            assert "themewatch_queue_articles 64.0" in (await client.get("/metrics")).text
            held.open.set()
            assert (await first).status_code == 200
            assert len((await full).json()["results"]) == 64

    with held_app(tiny, tmp_path, Limits(queue=64)) as (held, app):
        asyncio.run(run(held, app))


def test_too_many_requests_of_one_client_answer_429(tiny: ThemeClassifier, tmp_path: Path) -> None:
    async def run(held: HeldClassifier, app: Any) -> None:
        async with asking(app) as client:
            waiting = [asyncio.create_task(client.post("/v1/classify", **SENT)) for _ in range(3)]
            await until(lambda: app.admission.active == 3)
            assert_error(await client.post("/v1/classify", **SENT), 429, "too_many_requests")
            assert_error(await client.get("/v1/themes"), 429)
            assert (await client.get("/healthz")).status_code == 200
            held.open.set()
            assert [(await answer).status_code for answer in waiting] == [200] * 3
            assert (await client.get("/v1/themes")).status_code == 200
            assert app.admission.active == 0

    with held_app(tiny, tmp_path, Limits(client=3)) as (held, app):
        asyncio.run(run(held, app))


def test_too_many_requests_of_all_answer_503(tiny: ThemeClassifier, tmp_path: Path) -> None:
    async def run(held: HeldClassifier, app: Any) -> None:
        async with asking(app) as client:
            waiting = [asyncio.create_task(client.post("/v1/classify", **SENT)) for _ in range(2)]
            await until(lambda: app.admission.active == 2)
            assert_error(await client.get("/v1/themes"), 503, "busy")
            held.open.set()
            await asyncio.gather(*waiting)

    with held_app(tiny, tmp_path, Limits(requests=2)) as (held, app):
        asyncio.run(run(held, app))


def test_waiting_too_long_answers_503(tiny: ThemeClassifier, tmp_path: Path) -> None:
    with held_app(tiny, tmp_path, Limits(wait=1)) as (held, app):

        async def run() -> None:
            async with asking(app) as client:
                assert_error(await client.post("/v1/classify", **SENT), 503, "busy")
            held.open.set()

        asyncio.run(run())


def test_a_client_that_leaves_takes_its_articles_along(tiny: ThemeClassifier, tmp_path: Path) -> None:
    async def run(held: HeldClassifier, app: Any) -> None:
        body = json.dumps({"articles": [{"text": PLAIN, "id": "left"}] * 20}).encode()
        scope = {
            "type": "http", "method": "POST", "path": "/v1/classify", "raw_path": b"/v1/classify", "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json"),
                        (b"content-length", str(len(body)).encode())],
            "client": ("127.0.0.1", 1), "server": ("localhost", 80), "scheme": "http", "root_path": "",
        }  # fmt: skip
        messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        messages.put_nowait({"type": "http.request", "body": body, "more_body": False})
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async with asking(app) as client:
            first = asyncio.create_task(client.post("/v1/classify", **SENT))
            await until(lambda: held.batches)
            leaving = asyncio.create_task(app(scope, messages.get, send))
            await until(lambda: app.admission.active == 2)
            await asyncio.sleep(0.05)
            messages.put_nowait({"type": "http.disconnect"})
            await asyncio.wait_for(leaving, 10)
            assert sent[0]["status"] == 499
            held.open.set()
            assert (await first).status_code == 200
            assert (await client.post("/v1/classify", **SENT)).status_code == 200
        assert "left" not in str(held.batches)

    with held_app(tiny, tmp_path, Limits()) as (held, app):
        asyncio.run(run(held, app))


async def _pieces(size: int, count: int, pause: float = 0.0) -> AsyncIterator[bytes]:
    for _ in range(count):
        await asyncio.sleep(pause)
        yield b" " * size


@pytest.mark.parametrize(("count", "status"), [(3, 400), (5, 413), (50, 413)])
def test_chunked_bodies_are_counted(tiny: ThemeClassifier, tmp_path: Path, count: int, status: int) -> None:
    """No Content-Length says how long these are."""

    async def run(app: Any) -> None:
        async with asking(app) as client:
            headers = {"content-type": "application/json"}
            answer = await client.post("/v1/classify", content=_pieces(250, count), headers=headers)
            assert_error(answer, status)
            assert app.admission._bytes == 0

    with held_app(tiny, tmp_path, Limits(body=1_000)) as (_, app):
        asyncio.run(run(app))


def test_a_body_that_drips_in_answers_408(tiny: ThemeClassifier, tmp_path: Path) -> None:
    async def run(app: Any) -> None:
        async with asking(app) as client:
            headers = {"content-type": "application/json"}
            answer = await client.post("/v1/classify", content=_pieces(1, 100, 0.1), headers=headers)
            assert_error(answer, 408, "too_slow")

    with held_app(tiny, tmp_path, Limits(upload=1)) as (_, app):
        asyncio.run(run(app))


def test_all_bodies_together_are_bounded(tiny: ThemeClassifier, tmp_path: Path) -> None:
    with client_on(tiny, tmp_path, limits=Limits(buffered=100)) as client:
        assert client.post("/v1/classify", json={"text": "market"}).status_code == 200
        assert_error(client.post("/v1/classify", json={"text": "market " * 100}), 503, "busy")
        assert client.post("/v1/classify", json={"text": "market"}).status_code == 200


def test_limits_come_from_the_environment() -> None:
    assert Limits.from_environment({}) == Limits()
    assert Limits.from_environment({"THEMEWATCH_LIMIT_BODY": " 123 ", "THEMEWATCH_LIMIT_QUEUE": ""}).body == 123
    for name, value in [("BODY", "4 MB"), ("WAIT", "-1"), ("CLIENT", "0"), ("QUEUE", "63"), ("UPLOAD", "1" * 30)]:
        with pytest.raises(ConfigError, match=f"THEMEWATCH_LIMIT_{name}"):
            Limits.from_environment({f"THEMEWATCH_LIMIT_{name}": value})
