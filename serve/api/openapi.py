"""The API's description: errors, who may ask, and the themes of the model at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.security import APIKeyHeader, HTTPBearer

from serve.api.answers import ErrorOut

_MEANING = {
    400: "Not readable as JSON",
    401: "No good API key",
    413: "The body is too large",
    415: "Not JSON",
    422: "Not a valid request; `where` names the field",
    429: "Too many requests of this client at once; see `Retry-After`",
    503: "Too much work waits, or the store does not answer; see `Retry-After`",
}
DESCRIPTION = (
    "Which themes of online exploitation a news article reports on, with calibrated confidence and the sentences "
    "that show why. Every error has the shape `{\"error\": {\"code\", \"message\", \"where\"?}}`."
)  # fmt: skip
# For the description only: keys are checked before anything of a request is read.
KEY_SCHEMES = (HTTPBearer(auto_error=False), APIKeyHeader(name="X-API-Key", auto_error=False))


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` entry of a route that can answer with these errors."""
    answers: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        answers[status] = {"model": ErrorOut, "description": _MEANING[status]}
        if status in (429, 503):
            answers[status]["headers"] = {
                "Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds"}
            }
    return answers


def describe_themes(app: FastAPI, themes: Callable[[], tuple[str, ...]]) -> None:
    """Name the present themes in the description, so that clients and tools know what may be sent."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        schema = plain()  # FastAPI keeps it
        fields = schema["components"]["schemas"]["FeedbackIn"]["properties"]
        fields["themes"]["items"] = {"type": "string", "enum": list(themes())}
        fields["verdicts"]["propertyNames"] = {"enum": list(themes())}
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
