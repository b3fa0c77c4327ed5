"""``themewatch serve``: the demo page and the API on one port."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model.errors import ConfigError, MissingExtraError
from serve.feedback.command import DATABASE_HELP, DATABASE_VARIABLE

if TYPE_CHECKING:
    from model.artifact import Artifact
    from model.registry import Registry


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; all but this machine's own need credentials.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any free one.")] = 7860,
    model: Annotated[
        Path | None, typer.Option(help="Answer with this model folder and no other; no registry is looked at.")
    ] = None,
    registry: Annotated[
        Path | None,
        typer.Option(
            help="Answer with the model promoted in this registry (default: THEMEWATCH_REGISTRY, else the one in your "
            "data folder), and take over each that is promoted or rolled back to within seconds, without a stop. "
            "Until one is promoted: the released model."
        ),
    ] = None,
    database: Annotated[str | None, typer.Option(envvar=DATABASE_VARIABLE, help=DATABASE_HELP)] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Batches in work at once, on machines with many cores.")
    ] = 1,
    demo: Annotated[bool, typer.Option(help="Whether the demo page is served at /.")] = True,
) -> None:
    """Serve the demo page at / and the API under /v1 (described at /openapi.json).

    Credentials come from the environment, as SHA-256 hashes: THEMEWATCH_API_KEYS=HASH,HASH and
    THEMEWATCH_DEMO_LOGIN=USER:HASH. Limits: THEMEWATCH_LIMIT_BODY, _QUEUE, _CLIENT and others.
    """
    from serve.api.credentials import Credentials
    from serve.api.limits import Limits

    _require_one(model, registry)
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
    with ExitStack() as closing:
        store = FeedbackStore.open(database)
        closing.callback(store.close)
        from model.cache import progress
        from model.registry import Registry
        from serve.api.app import create_app
        from serve.api.follow import Follower, promoted, warm_classifier
        from serve.api.front import OWN_NAMES
        from serve.api.service import Service

        followed = None if model is not None else Registry(registry)
        name = promoted(followed) if followed else ""
        classifier = warm_classifier(followed.path(name) if followed and name else model)
        service = Service(classifier, store, limits, workers)
        closing.callback(service.close)
        progress(_told(service.classifier.artifact, followed, name))
        page = None
        if demo:
            try:
                from serve.api.page import build_page
            except ImportError as error:
                raise MissingExtraError(error.name or "gradio", "serve") from error
            page = build_page(service)
        app = create_app(service, page, credentials, OWN_NAMES | {host.lower()})
        if followed:
            closing.callback(Follower(followed, service, name).close)
        run(app, own, limits, page.stop if page else lambda: None)


def _require_one(model: Path | None, registry: Path | None) -> None:
    """Refuse two answers to the question which model serves, and a registry that is none by a slip of the pen.

    Raises:
        ConfigError: both are given, or the registry's folder is not there.
    """
    if model is not None and registry is not None:
        raise ConfigError("give --model for one fixed model, or --registry to follow promotions, not both")
    if registry is not None and not registry.is_dir():
        raise ConfigError(
            "no such folder", where=f"--registry {registry}", remedy="`themewatch models add` makes a registry"
        )


def _told(artifact: Artifact, registry: Registry | None, name: str) -> str:
    """Which model serves, and what can change that."""
    which = f"{artifact.name} {artifact.version}"
    if registry is None:
        return f"model {which} from {artifact.folder}"
    if name:
        return f"model {name}, promoted in {registry.folder}; the next one promoted there takes over"
    return f"model {which} as released; one promoted in {registry.folder} takes over"
