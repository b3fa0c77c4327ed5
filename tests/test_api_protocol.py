"""Connections that ask too little, read too little, or are too many."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from serve.api import exchange, server
from serve.api.admission import replay
from serve.api.exchange import Exchange
from serve.api.problems import ClientGoneError
from serve.api.scope import Message, Receive, Scope, Send, address_of, method_of

ASK = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


@asynccontextmanager
async def listening(app: Any = hello) -> AsyncIterator[int]:
    """Our protocol on a free port."""
    config = uvicorn.Config(app, http=server._Protocol, ws="none", lifespan="off", log_config=None, access_log=False)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(
        lambda: server._Protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    yield listener.sockets[0].getsockname()[1]
    for protocol in list(state.connections):
        protocol.transport.close()
    listener.close()


async def closed_after(reader: asyncio.StreamReader) -> float:
    """Seconds until the other side hangs up."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    with contextlib.suppress(ConnectionError):  # it may be hung up on in the middle of a byte
        await asyncio.wait_for(reader.read(), 60)
    return loop.time() - begun


@pytest.mark.parametrize("first", [b"", b"GET", ASK + b"GET", ASK + b"GET / HTTP/1.1\r\nHost: loc"])
def test_a_head_that_never_ends_is_hung_up_on(monkeypatch: pytest.MonkeyPatch, first: bytes) -> None:
    """Also after a good request on the same connection, and however it drips."""
    monkeypatch.setattr(server, "_SILENCE", 0.6)

    async def run() -> None:
        async with listening() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(first)

            async def drip() -> None:
                while True:
                    await asyncio.sleep(0.1)
                    writer.write(b"x" if first else b"")

            dripping = asyncio.create_task(drip())
            assert 0.3 < await closed_after(reader) < 30
            dripping.cancel()
            writer.close()

    asyncio.run(run())


def test_slow_but_whole_requests_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_SILENCE", 3.0)

    async def run() -> None:
        async with listening() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(4):  # together longer than one head may take
                writer.write(ASK[:10])
                await asyncio.sleep(1.0)
                writer.write(ASK[10:])
                assert (await reader.readuntil(b"hi")).startswith(b"HTTP/1.1 200")
            writer.write(ASK * 3)
            for _ in range(3):
                await reader.readuntil(b"hi")
            writer.close()

    asyncio.run(run())


def test_too_many_connections_get_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server._Protocol, "most", 2)

    async def run() -> None:
        async with listening() as port:
            first, second = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(ASK)
            told = (await asyncio.wait_for(reader.read(), 20)).decode()
            head, _, body = told.partition("\r\n\r\n")
            assert head.startswith("HTTP/1.1 503")
            assert "\r\nRetry-After: 2\r\n" in head
            assert json.loads(body)["error"]["code"] == "busy"
            writer.close()
            for reader, writer in (first, second):
                writer.write(ASK)
                assert (await reader.readuntil(b"hi")).startswith(b"HTTP/1.1 200")
                writer.close()

    asyncio.run(run())


def test_a_client_that_does_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_STALLED", 0.05)

    async def stuck(message: Message) -> None:
        await asyncio.sleep(60)

    async def run() -> None:
        with pytest.raises(ClientGoneError):
            await Exchange(stuck, api=True).send({"type": "http.response.start", "status": 200, "headers": []})

    asyncio.run(run())


def test_every_answer_has_a_name_of_ours() -> None:
    sent: list[Message] = []

    async def keep(message: Message) -> None:
        sent.append(message)

    async def run() -> None:
        for api in (True, False):
            headers = [(b"x-request-id", b"unspeakable")]
            way = Exchange(keep, api=api)
            await way.send({"type": "http.response.start", "status": 200, "headers": headers})
            named = [value for name, value in sent[-1]["headers"] if name == b"x-request-id"]
            assert named == [way.id.encode()]

    asyncio.run(run())


def test_a_large_body_is_handed_on_in_parts() -> None:
    async def gone() -> Message:
        return {"type": "http.disconnect"}

    async def run(body: bytes) -> None:
        receive = replay(body, gone)
        parts = [await receive()]
        while parts[-1]["more_body"]:
            parts.append(await receive())
        assert b"".join(part["body"] for part in parts) == body
        assert len(parts) == max(1, -(-len(body) // 2**18))
        assert (await receive())["type"] == "http.disconnect"

    for size in (0, 1, 2**18, 2**18 + 1, 3 * 2**18):
        asyncio.run(run(b"x" * size))


def test_the_system_may_allow_fewer_connections() -> None:
    assert 1 <= server._connections() <= 4096


@pytest.mark.parametrize(
    ("client", "expected"),
    [(("192.0.2.7", 1), "192.0.2.7"), (("::1", 1), "::1"), (("a piece of a text", 0), "unknown"), (None, "unknown")],
)
def test_only_addresses_are_logged(client: object, expected: str) -> None:
    assert address_of({"client": client}) == expected
    assert method_of({"method": "SECRETWORD"}) == "other"
    assert method_of({"method": "POST"}) == "POST"
