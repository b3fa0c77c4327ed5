"""The API's addresses for feedback."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from typing import IO, Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from serve.api.answers import FeedbackOut
from serve.api.inputs import FeedbackIn
from serve.api.openapi import errors
from serve.api.problems import ProblemError
from serve.api.scope import user_of
from serve.api.service import Service
from serve.feedback.record import Feedback
from serve.feedback.store import FeedbackStore

NDJSON = "application/x-ndjson"
_CHUNK = 64 * 1024  # bytes


def feedback_router(service: Service) -> APIRouter:
    """``POST /v1/feedback`` and ``GET /v1/feedback/export``."""
    router = APIRouter(prefix="/v1/feedback", tags=["feedback"])
    created: dict[int | str, dict[str, Any]] = {201: {"model": FeedbackOut, "description": "Stored as a new record"}}

    @router.post(
        "", response_model=FeedbackOut, summary="Say what an article reports on",
        responses=errors(400, 413, 415, 422, 429, 503) | created,
    )  # fmt: skip
    async def give(request: Request, sent: Annotated[FeedbackIn, Body()]) -> Response:
        """Stored durably before the answer. The same article from the same user updates its record."""
        _check(sent, frozenset(service.classifier.artifact.taxonomy.keys))
        feedback = await _feedback(service, sent, request)
        new = await service.blocking(service.store.put, feedback)
        service.metrics.feedback(new)
        answer = FeedbackOut(
            id=feedback.digest, stored="created" if new else "updated", text_kept=feedback.consent,
            trainable=feedback.consent and feedback.labels is not None,
        )  # fmt: skip
        return JSONResponse(answer.model_dump(), 201 if new else 200)

    @router.get(
        "/export", response_class=StreamingResponse, summary="Corrected articles, to train on",
        responses=errors(429, 503) | {200: {"content": {NDJSON: {"schema": {"type": "string"}}}}},
    )  # fmt: skip
    async def export() -> Response:
        """JSON lines that `themewatch train --data` takes: only articles whose text may be kept."""
        file = await service.blocking(_spool, service.store)
        return StreamingResponse(_chunks(service, file), media_type=NDJSON)

    return router


def _check(sent: FeedbackIn, known: frozenset[str]) -> None:
    """Refuse themes that the taxonomy does not have."""
    for name, keys in (("themes", sent.themes), ("verdicts", sent.verdicts)):
        if not known.issuperset(keys):
            raise ProblemError(422, "unknown_theme", "not a theme of GET /v1/themes", where=name)


async def _feedback(service: Service, sent: FeedbackIn, request: Request) -> Feedback:
    """The record: what was sent, and what the model said about it."""
    article = sent.article
    told = sent.result
    if told is None:
        jobs = [(article.article(), article.language or "")]
        (result,) = await service.results(jobs, False, request.receive, "article.text")
        language, scores, taxonomy = result.language, result.scores, result.taxonomy
        decisions = {key: decision.value for key, decision in result.decisions.items()}
        name, version = result.model["name"], result.model["version"]
    else:
        language, scores, taxonomy = told.language, told.scores, told.taxonomy
        decisions = {key: str(decision) for key, decision in told.decisions.items()}
        name, version = told.model.name, told.model.version
    return Feedback(
        text=article.text, title=article.title, consent=sent.consent, language=article.language or language,
        model_name=name, model_version=version, taxonomy=taxonomy, scores=dict(scores), decisions=decisions,
        verdicts=sent.verdicts, themes=sent.listed,
        note=sent.note, article_id=article.id, user=user_of(request.scope),
    )  # fmt: skip


def _spool(store: FeedbackStore) -> IO[bytes]:
    """The whole export in an unnamed file: a slow reader must not hold a transaction open."""
    file: Any = tempfile.TemporaryFile()  # noqa: SIM115 - closed by _chunks
    try:
        for line in store.training_lines():
            file.write(line.encode("utf-8"))
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file  # type: ignore[no-any-return]


async def _chunks(service: Service, file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while chunk := await service.blocking(file.read, _CHUNK):
            yield chunk
