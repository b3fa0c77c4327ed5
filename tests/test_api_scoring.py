"""The one queue: batches across requests, fair turns, bounds, failures kept apart."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import pytest

from model.classifier import ThemeClassifier
from model.result import Result
from model.text import Article
from model.windows import Encoded
from serve.api.scoring import BATCH_ARTICLES, BusyError, ScoringQueue
from tests.api_tools import PLAIN, THEMED, HeldClassifier


def jobs(name: str, count: int, text: str = PLAIN) -> list[tuple[Article, str]]:
    return [(Article(text, id=f"{name}{i}"), "en") for i in range(count)]


@pytest.fixture
def held(tiny: ThemeClassifier) -> HeldClassifier:
    return HeldClassifier(tiny)


@pytest.fixture
def queue(held: HeldClassifier) -> Iterator[ScoringQueue]:
    queue = ScoringQueue(held, capacity=100, patience=60)
    yield queue
    held.open.set()
    queue.close()


def occupy(queue: ScoringQueue, held: HeldClassifier) -> Future[list[Result]]:
    """Keep the thread busy, so that what comes next has to wait."""
    first = queue.submit(jobs("first", 1))
    while not held.batches:
        time.sleep(0.001)
    return first


def test_waiting_articles_share_a_batch(queue: ScoringQueue, held: HeldClassifier) -> None:
    first = occupy(queue, held)
    futures = [queue.submit(jobs(name, 1)) for name in "abcdef"]
    assert queue.waiting == 6
    held.open.set()
    assert [f.result(30)[0].id for f in [first, *futures]] == ["first0", "a0", "b0", "c0", "d0", "e0", "f0"]
    assert held.batches == [["first0"], ["a0", "b0", "c0", "d0", "e0", "f0"]]
    assert queue.waiting == 0


def test_requests_take_turns(queue: ScoringQueue, held: HeldClassifier) -> None:
    occupy(queue, held)
    large, small = queue.submit(jobs("large", 64)), queue.submit(jobs("small", 2))
    held.open.set()
    assert [r.id for r in small.result(30)] == ["small0", "small1"]
    assert [r.id for r in large.result(30)] == [f"large{i}" for i in range(64)]
    assert held.batches[1][:4] == ["large0", "small0", "large1", "small1"]
    assert all(len(batch) <= BATCH_ARTICLES for batch in held.batches)


def test_a_batch_ends_when_its_tokens_are_many(queue: ScoringQueue, held: HeldClassifier) -> None:
    occupy(queue, held)
    future = queue.submit(jobs("long", 12, f"{PLAIN} " * 200))
    held.open.set()
    assert all(r.windows > 4 for r in future.result(30))
    assert max(map(len, held.batches)) < 12


def test_a_full_queue_refuses(queue: ScoringQueue, held: HeldClassifier) -> None:
    occupy(queue, held)
    queue.submit(jobs("a", 64))
    with pytest.raises(BusyError) as raised:
        queue.submit(jobs("b", 64))
    assert raised.value.retry_after >= 1
    queue.submit(jobs("c", 36))
    with pytest.raises(BusyError):
        queue.submit(jobs("d", 1))


def test_what_would_wait_too_long_is_refused(tiny: ThemeClassifier) -> None:
    held = HeldClassifier(tiny)
    queue = ScoringQueue(held, capacity=100, patience=1)
    occupy(queue, held)
    time.sleep(0.3)
    held.open.set()
    while queue._seconds == 0:
        time.sleep(0.001)
    held.open.clear()
    held.batches.clear()
    occupy(queue, held)
    queue.submit(jobs("a", 2))
    with pytest.raises(BusyError):
        queue.submit(jobs("b", 64))
    held.open.set()
    queue.close()


def test_cancelled_work_is_dropped(queue: ScoringQueue, held: HeldClassifier) -> None:
    occupy(queue, held)
    gone, stays = queue.submit(jobs("gone", 30)), queue.submit(jobs("stays", 1))
    assert gone.cancel()
    held.open.set()
    assert stays.result(30)
    assert held.batches == [["first0"], ["stays0"]]
    assert queue.waiting == 0


def test_one_failure_does_not_fail_the_batch(tiny: ThemeClassifier) -> None:
    class Picky(HeldClassifier):
        def predict_encoded(self, encoded: Sequence[Encoded], explain: bool = True) -> list[Result]:
            if any(item.article.id == "bad0" for item in encoded) and self.batches:
                raise RuntimeError("cannot")
            return super().predict_encoded(encoded, explain)

    held = Picky(tiny)
    queue = ScoringQueue(held, capacity=100, patience=60)
    occupy(queue, held)
    good, bad, other = (queue.submit(jobs(name, 1)) for name in ("good", "bad", "other"))
    held.open.set()
    assert good.result(30)[0].id == "good0"
    assert other.result(30)[0].id == "other0"
    with pytest.raises(RuntimeError):
        bad.result(30)
    assert queue.submit(jobs("again", 1)).result(30)
    queue.close()


def test_evidence_only_where_it_was_asked_for(queue: ScoringQueue, held: HeldClassifier) -> None:
    occupy(queue, held)
    asked, plain = queue.submit(jobs("a", 1, THEMED)), queue.submit(jobs("b", 1, THEMED), explain=False)
    held.open.set()
    assert asked.result(30)[0].evidence
    assert not plain.result(30)[0].evidence
    assert plain.result(30)[0].scores == pytest.approx(asked.result(30)[0].scores, abs=1e-3)


def test_closing_finishes_what_was_accepted(tiny: ThemeClassifier) -> None:
    queue = ScoringQueue(tiny, capacity=500, patience=60)
    futures = [queue.submit(jobs(str(i), 3)) for i in range(40)]
    queue.close()
    assert all(len(future.result(0)) == 3 for future in futures)
    assert not queue.alive
    with pytest.raises(BusyError):
        queue.submit(jobs("late", 1))


def test_nothing_is_answered_at_once(queue: ScoringQueue) -> None:
    assert queue.submit([]).result(0) == []


def test_several_workers_share_the_queue(tiny: ThemeClassifier) -> None:
    queue = ScoringQueue(tiny, capacity=500, patience=60, workers=3)
    texts = [PLAIN, THEMED, f"{PLAIN} " * 40, f"{THEMED} " * 60]
    futures = [queue.submit([(Article(texts[(n + i) % 4], id=f"{n}-{i}"), "en") for i in range(9)]) for n in range(20)]
    alone = {text: tiny.predict([Article(text)], language="en")[0].decisions for text in texts}
    for n, future in enumerate(futures):
        results = future.result(60)
        assert [r.id for r in results] == [f"{n}-{i}" for i in range(9)]
        assert [r.decisions for r in results] == [alone[texts[(n + i) % 4]] for i in range(9)]
    last = queue.submit(jobs("last", 64))
    queue.close()
    assert last.done(), "what was accepted is finished"
    assert not queue.alive
    with pytest.raises(BusyError):
        queue.submit(jobs("late", 1))
