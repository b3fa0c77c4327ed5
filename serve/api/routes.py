"""The API's addresses for classification, and for what there is to know about the model and the service."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query, Request
from fastapi.responses import JSONResponse, Response

from serve.api.answers import EXAMPLE_RESULT, ModelOut, ResultOut, ResultsOut, StatusOut, ThemesOut
from serve.api.inputs import EXAMPLE_TEXT, ArticlesIn, ClassifyIn
from serve.api.metrics import CONTENT_TYPE
from serve.api.openapi import errors
from serve.api.problems import ProblemError
from serve.api.service import Service

_EXAMPLES: dict[str, Any] = {
    "one article": {"value": {"id": "a-17", "text": EXAMPLE_TEXT, "language": "en"}},
    "several articles": {"value": {"articles": [{"text": EXAMPLE_TEXT}, {"title": "Weather", "text": "Rain again."}]}},
}
_ANSWERS: dict[str, Any] = {
    "one article": {"value": EXAMPLE_RESULT},
    "several articles": {"value": {"results": [EXAMPLE_RESULT]}},
}


def classify_router(service: Service) -> APIRouter:
    """``POST /v1/classify``."""
    router = APIRouter(prefix="/v1", tags=["classification"])

    given: Any = {200: {"content": {"application/json": {"examples": _ANSWERS}}}}

    @router.post(
        "/classify", response_model=ResultOut | ResultsOut, summary="Classify one article, or several",
        responses=errors(400, 413, 415, 422, 429, 503) | given,
    )  # fmt: skip
    async def classify(
        request: Request,
        sent: Annotated[ClassifyIn, Body(openapi_examples=_EXAMPLES)],
        explain: Annotated[
            Literal["true", "false"], Query(description="Whether to look for the sentences that show why")
        ] = "true",
    ) -> Response:
        """Which themes articles report on. One article is answered with its result, several with `results`."""
        many = isinstance(sent, ArticlesIn)
        articles = sent.articles if isinstance(sent, ArticlesIn) else [sent]
        jobs = [(article.article(), article.language or "") for article in articles]
        where = "articles[].text" if many else "text"
        results = await service.results(jobs, explain == "true", request.receive, where)
        answers = [result.to_dict() for result in results]
        return JSONResponse({"results": answers} if many else answers[0])

    return router


def about_router(service: Service) -> APIRouter:
    """``GET /v1/themes`` and ``GET /v1/model``."""
    router = APIRouter(prefix="/v1", tags=["about"])

    @router.get("/themes", response_model=ThemesOut, summary="The themes", responses=errors(429, 503))
    async def themes() -> dict[str, Any]:
        """The taxonomy, and from which probability on a theme is to review, and matches."""
        artifact = service.classifier.artifact
        limits = artifact.decisions.themes
        given = artifact.taxonomy.to_dict()
        told = [
            theme | {"review_from": limits[theme["key"]].lower, "match_from": limits[theme["key"]].upper}
            for theme in given["themes"]
        ]
        return {"version": artifact.taxonomy.version, "themes": told}

    @router.get("/model", response_model=ModelOut, summary="The model", responses=errors(429, 503))
    async def model() -> ModelOut:
        """Which model answers, and its card."""
        serving = service.serving
        artifact = serving.classifier.artifact
        return ModelOut(
            name=artifact.name, version=artifact.version, digest=artifact.digest, backbone=artifact.backbone,
            engine=serving.classifier.engine.name, taxonomy=artifact.taxonomy.version,
            max_windows=artifact.windows.limit, since=serving.since, card=serving.card,
        )  # fmt: skip

    return router


def health_router(service: Service) -> APIRouter:
    """``GET /healthz``, open to all."""
    router = APIRouter(tags=["service"])

    @router.get("/healthz", response_model=StatusOut, summary="Is the process up?")
    async def healthz() -> StatusOut:
        """Answers at once whenever the process runs."""
        return StatusOut(status="ok")

    @router.get("/readyz", response_model=StatusOut, summary="Can it work?", responses=errors(503))
    async def readyz() -> StatusOut:
        """Whether articles can be scored and feedback stored."""
        if not service.scoring.alive:
            raise ProblemError(503, "not_ready", "articles cannot be scored", retry_after=5)
        await service.blocking(service.store.check)
        return StatusOut(status="ok")

    return router


def metrics_router(service: Service) -> APIRouter:
    """``GET /metrics``."""
    router = APIRouter(tags=["service"])

    @router.get(
        "/metrics", response_class=Response, summary="Metrics for Prometheus",
        responses=errors(429, 503) | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )  # fmt: skip
    async def metrics() -> Response:
        """Requests, latency, decisions by theme and language, queue length, memory."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE)

    return router
