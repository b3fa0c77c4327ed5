"""The way back of an answer: security headers on all, one error shape, its status remembered."""

from __future__ import annotations

import asyncio
import secrets

from serve.api.problems import ClientGoneError, ProblemError, http_problem, internal_problem
from serve.api.scope import Message, Receive, Scope, Send

_STALLED = 30  # seconds that a client may leave a part of its answer unread
_ALL = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
_API = [
    *_ALL,
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
]
# Gradio's page needs inline scripts; nothing may come from or go to another server.
_DEMO = [
    *_ALL,
    (b"x-frame-options", b"SAMEORIGIN"),
    (
        b"content-security-policy",
        b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'; form-action 'self'",
    ),
]
_ID = b"x-request-id"
_REWORDED = {404, 405, 422, 500}  # Gradio's own wording of these may show what was sent


class Exchange:
    """Wraps one request's ``send``; ``id`` names the request in its answer's X-Request-Id and in the log."""

    def __init__(self, send: Send, *, api: bool) -> None:
        self.id = secrets.token_hex(8)  # ours: a client's own could hold a text
        self._send, self._api = send, api
        self._replacing = False
        self.started = False
        self.status = 500

    async def send(self, message: Message) -> None:
        """Pass an answer on.

        Raises:
            ClientGoneError: the client takes nothing any more.
        """
        if message["type"] == "http.response.start":
            if not self._api and message["status"] in _REWORDED:
                await self._reword(message)
                return
            self.started = True
            self.status = message["status"]
            message["headers"] = self._headers(message)
        if not self._replacing:
            await self._pass_on(message)

    async def refuse(self, scope: Scope, receive: Receive, problem: ProblemError) -> None:
        """Answer with a problem, unless an answer is on its way already."""
        if not self.started:
            await problem.response()(scope, receive, self.send)

    async def _reword(self, message: Message) -> None:
        status = message["status"]
        allow = [value for name, value in message.get("headers", []) if name.lower() == b"allow"]
        headers = {"Allow": allow[0].decode("latin-1")} if allow else {}
        problem = internal_problem() if status == 500 else http_problem(status, headers)
        response = problem.response()
        self.started, self.status = True, status
        start: Message = {"type": "http.response.start", "status": status, "headers": response.raw_headers}
        start["headers"] = self._headers(start)
        await self._pass_on(start)
        await self._pass_on({"type": "http.response.body", "body": response.body})
        self._replacing = True

    async def _pass_on(self, message: Message) -> None:
        """A client that asks and does not read must not keep its place for ever."""
        try:
            async with asyncio.timeout(_STALLED):
                await self._send(message)
        except TimeoutError:
            raise ClientGoneError from None

    def _headers(self, message: Message) -> list[tuple[bytes, bytes]]:
        """Ours in place of the answer's own; no other site is let in (CORS)."""
        ours = _API if self._api else _DEMO
        own = {_ID, *(name for name, _ in ours)}
        kept = [
            (name, value)
            for name, value in message.get("headers", [])
            if name.lower() not in own and not name.lower().startswith(b"access-control-")
        ]
        return [*kept, *ours, (_ID, self.id.encode("ascii"))]
