"""What there is to read off an ASGI scope."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_USER = "themewatch.user"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_API_PATHS = frozenset({"/v1", "/healthz", "/readyz", "/metrics", "/openapi.json"})
TAKES_JSON = frozenset({"/v1/classify", "/v1/feedback"})
_KNOWN = _API_PATHS | TAKES_JSON | {"/v1/feedback/export", "/v1/themes", "/v1/model"}
PROBES = frozenset({"/healthz", "/readyz"})  # open to all, at any time: they say nothing


def is_api(scope: Scope) -> bool:
    """Whether a request is for the API; all else is for the demo."""
    path: str = scope["path"]
    return path in _API_PATHS or path.startswith("/v1/")


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """The request's headers; of a repeated one the first."""
    headers: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name, value)
    return headers


def address_of(scope: Scope) -> str:
    """The client's address; behind a proxy it is a header's word, so anything else is not passed on."""
    client = scope.get("client")
    try:
        return str(ipaddress.ip_address(client[0])) if client else "unknown"
    except ValueError:
        return "unknown"


def method_of(scope: Scope) -> str:
    """The request's method, if it is one of those in use."""
    return str(scope["method"]) if scope["method"] in _METHODS else "other"


def set_user(scope: Scope, user: str) -> None:
    """Note who is asking; empty for anybody."""
    scope[_USER] = user


def user_of(scope: Scope) -> str:
    """Who is asking; empty for anybody."""
    return str(scope.get(_USER, ""))


def route_of(scope: Scope) -> str:
    """The template of the route that answered, or refused to: it holds nothing a client made up."""
    if not is_api(scope):
        return "demo"
    path: str = scope["path"]
    return str(getattr(scope.get("route"), "path", path if path in _KNOWN else "other"))
