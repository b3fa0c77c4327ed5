"""SIGKILL and SIGTERM: what was answered is stored, whenever the process dies."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from model.artifact import Artifact
from serve.feedback.store import FeedbackStore
from tests.api_tools import THEMED, RealServer


class Writer(threading.Thread):
    """Sends feedback until the server is gone; keeps the names of what was answered."""

    def __init__(self, server: RealServer, name: str, result: object) -> None:
        super().__init__(name=name)
        self._server, self._result = server, result
        self.answered: list[str] = []

    def run(self) -> None:
        with httpx.Client(base_url=self._server.url, timeout=60) as client:
            for i in range(100_000):
                article = {"text": f"{THEMED} {self.name} {i}"}
                body = {"article": article, "themes": [], "consent": True, "result": self._result}
                try:
                    answer = client.post("/v1/feedback", json=body)
                except httpx.HTTPError:
                    return
                if answer.status_code == 201:
                    self.answered.append(answer.json()["id"])


def kill_while_writing(
    model: Path, folder: Path, rounds: int, end: Callable[[RealServer], object] = RealServer.kill
) -> int:  # fmt: skip
    """End a server again and again under fire; the number of answered records, all of them found again."""
    url = f"sqlite:///{folder / 'feedback.sqlite3'}"
    rng = random.Random(5)
    answered: set[str] = set()
    for number in range(rounds):
        with RealServer(model, url, "--no-demo") as server:
            result = httpx.post(f"{server.url}/v1/classify", json={"text": THEMED}, timeout=60).json()
            writers = [Writer(server, f"{number}-{writer}", result) for writer in range(4)]
            for writer in writers:
                writer.start()
            until = time.monotonic() + 60
            while time.monotonic() < until and not all(writer.answered for writer in writers):
                time.sleep(0.01)
            time.sleep(rng.uniform(0.05, 0.5))
            end(server)
            for writer in writers:
                writer.join(60)
                answered.update(writer.answered)
        store = FeedbackStore.open(url)
        with store._engine.connect() as connection:
            stored = {row[0] for row in connection.exec_driver_sql("SELECT hash FROM feedback")}
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        store.close()
        assert answered <= stored
    return len(answered)


def test_answered_feedback_survives_kills(tiny_artifact: Artifact, tmp_path: Path) -> None:
    assert kill_while_writing(tiny_artifact.folder, tmp_path, 3) >= 12


def test_answered_feedback_survives_a_stop(tiny_artifact: Artifact, tmp_path: Path) -> None:
    assert kill_while_writing(tiny_artifact.folder, tmp_path, 1, RealServer.stop) >= 4


@pytest.mark.slow
def test_answered_feedback_survives_many_kills(tiny_artifact: Artifact, tmp_path: Path) -> None:
    assert kill_while_writing(tiny_artifact.folder, tmp_path, 20) >= 80
