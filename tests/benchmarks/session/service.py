"""A running ``themewatch serve`` that a session asks."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from typing import TextIO

from tests.benchmarks.session.transcript import StepError, Transcript, trimmed


class Service:
    """A running ``themewatch serve`` that follows the transcript's registry."""

    def __init__(self, transcript: Transcript) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        command = f"themewatch serve --no-demo --port {self.port} --database sqlite:///feedback.sqlite3"
        self._log: list[str] = []
        self._ready = threading.Event()
        self._process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"], cwd=transcript.folder, env=transcript.environment, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self._process.stderr is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr,), daemon=True)
        self._reader.start()
        if not self._ready.wait(600) or self._process.poll() is not None:
            self.stop()
            raise StepError(f"the service did not start: {''.join(self._log)}")
        transcript.block([f"$ {command} &", *trimmed("".join(self._log), transcript.folder, 6)])

    def _read(self, stream: TextIO) -> None:
        for line in stream:
            self._log.append(line)
            if "serving on" in line:
                self._ready.set()
        self._ready.set()

    def wait_for(self, name: str, since: int, seconds: float = 300) -> str:
        """Wait until the log tells, after its first ``since`` lines, that ``name`` answers; gives that line.

        Raises:
            StepError: it does not within ``seconds``.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._process.poll() is None:
            for line in self._log[since:]:
                if f"{name} answers from now on" in line:
                    return line.strip()
            time.sleep(0.2)
        raise StepError(f"the service did not take {name} over: {''.join(self._log[-5:])}")

    @property
    def told(self) -> int:
        """Lines logged so far."""
        return len(self._log)

    def stop(self) -> None:
        """Stop it gracefully."""
        self._process.terminate()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._reader.join(10)
