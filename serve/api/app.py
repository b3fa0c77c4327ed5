"""The application: API and demo page behind one front door."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from fastapi import Depends, FastAPI

from serve.api.credentials import Credentials
from serve.api.feedback_routes import feedback_router
from serve.api.front import OWN_NAMES, Front
from serve.api.openapi import DESCRIPTION, KEY_SCHEMES, describe_themes, errors
from serve.api.problems import install
from serve.api.routes import about_router, classify_router, health_router, metrics_router
from serve.api.scope import App
from serve.api.service import Service


def create_app(
    service: Service, page: App | None = None, credentials: Credentials | None = None,
    own_names: frozenset[str] = OWN_NAMES,
) -> Front:  # fmt: skip
    """The ASGI application over a running service.

    Args:
        page: the demo page; without one, only the API answers.
        credentials: who may ask; default: anybody who can reach the port.
        own_names: host names that it answers to where no credentials are needed.
    """
    credentials = credentials or Credentials()
    front = Front(
        create_api(service, credentials), page, credentials=credentials, limits=service.limits,
        metrics=service.metrics, own_names=own_names,
    )  # fmt: skip
    service.metrics.watch(lambda: service.scoring.waiting, lambda: front.admission.active)
    return front


def create_api(service: Service, credentials: Credentials) -> FastAPI:
    """The API alone: no keys are checked here."""
    api = FastAPI(
        title="themewatch", version=metadata.version("themewatch"), description=DESCRIPTION,
        docs_url=None, redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    guarded: dict[str, Any] = {}
    if credentials.keys:
        guarded = {"dependencies": [Depends(scheme) for scheme in KEY_SCHEMES], "responses": errors(401)}
    api.include_router(health_router(service))
    for router in (classify_router(service), feedback_router(service), about_router(service), metrics_router(service)):
        api.include_router(router, **guarded)
    install(api)
    describe_themes(api, lambda: service.classifier.artifact.taxonomy.keys)
    return api
