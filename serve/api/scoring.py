"""All scoring goes through here: one bounded queue, few threads, small batches across requests."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field, replace

from model.classifier import ThemeClassifier
from model.errors import InputError
from model.result import Result
from model.text import Article
from model.windows import Encoded

BATCH_ARTICLES = 32
BATCH_TOKENS = 4096  # a batch ends with the article that fills it: more at once is not faster, only later
_PACE = 0.2  # weight of the last batch in the running mean of seconds an article


class BusyError(Exception):
    """The queue is full; ``retry_after`` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("busy")
        self.retry_after = retry_after


class UnreadableError(Exception):
    """An article cannot be classified; ``index`` is its place in the request."""

    def __init__(self, index: int, what: str) -> None:
        super().__init__(what)
        self.index, self.what = index, what


@dataclass
class _Work:
    """One request: its articles, and the answers so far."""

    articles: Sequence[tuple[Article, str]]
    explain: bool
    future: Future[list[Result]] = field(default_factory=Future)
    results: dict[int, Result] = field(default_factory=dict)
    next: int = 0

    def answer(self, results: list[Result]) -> None:
        with suppress(InvalidStateError):  # nobody waits any more
            self.future.set_result(results)

    def fail(self, error: BaseException) -> None:
        with suppress(InvalidStateError):
            self.future.set_exception(error)


_Cut = tuple[_Work, int, Encoded]  # a request, the place of one of its articles, and that article in windows


class ScoringQueue:
    """Scores articles of many requests, one of each in turn, so that a large one holds up no small one.

    ``classifier`` may be replaced at any time: the batch in work is finished with the one before.

    Args:
        capacity: articles that may wait.
        patience: seconds that the last of them should wait at most; what would wait longer is refused.
        observe: told the size of each batch and the seconds it took.
        workers: batches in work at once. The encoder uses all cores for each; a second batch fills them while
            the first is cut into windows or explained, which one core does.
    """

    def __init__(
        self, classifier: ThemeClassifier, *, capacity: int, patience: float,
        observe: Callable[[int, float], None] = lambda _size, _seconds: None, workers: int = 1,
    ) -> None:  # fmt: skip
        self.classifier = classifier
        self._capacity, self._patience, self._observe = capacity, patience, observe
        self._turns: deque[_Work] = deque()
        self._waiting = 0
        self._seconds = 0.0  # of one article in one worker, running mean
        self._changed = threading.Condition()
        self._closing = False
        self._threads = [threading.Thread(target=self._run, name=f"scoring-{n}", daemon=True) for n in range(workers)]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Articles that wait."""
        return self._waiting

    @property
    def alive(self) -> bool:
        """Whether what is submitted will be scored."""
        return all(thread.is_alive() for thread in self._threads) and not self._closing

    def submit(self, articles: Sequence[tuple[Article, str]], explain: bool = True) -> Future[list[Result]]:
        """Queue the articles, each with its ISO language code or "", of one request.

        Returns:
            Their results, in order; or ``UnreadableError``, or whatever the engine raised. Cancelling it
            drops what still waits.

        Raises:
            BusyError: too much waits already.
        """
        work = _Work(articles, explain)
        if not articles:
            work.answer([])
            return work.future
        with self._changed:
            after = self._waiting + len(articles)
            too_long = self._waiting > 0 and after * self._pace > self._patience
            if self._closing or after > self._capacity or too_long:
                raise BusyError(self._retry_after())
            self._waiting = after
            self._turns.append(work)
            self._changed.notify_all()
        return work.future

    def close(self) -> None:
        """Refuse new work, finish what was accepted, and end the threads."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    @property
    def _pace(self) -> float:
        """Seconds an article takes with all workers at it."""
        return self._seconds / len(self._threads)

    def _retry_after(self) -> int:
        return max(1, min(60, math.ceil(self._waiting * self._pace / 2)))

    def _run(self) -> None:
        while self._turn():
            pass

    def _turn(self) -> bool:
        """Score one batch; whether there was one. Between two of them no model is held on to."""
        classifier, batch, cutting = self._gather()
        if classifier is None or not batch:
            return False
        begun = time.monotonic() - cutting
        try:
            _score(classifier, batch)
        except Exception as error:
            for work, _, _ in batch:
                work.fail(error)
        spent = time.monotonic() - begun
        self._seconds += _PACE * (spent / len(batch) - self._seconds) if self._seconds else spent / len(batch)
        self._observe(len(batch), spent)
        return True

    def _gather(self) -> tuple[ThemeClassifier | None, list[_Cut], float]:
        """The next articles, cut into windows, their model, and the seconds that took; nothing when closed."""
        batch: list[_Cut] = []
        cutting = 0.0
        tokens = 0
        classifier: ThemeClassifier | None = None
        while len(batch) < BATCH_ARTICLES and tokens < BATCH_TOKENS:
            turn = self._take(wait=not batch)
            if turn is None:
                break
            work, index = turn
            if not batch:  # not before: it may be replaced while nothing comes
                classifier = self.classifier
            assert classifier is not None
            article, language = work.articles[index]
            begun = time.monotonic()
            try:
                encoded = classifier.windower.encode(article, language)
            except InputError as error:
                work.fail(UnreadableError(index, error.what))
            except Exception as error:
                work.fail(error)
            else:
                tokens += sum(map(len, encoded.windows))
                batch.append((work, index, encoded))
            cutting += time.monotonic() - begun
        return classifier, batch, cutting

    def _take(self, wait: bool) -> tuple[_Work, int] | None:
        with self._changed:
            while True:
                while self._turns:
                    work = self._turns.popleft()
                    left = len(work.articles) - work.next
                    if work.future.done():  # cancelled, or one of its articles failed
                        self._waiting -= left
                        continue
                    index = work.next
                    work.next += 1
                    self._waiting -= 1
                    if left > 1:
                        self._turns.append(work)
                    return work, index
                if self._closing or not wait:
                    return None
                self._changed.wait()


def _score(classifier: ThemeClassifier, batch: list[_Cut]) -> None:
    try:
        results = classifier.predict_encoded([e for _, _, e in batch], any(w.explain for w, _, _ in batch))
    except Exception:
        if len(batch) == 1:
            raise
        for item in batch:  # one article must not fail those that happened to share its batch
            try:
                _score(classifier, [item])
            except Exception as error:
                item[0].fail(error)
        return
    for (work, index, _), result in zip(batch, results, strict=True):
        work.results[index] = result if work.explain else replace(result, evidence={})
        if len(work.results) == len(work.articles):
            work.answer([work.results[i] for i in range(len(work.articles))])
