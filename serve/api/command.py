"""``themewatch serve``: the demo page and the API on one port."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from model.errors import MissingExtraError
from serve.feedback.command import DATABASE_HELP, DATABASE_VARIABLE


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; all but this machine's own need credentials.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any free one.")] = 7860,
    model: Annotated[Path | None, typer.Option(help="A model folder; default: the released model.")] = None,
    database: Annotated[str | None, typer.Option(envvar=DATABASE_VARIABLE, help=DATABASE_HELP)] = None,
    demo: Annotated[bool, typer.Option(help="Whether the demo page is served at /.")] = True,
) -> None:
    """Serve the demo page at / and the API under /v1 (described at /openapi.json).

    Credentials come from the environment, as SHA-256 hashes: THEMEWATCH_API_KEYS=HASH,HASH and
    THEMEWATCH_DEMO_LOGIN=USER:HASH. Limits: THEMEWATCH_LIMIT_BODY, _QUEUE, _CLIENT and others.
    """
    from serve.api.credentials import Credentials
    from serve.api.limits import Limits

    limits = Limits.from_environment(os.environ)
    credentials = Credentials.from_environment(os.environ)
    credentials.require_for(host, demo)
    try:
        from serve.api.logs import set_up
        from serve.api.server import open_socket, run
        from serve.feedback.store import FeedbackStore
    except ImportError as error:
        raise MissingExtraError(error.name or "fastapi", "serve") from error

    set_up()
    own = open_socket(host, port)
    store = FeedbackStore.open(database)
    try:
        from model.classifier import ThemeClassifier
        from serve.api.app import create_app
        from serve.api.front import OWN_NAMES
        from serve.api.service import Service

        service = Service(ThemeClassifier.load(model), store, limits)
        page = None
        if demo:
            try:
                from serve.api.page import build_page
            except ImportError as error:
                raise MissingExtraError(error.name or "gradio", "serve") from error
            page = build_page(service)
        app = create_app(service, page, credentials, OWN_NAMES | {host.lower()})
        try:
            run(app, own, limits, page.stop if page else lambda: None)
        finally:
            service.close()
    finally:
        store.close()
