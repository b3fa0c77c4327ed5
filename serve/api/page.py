"""The demo page as a part of the service: behind the same queue, and without what a demo does not need."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from concurrent.futures import CancelledError
from typing import Any

import gradio as gr
import gradio.queueing
import gradio.route_utils
import gradio.routes
from fastapi import FastAPI

from model.classifier import ThemeClassifier
from model.errors import InputError
from model.result import Result
from model.text import Article
from serve.api.limits import MAX_TEXT
from serve.api.logs import quiet
from serve.api.problems import http_problem
from serve.api.scope import Receive, Scope, Send, user_of
from serve.api.scoring import BusyError, UnreadableError
from serve.api.service import Service
from serve.demo import LaterError, build_demo, look
from serve.demo.files import private_folder
from serve.feedback.record import Feedback
from serve.uploads.tables import MAX_BYTES

_EVENTS = 8  # texts of the page in work at once
_WAITING = 64
# Parts of Gradio that fetch from other servers, edit or watch the app; prefixes below /gradio_api/.
_CLOSED = ("proxy=", "run-history", "vibe-edit", "undo-vibe-edit", "process_recording", "dev/", "stream/")
_FILE = "/gradio_api/file"
# Texts stay here: no history, no statistics, no errors shown. Gradio's versions know not all of these.
_MOUNTED: dict[str, Any] = {
    "show_error": False, "run_history": False, "ssr_mode": False, "mcp_server": False, "enable_monitoring": False,
    "pwa": False, "footer_links": [],
}  # fmt: skip


class QueuedClassifier(ThemeClassifier):
    """The classifier as the page sees it: every text waits its turn among the API's."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service.classifier, name)  # artifact and engine are those of the model that serves now

    def predict(self, articles: Iterable[Article | str], *, explain: bool = True, language: str = "") -> list[Result]:
        """Classify articles through the queue.

        Raises:
            LaterError: too much waits.
            InputError: for whatever else keeps them from being classified, in words for the page.
        """
        given = [a if isinstance(a, Article) else Article(a) for a in articles]
        if any(len(article.full_text) > MAX_TEXT for article in given):
            raise InputError(f"the text is over the limit of {MAX_TEXT:,} characters")
        try:
            future = self._service.scoring.submit([(article, language) for article in given], explain)
        except BusyError as error:
            raise LaterError("too many texts wait already", remedy=f"try again in {error.retry_after} s") from None
        try:
            results = future.result(self._service.limits.wait)
        except UnreadableError as error:
            raise InputError(error.what) from None
        except (TimeoutError, CancelledError):
            future.cancel()
            raise LaterError("this takes too long now", remedy="try again later") from None
        except Exception:  # Gradio would print it, message and all
            raise InputError("an error of the service") from None
        self._service.metrics.results(results)
        return results


class Page:
    """ASGI application of the demo page."""

    def __init__(self, page: gr.Blocks) -> None:
        self._closed = (*(f"/gradio_api/{name}" for name in _CLOSED), "/monitoring", "/login", "/token")
        self._files = f"{_FILE}={private_folder()}/"
        quiet(gradio.queueing, gradio.route_utils, gradio.routes)
        self._site = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        page.queue(max_size=_WAITING, default_concurrency_limit=_EVENTS, api_open=False)
        known = inspect.signature(gr.mount_gradio_app).parameters
        options = {k: v for k, v in _MOUNTED.items() if k in known}
        gr.mount_gradio_app(self._site, page, path="/", max_file_size=MAX_BYTES, **look(), **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path: str = scope["path"]
            # besides the page's own files, Gradio would fetch addresses for whoever asks
            if path.startswith(self._closed) or (path.startswith(_FILE) and not path.startswith(self._files)):
                raise http_problem(404)
        await self._site(scope, receive, send)

    def stop(self) -> None:
        """End the page's open streams, so that stopping need not wait for closed browser tabs."""
        for route in self._site.routes:
            stop = getattr(getattr(route, "app", None), "stop_event", None)
            if stop is not None:
                stop.set()


def build_page(service: Service) -> Page:
    """The demo page of ``serve.demo`` over a service: its queue, and its feedback store."""

    def save(feedback: Feedback) -> bool:
        new = service.store.put(feedback)
        service.metrics.feedback(new)
        return new

    def user(request: gr.Request) -> str:
        return user_of(getattr(request.request, "scope", {}))

    return Page(build_demo(QueuedClassifier(service), save, user))
