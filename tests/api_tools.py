"""What the tests of the service share: an application in this process, and a real server process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from model.classifier import ThemeClassifier
from model.result import Result
from model.windows import Encoded
from serve.api.app import create_app
from serve.api.credentials import Credentials
from serve.api.limits import Limits
from serve.api.scope import App
from serve.api.service import Service
from serve.feedback.store import FeedbackStore

THEMED = "the mixer laundered coins and proceeds through a wallet broker."
PLAIN = "the city council said rain match school market."
BASE = "http://localhost"


class HeldClassifier(ThemeClassifier):
    """Scores nothing until ``open`` is set; counts what it is given."""

    def __init__(self, inner: ThemeClassifier) -> None:
        super().__init__(inner.artifact, inner.engine, inner.windower)
        self.open = threading.Event()
        self.batches: list[list[str]] = []

    def predict_encoded(self, encoded: Sequence[Encoded], explain: bool = True) -> list[Result]:
        self.batches.append([item.article.id for item in encoded])
        assert self.open.wait(30)
        return super().predict_encoded(encoded, explain)


@contextmanager
def service_on(
    classifier: ThemeClassifier, folder: Path, limits: Limits | None = None
) -> Iterator[Service]:  # fmt: skip
    """A running service with a store in ``folder``."""
    store = FeedbackStore.open(f"sqlite:///{folder / 'feedback.sqlite3'}")
    service = Service(classifier, store, limits)
    try:
        yield service
    finally:
        if isinstance(classifier, HeldClassifier):
            classifier.open.set()
        service.close()
        store.close()


@contextmanager
def client_on(
    classifier: ThemeClassifier, folder: Path, *, limits: Limits | None = None,
    credentials: Credentials | None = None, page: App | None = None,
) -> Iterator[TestClient]:  # fmt: skip
    """A client of an application in this process."""
    with service_on(classifier, folder, limits) as service:
        app: Any = create_app(service, page, credentials)
        with TestClient(app, base_url=BASE, raise_server_exceptions=False) as client:
            yield client


def assert_error(answer: Any, status: int, code: str = "", where: str = "") -> dict[str, str]:
    """The answer is an error of the one shape; gives its parts."""
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error"}
    error: dict[str, str] = body["error"]
    assert set(error) - {"where"} == {"code", "message"}
    assert error["message"]
    assert "\n" not in error["message"]
    if code:
        assert error["code"] == code
    if where:
        assert error["where"] == where
    if status in (429, 503):
        assert int(answer.headers["retry-after"]) >= 1
    return error


class RealServer:
    """`themewatch serve` in a process of its own, on a free port."""

    def __init__(self, model: Path | None, database: str, *options: str, **environment: str) -> None:
        command = [str(Path(sys.executable).with_name("themewatch")), "serve", "--port", "0"]
        command += ["--model", str(model)] if model else []
        self.log: list[str] = []
        self.process = subprocess.Popen(
            [*command, "--database", database, *options], env=os.environ | environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(300) or self.process.poll() is not None:
            self.process.kill()
            raise RuntimeError("the server did not start: " + "".join(self.log))

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if found := re.search(r"serving on (http://\S+)", line):
                self.url = found[1]
                self._ready.set()
        self._ready.set()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """SIGKILL: no chance to finish anything."""
        self.process.kill()
        self._end()

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Stop gracefully; gives the seconds it took."""
        begun = time.monotonic()
        self.process.send_signal(number)
        self._end()
        return time.monotonic() - begun

    def _end(self) -> None:
        self.process.wait(120)
        self._reader.join(10)

    def __enter__(self) -> RealServer:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self._end()
