"""The front door: everything that is settled before a request's content is looked at, and after its answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from serve.api.admission import Admission, has_body, read_body, replay
from serve.api.credentials import Credentials, Throttle
from serve.api.exchange import Exchange
from serve.api.limits import Limits
from serve.api.logs import told
from serve.api.metrics import Metrics
from serve.api.problems import ClientGoneError, ProblemError, http_problem, internal_problem
from serve.api.scope import (
    PROBES,
    TAKES_JSON,
    App,
    Receive,
    Scope,
    Send,
    address_of,
    headers_of,
    is_api,
    method_of,
    route_of,
    set_user,
    user_of,
)  # fmt: skip

ACCESS = logging.getLogger("themewatch.access")
LOG = logging.getLogger("themewatch.serve")
_UPLOAD = "/gradio_api/upload"
_NAME = 100  # characters that the feedback store keeps of a user's name
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


class Front:
    """ASGI application around the API and the demo.

    Args:
        demo: the page's application; without one, only the API answers.
        credentials: who may ask; a side without credentials answers only by the machine's own names,
            so that no foreign web page can reach it through a name of its own (DNS rebinding).
    """

    def __init__(
        self, api: App, demo: App | None, *, credentials: Credentials, limits: Limits, metrics: Metrics,
        own_names: frozenset[str] = OWN_NAMES,
    ) -> None:  # fmt: skip
        self._api, self._demo = api, demo
        self._credentials, self._limits, self._metrics = credentials, limits, metrics
        self._own_names = own_names
        self._throttle = Throttle()
        self.admission = Admission(limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await (self._demo or self._api)(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.monotonic()
        api = is_api(scope)
        exchange = Exchange(send, api=api)
        try:
            await self._answer(scope, receive, exchange, api)
        except ProblemError as problem:
            await exchange.refuse(scope, receive, problem)
        except ClientGoneError:
            exchange.status = ClientGoneError.STATUS
        except Exception as error:
            LOG.error("%s (request %s)", told(error), exchange.id)
            if not exchange.started:
                await exchange.refuse(scope, receive, internal_problem())
        finally:
            seconds = time.monotonic() - begun
            method, route, status = method_of(scope), route_of(scope), exchange.status
            self._metrics.request(method, route, status, seconds)
            ACCESS.info("%s %s %s %d %.3fs %s", address_of(scope), method, route, status, seconds, exchange.id)

    async def _answer(self, scope: Scope, receive: Receive, exchange: Exchange, api: bool) -> None:
        if scope["path"] in PROBES:
            await self._api(scope, receive, exchange.send)
            return
        headers = headers_of(scope)
        if scope["method"] not in _HARMLESS:
            _check_site(headers)
        self._admit_api(scope, headers) if api else self._admit_demo(scope, headers)
        app = self._api if api else self._demo
        if app is None:
            raise http_problem(404)
        if scope["method"] == "POST" and scope["path"] in TAKES_JSON:
            _check_type(headers)
        # The demo has one login for all its readers: they share a name, not a share.
        client = f"api {user_of(scope) or address_of(scope)}" if api else f"demo {address_of(scope)}"
        with self.admission.enter(client) as ticket:
            if has_body(headers):
                most = self._limits.file if scope["path"] == _UPLOAD and not api else self._limits.body
                receive = replay(await read_body(receive, headers, ticket, self._limits, most), receive)
            await app(scope, receive, exchange.send)

    def _admit_api(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        if not self._credentials.keys:
            self._check_name(headers)
            return
        user = self._credentials.key_user(headers)
        if user is None:
            raise _unauthorized("give an API key: Authorization: Bearer KEY, or X-API-Key: KEY", "Bearer")
        set_user(scope, user)

    def _admit_demo(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        if self._credentials.login is None:
            self._check_name(headers)
            return
        address = address_of(scope)
        if wait := self._throttle.blocked(address):
            raise ProblemError(429, "too_many_requests", "too many wrong passwords", retry_after=wait)
        if not self._credentials.logged_in(headers):
            if b"authorization" in headers:
                self._throttle.failed(address)
            raise _unauthorized("log in", 'Basic realm="themewatch", charset="UTF-8"')
        set_user(scope, f"demo-{self._credentials.login[0]}"[:_NAME])

    def _check_name(self, headers: Mapping[bytes, bytes]) -> None:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name not in self._own_names:
            raise ProblemError(421, "foreign_name", "without credentials the service answers only as localhost")


def _check_site(headers: Mapping[bytes, bytes]) -> None:
    """No other web page may act through its reader's browser (decided as Go's ``http.CrossOriginProtection`` does)."""
    site, origin = headers.get(b"sec-fetch-site", b"").strip(), headers.get(b"origin", b"").strip()
    if site:
        foreign = site not in (b"same-origin", b"none")
    else:
        foreign = bool(origin) and origin.partition(b"://")[2] != headers.get(b"host", b"").strip()
    if foreign:
        raise ProblemError(403, "foreign_site", "requests from other web pages are refused")


def _check_type(headers: Mapping[bytes, bytes]) -> None:
    """JSON only: other types can be sent by any web page that its user opens."""
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/json" or headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise http_problem(415)


def _unauthorized(message: str, scheme: str) -> ProblemError:
    return ProblemError(401, "unauthorized", message, headers={"WWW-Authenticate": scheme})
