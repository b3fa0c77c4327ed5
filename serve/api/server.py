"""The running server: its socket, its signals, its end."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from model.cache import progress
from model.errors import ConfigError
from serve.api.limits import Limits
from serve.api.problems import ProblemError, http_problem
from serve.api.scope import App

_SILENCE = 20  # seconds that the head of a request may take
_CONNECTIONS = 4096  # open at once: each costs a file descriptor and some memory
_OWN_FILES = 256  # descriptors kept for the model, the store and uploads
_LINGER = 2  # seconds to read on after a refusal: closing at once could take it from the client again
_SWITCH = 0.001  # seconds a thread may keep the interpreter from the event loop


def open_socket(host: str, port: int) -> socket.socket:
    """A bound socket, not listening yet: nobody is let in before the service can answer.

    Raises:
        ConfigError: the address is no address here, or is taken.
    """
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, number, _, address = sorted(found, key=lambda entry: entry[0] != socket.AF_INET)[0]
        own = socket.socket(family, kind, number)
        own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        own.bind(address)
    except (OSError, UnicodeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or "not an address"
        raise ConfigError(
            f"cannot listen there: {reason}", where=f"{host}:{port}", remedy="choose another with --host and --port"
        ) from error
    return own


def run(app: App, own: socket.socket, limits: Limits, on_stop: Callable[[], None]) -> None:
    """Serve until SIGINT or SIGTERM; then finish what was accepted.

    Args:
        on_stop: called when the end begins.
    """
    config = uvicorn.Config(
        app, http=_Protocol, ws="none", lifespan="on", log_config=None, access_log=False, server_header=False,
        timeout_graceful_shutdown=limits.wait + 5, timeout_keep_alive=10,
        # X-Forwarded-For is anybody's word, unless the operator names a proxy.
        proxy_headers=bool(os.environ.get("FORWARDED_ALLOW_IPS")),
    )  # fmt: skip
    _Protocol.most = _connections()
    sys.setswitchinterval(_SWITCH)
    gc.collect()
    gc.freeze()  # what is loaded stays: looking through it all again held every answer up for a quarter of a second
    # uvicorn passes signals on once all is finished; at SIGTERM the process would die before it has tidied up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        _Server(config, on_stop).run([own])


def _connections() -> int:
    """How many connections may be open at once; raises the system's limit on open files where it can."""
    try:
        import resource
    except ImportError:  # Windows
        return _CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTIONS + _OWN_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return _CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, min(_CONNECTIONS, soft - _OWN_FILES))


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        host, port = (sockets or [])[0].getsockname()[:2]
        progress(f"serving on http://{f'[{host}]' if ':' in host else host}:{port} (stop with Ctrl+C)")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        progress("stopping; finishing what was accepted")
        self._on_stop()
        await super().shutdown(sockets)


class _Protocol(H11Protocol):
    """Adds what uvicorn lacks: our error shape for what is no HTTP, bounds on connections and on silence."""

    most = 1024  # connections open at once
    _silence: asyncio.TimerHandle | None = None
    _refused = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.most:
            full = ProblemError(503, "busy", "too many connections; try again later", retry_after=_LINGER)
            self._refuse("503 Service Unavailable", full)
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._silence is not None:
            self._silence.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch_head()

    def _watch_head(self) -> None:
        """Give a request's head some seconds from its first byte on, and the first one's from connecting on."""
        begun = self.cycle is None or bool(self.conn.trailing_data[0])
        if begun and self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self._silence = self._silence or self.loop.call_later(_SILENCE, self._end_silence)
        elif self._silence is not None:
            self._silence.cancel()
            self._silence = None

    def _end_silence(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        self._refuse("400 Bad Request", http_problem(400))

    def _refuse(self, status: str, problem: ProblemError) -> None:
        """Answer what no application gets to see, and hang up."""
        body = json.dumps({"error": {"code": problem.code, "message": problem.message}}).encode("ascii")
        head = [
            f"HTTP/1.1 {status}", "content-type: application/json", "x-content-type-options: nosniff",
            *(f"{name}: {value}" for name, value in problem.headers.items()),
            f"content-length: {len(body)}", "connection: close", "", "",
        ]  # fmt: skip
        self._refused = True
        self.transport.write("\r\n".join(head).encode("ascii") + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER, self.transport.close)

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            super().data_received(data)
            self._watch_head()
