"""What the routes share: the classifier behind its queue, the store behind its threads."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from model.classifier import ThemeClassifier
from model.result import Result
from model.text import Article
from serve.api.limits import Limits
from serve.api.metrics import Metrics
from serve.api.problems import ClientGoneError, ProblemError
from serve.api.scoring import BusyError, ScoringQueue, UnreadableError
from serve.feedback.store import FeedbackStore

_STORE_THREADS = 4  # writers wait for one disk anyway
_PATIENCE = 0.75  # of the time a request may wait: estimates err, and a late refusal helps nobody
Receive = Callable[[], Awaitable[Any]]
T = TypeVar("T")


@dataclass(frozen=True)
class Serving:
    """The model that answers; its card is kept, because its folder may go."""

    classifier: ThemeClassifier
    card: str
    since: datetime  # UTC


class Service:
    """The parts of a running service. ``close`` finishes what was accepted."""

    def __init__(
        self, classifier: ThemeClassifier, store: FeedbackStore, limits: Limits | None = None, workers: int = 1
    ) -> None:
        self.store = store
        self.limits = limits or Limits()
        self.metrics = Metrics()
        self.scoring = ScoringQueue(
            classifier, capacity=self.limits.queue, patience=_PATIENCE * self.limits.wait,
            observe=self.metrics.batch, workers=workers,
        )  # fmt: skip
        self.use(classifier)
        self._threads = ThreadPoolExecutor(_STORE_THREADS, thread_name_prefix="store")

    @property
    def classifier(self) -> ThemeClassifier:
        """The one that answers."""
        return self.serving.classifier

    def use(self, classifier: ThemeClassifier) -> None:
        """Answer with another model, from the next batch on.

        Raises:
            OSError: its card cannot be read; nothing is changed.
        """
        serving = Serving(classifier, classifier.artifact.card(), datetime.now(UTC).replace(microsecond=0))
        self.metrics.model(classifier.artifact.label(), classifier.engine.name)
        self.scoring.classifier = classifier
        self.serving = serving

    def close(self) -> None:
        """End the threads. The store stays the caller's."""
        self.scoring.close()
        self._threads.shutdown()

    async def blocking(self, work: Callable[..., T], *args: Any) -> T:
        """Run what waits for the disk or a database beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)

    async def results(
        self, articles: Sequence[tuple[Article, str]], explain: bool, receive: Receive, where: str = "text"
    ) -> list[Result]:
        """Classify articles, each with its language code or "".

        Args:
            receive: the request's ASGI channel, its body already read: tells when the client has gone.
            where: the field that errors name; ``[]`` in it stands for the article's place.

        Raises:
            ProblemError: 422 for an article that cannot be read, 503 where the queue is full or too slow.
            ClientGoneError: nobody waits for the answer.
        """
        try:
            future = asyncio.wrap_future(self.scoring.submit(articles, explain))
        except BusyError as error:
            raise busy(error.retry_after) from None
        gone = asyncio.ensure_future(_gone(receive))
        both: set[asyncio.Future[Any]] = {future, gone}
        try:
            await asyncio.wait(both, timeout=self.limits.wait, return_when=asyncio.FIRST_COMPLETED)
            if future.done():
                found = future.result()
            elif gone.done():
                raise ClientGoneError
            else:
                raise busy(math.ceil(self.limits.wait / 2))
        except UnreadableError as error:
            field = where.replace("[]", f"[{error.index}]")
            raise ProblemError(422, "unreadable", error.what, where=field) from None
        finally:
            gone.cancel()
            future.cancel()
        self.metrics.results(found)
        return found


def busy(retry_after: int) -> ProblemError:
    """The refusal of a full queue."""
    return ProblemError(503, "busy", "too many articles wait already; try again later", retry_after=retry_after)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
