"""How much is in work, and how a body is read: counted while it comes, before anything looks at it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from serve.api.limits import Limits
from serve.api.problems import ClientGoneError, ProblemError
from serve.api.scope import Message, Receive

_DRAIN = 4  # times the limit: read on so far, so that a client gets to see the refusal
_RETRY = 2  # seconds
_PART = 256 * 1024  # bytes handed on at once


class Admission:
    """Counts requests and bytes in work. Used from the event loop only."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._clients: Counter[str] = Counter()
        self._bytes = 0
        self.active = 0

    @contextmanager
    def enter(self, client: str) -> Iterator[Ticket]:
        """A place for a request while it is in work.

        Args:
            client: whose share it counts to.

        Raises:
            ProblemError: 429 where the client has too many already, 503 where all together have.
        """
        if self._clients[client] >= self._limits.client:
            raise ProblemError(429, "too_many_requests", "too many of your requests at once", retry_after=_RETRY)
        if self.active >= self._limits.requests:
            raise ProblemError(503, "busy", "too many requests at once; try again later", retry_after=_RETRY)
        ticket = Ticket(self)
        self.active += 1
        self._clients[client] += 1
        try:
            yield ticket
        finally:
            self.active -= 1
            self._bytes -= ticket.size
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]

    def hold(self, size: int) -> None:
        """Count further bytes in memory.

        Raises:
            ProblemError: 503 where there would be too many.
        """
        if self._bytes + size > self._limits.buffered:
            raise ProblemError(503, "busy", "too much to read at once; try again later", retry_after=_RETRY)
        self._bytes += size


class Ticket:
    """A request in work and the bytes it holds."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.size = 0

    def hold(self, size: int) -> None:
        """Count further bytes of this request (see ``Admission.hold``)."""
        self._admission.hold(size)
        self.size += size


def has_body(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a body comes with the request."""
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip() != b"0"


async def read_body(
    receive: Receive, headers: Mapping[bytes, bytes], ticket: Ticket, limits: Limits, most: int
) -> bytes:  # fmt: skip
    """The whole body.

    Args:
        most: bytes it may have.

    Raises:
        ProblemError: 413 where it is too large, 408 where it comes too slowly, 503 where memory is short.
        ClientGoneError: it ends before its end.
    """
    too_large = ProblemError(
        413, "too_large", f"the body is over the limit of {most:,} bytes", headers={"Connection": "close"}
    )
    declared = headers.get(b"content-length", b"").strip()
    too_long = declared.isdigit() and (len(declared) > 18 or int(declared) > most)
    if too_long and headers.get(b"expect", b"").lower() == b"100-continue":
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(limits.upload):
            read, more = 0, True
            while more and read <= _DRAIN * most:
                chunk, more = _part(await receive())
                read += len(chunk)
                if read > most or too_long:
                    too_long = True
                    body.clear()
                else:
                    ticket.hold(len(chunk))
                    body += chunk
    except TimeoutError:
        slow = f"the body did not come within {limits.upload} seconds"
        raise ProblemError(408, "too_slow", slow, headers={"Connection": "close"}) from None
    if too_long:
        raise too_large
    return bytes(body)


def _part(message: Message) -> tuple[bytes, bool]:
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    return bytes(message.get("body", b"")), bool(message.get("more_body", False))


def replay(body: bytes, receive: Receive) -> Receive:
    """An ASGI channel that gives ``body`` first and then what ``receive`` gives."""
    parts = iter(range(0, max(1, len(body)), _PART))

    async def again() -> Message:
        start = next(parts, None)
        if start is None:
            return await receive()
        if start:
            await asyncio.sleep(0)  # an upload is parsed part by part, with others in between
        more = start + _PART < len(body)
        return {"type": "http.request", "body": body[start : start + _PART], "more_body": more}

    return again
