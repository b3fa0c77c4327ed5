"""A real server process: its socket, its protocol, its end, its log."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from model.artifact import Artifact
from serve.api.logs import PlainFormatter
from tests.api_tools import PLAIN, RealServer, assert_error

JSON = {"content-type": "application/json"}


def database(folder: Path) -> str:
    return f"sqlite:///{folder / 'feedback.sqlite3'}"


@pytest.fixture(scope="module")
def server(tiny_artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with RealServer(tiny_artifact.folder, database(tmp_path_factory.mktemp("server")), "--no-demo") as server:
        yield server


def raw(server: RealServer, sent: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to bytes that a proper client would not send."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(sent)
        got = b""
        while chunk := connection.recv(65_536):
            got += chunk
    head, _, body = got.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def test_it_answers(server: RealServer) -> None:
    answer = httpx.post(f"{server.url}/v1/classify", json={"text": PLAIN})
    assert answer.status_code == 200
    assert "server" not in answer.headers
    assert_error(httpx.get(f"{server.url}/"), 404)


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\nConnection: close\r\n\r\n",
        b"GET /v1/model HTTP/1.1\r\n\r\n",
        b"GET /v1/model HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100 + b"\r\n\r\n",
    ],
)
def test_what_is_no_http_gets_the_one_error_shape(server: RealServer, sent: bytes) -> None:
    status, body = raw(server, sent)
    assert 400 <= status < 500
    assert set(json.loads(body)["error"]) >= {"code", "message"}


def test_an_endless_request_line_is_cut_off(server: RealServer) -> None:
    """The server may close before all has been sent: then the answer can be lost to a reset, and that is fine."""
    with contextlib.suppress(ConnectionError):
        assert 400 <= raw(server, b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")[0] < 500
    test_it_answers(server)


def test_paths_are_not_walked(server: RealServer) -> None:
    for path in (b"/v1/../../../etc/passwd", b"/v1/%2e%2e/%2e%2e/etc/passwd", b"//v1/model", b"/v1/model/../../etc"):
        sent = b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert raw(server, sent)[0] == 404


def test_large_bodies_get_their_refusal(server: RealServer) -> None:
    """The client is still sending when the answer is clear: it must get to read it."""
    ten = b'{"text": "' + b"x" * 10_000_000 + b'"}'
    assert_error(httpx.post(f"{server.url}/v1/classify", content=ten, headers=JSON, timeout=60), 413, "too_large")

    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 100_000

    answer = httpx.post(f"{server.url}/v1/classify", content=pieces(), headers=JSON, timeout=60)
    assert_error(answer, 413, "too_large")
    head = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    status, _ = raw(server, head + b"Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n")
    assert status == 413


def test_the_log_holds_nothing_of_a_request(server: RealServer) -> None:
    httpx.post(f"{server.url}/v1/classify?explain=unspeakable", json={"text": "unspeakable"})
    httpx.post(f"{server.url}/v1/unspeakable?unspeakable=1", content=b"unspeakable", headers=JSON)
    httpx.get(f"{server.url}/v1/model", headers={"user-agent": "unspeakable", "x-api-key": "unspeakable"})
    until = time.monotonic() + 10
    while not any("/v1/model 200" in line for line in server.log) and time.monotonic() < until:
        time.sleep(0.05)
    log = "".join(server.log)
    assert re.search(r"themewatch.access 127.0.0.1 POST /v1/classify 422 \d", log)
    assert re.search(r"themewatch.access 127.0.0.1 POST other 404 \d", log)
    assert "unspeakable" not in log


def test_tracebacks_are_logged_without_their_messages() -> None:
    record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", None, None)
    try:
        raise ValueError("unspeakable")
    except ValueError:
        record.exc_info = sys.exc_info()
    told = PlainFormatter("%(message)s").format(record)
    assert re.fullmatch(r"failed\nValueError at test_api_server.py:\d+ test_tracebacks_\w+", told)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_finishes_what_was_accepted(tiny_artifact: Artifact, tmp_path: Path, number: signal.Signals) -> None:
    answers: list[httpx.Response] = []
    with RealServer(tiny_artifact.folder, database(tmp_path), "--no-demo") as server:
        body = {"articles": [{"text": f"{PLAIN} " * 400} for _ in range(64)]}

        def ask() -> None:
            answers.append(httpx.post(f"{server.url}/v1/classify", json=body, timeout=120))

        asking = [threading.Thread(target=ask) for _ in range(3)]
        for thread in asking:
            thread.start()
        until = time.monotonic() + 60
        while (
            time.monotonic() < until and "themewatch_active_requests 4" not in httpx.get(f"{server.url}/metrics").text
        ):
            time.sleep(0.01)
        server.stop(number)
        for thread in asking:
            thread.join(120)
        assert [answer.status_code for answer in answers] == [200] * 3
        assert all(len(answer.json()["results"]) == 64 for answer in answers)
        assert server.process.returncode in (0, -signal.SIGTERM)
        assert "Traceback" not in "".join(server.log)


def test_a_taken_port_is_one_line(server: RealServer, tiny_artifact: Artifact, tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("themewatch")
    done = subprocess.run(
        [command, "serve", "--no-demo", "--port", str(server.port), "--model", tiny_artifact.folder,
         "--database", database(tmp_path)],
        capture_output=True, text=True, timeout=120, env=os.environ, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert re.fullmatch(rf"themewatch: 127\.0\.0\.1:{server.port}: cannot listen there: .*\n", done.stderr)
