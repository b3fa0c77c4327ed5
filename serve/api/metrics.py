"""What operators watch; of articles only counts, themes and languages."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)  # fmt: skip

from model.result import Result

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LATENCIES = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SIZES = (1, 2, 4, 8, 16, 32)
_LANGUAGES = 200  # label values at most: clients may claim any language


class Metrics:
    """The service's own registry."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        self._registry = registry
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "themewatch_requests", "Requests answered.", ["method", "path", "status"], registry=registry
        )
        self._latency = Histogram(
            "themewatch_request_seconds", "Seconds from request to answer.", ["path"],
            buckets=_LATENCIES, registry=registry,
        )  # fmt: skip
        self._decisions = Counter(
            "themewatch_decisions", "Decisions on articles.", ["theme", "language", "decision"], registry=registry
        )
        self._batches = Histogram(
            "themewatch_batch_articles", "Articles scored together.", buckets=_SIZES, registry=registry
        )
        self._scoring = Counter("themewatch_scoring_seconds", "Seconds spent on scoring.", registry=registry)
        self._feedback = Counter("themewatch_feedback", "Feedback records stored.", ["kind"], registry=registry)
        self._model = Info("themewatch_model", "The model that answers.", registry=registry)
        self._loads = Counter(
            "themewatch_model_loads", "Promoted models taken over, or not.", ["outcome"], registry=registry
        )
        for outcome in ("taken", "refused"):
            self._loads.labels(outcome)
        self._queue = Gauge("themewatch_queue_articles", "Articles waiting to be scored.", registry=registry)
        self._active = Gauge("themewatch_active_requests", "Requests in work.", registry=registry)
        self._languages: set[str] = set()

    def watch(self, queue: Callable[[], int], active: Callable[[], int]) -> None:
        """Where to read the queue's length and the number of requests in work."""
        self._queue.set_function(lambda: float(queue()))
        self._active.set_function(lambda: float(active()))

    def request(self, method: str, path: str, status: int, seconds: float) -> None:
        """Count an answered request; method and path are of a few known ones, not what a client made up."""
        self._requests.labels(method, path, str(status)).inc()
        self._latency.labels(path).observe(seconds)

    def results(self, results: Iterable[Result]) -> None:
        """Count the decisions of classified articles."""
        for result in results:
            language = self._language(result.language)
            for theme, decision in result.decisions.items():
                self._decisions.labels(theme, language, decision.value).inc()

    def batch(self, size: int, seconds: float) -> None:
        """Count a scored batch."""
        self._batches.observe(size)
        self._scoring.inc(seconds)

    def model(self, label: dict[str, str], engine: str) -> None:
        """Note which model answers (see ``Artifact.label``)."""
        self._model.info({**label, "engine": engine})

    def load(self, taken: bool) -> None:
        """Count a promoted model that was taken over, or could not be."""
        self._loads.labels("taken" if taken else "refused").inc()

    def feedback(self, created: bool) -> None:
        """Count a stored feedback record."""
        self._feedback.labels("new" if created else "update").inc()

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def _language(self, code: str) -> str:
        if code not in self._languages and len(self._languages) >= _LANGUAGES:
            return "other"
        self._languages.add(code)
        return code
