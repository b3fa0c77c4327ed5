"""Everything that goes wrong has one JSON shape, and says nothing of what was sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from model.errors import ThemewatchError

_CODES = {
    400: ("bad_request", "the request cannot be read"),
    404: ("not_found", "there is nothing at this address"),
    405: ("method_not_allowed", "this address does not take this method"),
    415: ("unsupported_media_type", "send JSON, with the header Content-Type: application/json"),
}
# Names that may be told back; any other part of a location may be a piece of a text.
FIELDS = frozenset(
    {
        "text", "title", "id", "language", "articles", "explain", "article", "verdicts", "themes", "note", "consent",
        "result", "scores", "decisions", "model", "taxonomy", "name", "version",
    }
)  # fmt: skip


class ProblemError(Exception):
    """A refusal.

    Args:
        status: HTTP status.
        code: stable word for programs.
        message: one line for people.
        where: the field, as in ``articles[3].text``.
        retry_after: seconds after which trying again makes sense.
        headers: further response headers.
    """

    def __init__(
        self, status: int, code: str, message: str, *, where: str = "",
        retry_after: int | None = None, headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(code)
        self.status, self.code, self.message, self.where = status, code, message, where
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)

    def response(self) -> Response:
        """The answer that says so."""
        error = {"code": self.code, "message": self.message} | ({"where": self.where} if self.where else {})
        return JSONResponse({"error": error}, self.status, self.headers)


class ClientGoneError(Exception):
    """Nobody waits for the answer any more; in logs and metrics, nginx's status for that."""

    STATUS = 499


def internal_problem() -> ProblemError:
    """What is told of an error of ours: nothing but that it happened."""
    return ProblemError(
        500, "internal", "an error of the service; its log says where, under this answer's X-Request-Id"
    )


def http_problem(status: int, headers: Mapping[str, str] | None = None) -> ProblemError:
    """The problem behind a bare HTTP status."""
    code, message = _CODES.get(status, ("refused", "the request was refused"))
    return ProblemError(status, code, message, headers=headers)


def location(parts: Sequence[Any]) -> str:
    """``articles[3].text`` for a validation error's location; it ends before the first unknown name."""
    told = ""
    for part in parts:
        if isinstance(part, int):
            told += f"[{part}]"
        elif part in FIELDS:
            told += f".{part}" if told else str(part)
        elif part not in ("body", "query", "one", "many"):
            break
    return told


def validation_problem(errors: Sequence[Mapping[str, Any]]) -> ProblemError:
    """The first validation error, without the value it was found in."""
    first = errors[0]
    if first["type"] == "json_invalid":
        return ProblemError(400, "invalid_json", "the body is not valid JSON")
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    message = str(first["msg"]).removeprefix("Value error, ")
    return ProblemError(422, "invalid", f"{message}{more}", where=location(first["loc"]))


def install(app: FastAPI) -> None:
    """Give every error of an application the one shape."""

    async def invalid(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return validation_problem(error.errors()).response()

    async def refused(_request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return http_problem(error.status_code, error.headers).response()

    async def problem(_request: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)
        return error.response()

    async def ours(_request: Request, error: Exception) -> Response:
        assert isinstance(error, ThemewatchError)
        return ProblemError(503, "unavailable", error.what, retry_after=5).response()

    async def gone(_request: Request, _error: Exception) -> Response:
        return Response(status_code=ClientGoneError.STATUS)

    async def unexpected(_request: Request, _error: Exception) -> Response:
        return internal_problem().response()

    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(ProblemError, problem)
    app.add_exception_handler(ThemewatchError, ours)
    app.add_exception_handler(ClientGoneError, gone)
    app.add_exception_handler(Exception, unexpected)
