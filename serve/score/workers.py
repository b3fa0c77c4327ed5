"""Who scores chunks: this process, or several others that each hold the model."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Protocol, Self

from model.errors import InputError, ThemewatchError
from model.text import Article
from serve.score.scorer import ModelChoice, Outcome, Scorer, Tick

_WAIT = 0.5  # seconds between two looks at the other processes
Pending = Callable[[], list[Outcome]]


class Backend(Protocol):
    """Scores chunks; ``depth`` is how many may be under way, ``engine_name`` what scores them."""

    depth: int
    engine_name: str

    def submit(self, articles: list[Article]) -> Pending:
        """Hand out a chunk; calling the answer waits for its outcomes."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Serial:
    """Scores in this process."""

    depth = 1

    def __init__(self, choice: ModelChoice, tick: Tick) -> None:
        self._scorer = Scorer(choice, tick)
        self.engine_name = self._scorer.engine_name

    def submit(self, articles: list[Article]) -> Pending:
        return lambda: self._scorer.score(articles)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Pool:
    """Scores in ``count`` new processes; answers are waited for in the order asked."""

    def __init__(self, choice: ModelChoice, tick: Tick, count: int) -> None:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        self.depth = 2 * count
        self._tick = tick
        spawn = multiprocessing.get_context("spawn")
        self._progress = spawn.Array("d", 2)  # articles and tokens scored since the last look
        threads = max(1, (os.cpu_count() or 1) // count)
        self._pool = ProcessPoolExecutor(
            count, mp_context=spawn, initializer=_start, initargs=(choice, self._progress, threads)
        )
        try:
            self.engine_name = str(self._wait(self._pool.submit(_engine_name)))
        except BaseException:
            self.__exit__(BaseException)
            raise

    def submit(self, articles: list[Article]) -> Pending:
        with _workers_alive():
            future = self._pool.submit(_score, articles)

        def outcomes() -> list[Outcome]:
            answer: list[Outcome] = self._wait(future)
            return answer

        return outcomes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:  # chunks under way are lost anyway: do not wait for them
            for process in list((getattr(self._pool, "_processes", None) or {}).values()):
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _wait(self, future: Any) -> Any:
        from concurrent.futures import wait

        while not future.done():
            wait([future], timeout=_WAIT)
            self._look()
        with _workers_alive():
            answer = future.result()
        if isinstance(answer, _Failure):
            raise InputError(answer.told)
        return answer

    def _look(self) -> None:
        with self._progress.get_lock():
            articles, tokens = self._progress[0], self._progress[1]
            self._progress[0] = self._progress[1] = 0.0
        self._tick(articles, int(tokens))


@contextmanager
def _workers_alive() -> Iterator[None]:
    from concurrent.futures.process import BrokenProcessPool

    try:
        yield
    except BrokenProcessPool as error:
        raise ThemewatchError(
            "a worker process died, most likely for lack of memory",
            remedy="run the same command with --resume and fewer --workers",
        ) from error


class _Failure:
    """An error of ours on its way between processes (our errors' own arguments do not survive pickling)."""

    def __init__(self, told: str) -> None:
        self.told = told


_choice: ModelChoice
_shared: Any
_threads = 1
_scorer: Scorer | None = None


def _start(choice: ModelChoice, shared: Any, threads: int) -> None:
    import multiprocessing
    import signal

    global _choice, _shared, _threads
    _choice, _shared, _threads = choice, shared, threads
    # the first process alone answers Ctrl-C; and when it is killed, none of us may stay behind
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # torch reads these when it is imported
        os.environ.setdefault(name, str(threads))


def _loaded() -> Scorer:
    global _scorer

    def tick(articles: float, tokens: int) -> None:
        with _shared.get_lock():
            _shared[0] += articles
            _shared[1] += tokens

    if _scorer is None:
        _scorer = Scorer(_choice, tick, _threads)
    return _scorer


def _engine_name() -> str | _Failure:
    try:
        return _loaded().engine_name
    except ThemewatchError as error:
        return _Failure(str(error))


def _score(articles: Sequence[Article]) -> list[Outcome] | _Failure:
    try:
        return _loaded().score(articles)
    except ThemewatchError as error:
        return _Failure(str(error))
