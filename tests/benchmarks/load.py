"""Load on a real server process: throughput, latencies, errors, memory, and how quick /healthz stays.

    python tests/benchmarks/load.py [--clients 200] [--seconds 10] [--model DIR] [--words 150]

Every client asks over its own connection, one article at a time, and waits as long as Retry-After says
where it is refused. Clients and server share the machine: figures are lower bounds.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from model.artifact import PRETRAINED  # noqa: E402
from tests.api_tools import RealServer  # noqa: E402

WORDS = (
    "police", "court", "city", "report", "people", "said", "year", "council", "match", "rain", "wallet", "laundered",
    "coins", "image", "threat",
)  # fmt: skip
_PROBE = 0.05  # seconds between two looks at /healthz


class Load:
    """What the clients saw."""

    def __init__(self, port: int, words: int) -> None:
        self.port, self.words = port, words
        self.latencies: list[float] = []
        self.outcomes: Counter[str] = Counter()

    async def client(self, number: int, until: float) -> None:
        """Ask until the time is up."""
        rng = random.Random(number)
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while time.monotonic() < until:
            begun = time.monotonic()
            try:
                streams = streams or await asyncio.open_connection("127.0.0.1", self.port)
                status, wait = await self.ask(*streams, " ".join(rng.choices(WORDS, k=self.words)) + ".")
            except (OSError, EOFError, ValueError) as error:
                streams = None
                self.outcomes[type(error).__name__] += 1
                await asyncio.sleep(0.1)
                continue
            self.outcomes[str(status)] += 1
            if status == 200:
                self.latencies.append(time.monotonic() - begun)
            elif wait:
                await asyncio.sleep(min(wait, max(0.0, until - time.monotonic())))

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: str) -> tuple[int, int]:
        """Status and Retry-After (seconds, 0 for none) of one request."""
        body = json.dumps({"text": text}).encode()
        head = (
            f"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        await reader.readexactly(int(fields["content-length"]))
        return int(lines[0].split()[1]), int(fields.get("retry-after", 0))

    async def run(self, clients: int, seconds: float) -> None:
        """All clients at once."""
        until = time.monotonic() + seconds
        await asyncio.gather(*(self.client(number, until) for number in range(clients)))


class Probe(threading.Thread):
    """Asks /healthz all the while, and reads the server's memory."""

    def __init__(self, server: RealServer) -> None:
        super().__init__(daemon=True)
        self._server = server
        self.done = threading.Event()
        self.latencies: list[float] = []
        self.failures = 0
        self.memory = 0  # bytes, the most seen

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=30)
        while not self.done.wait(_PROBE):
            begun = time.monotonic()
            try:
                connection.request("GET", "/healthz")
                answer = connection.getresponse()
                answer.read()
                self.failures += answer.status != 200
                self.latencies.append(time.monotonic() - begun)
            except (OSError, http.client.HTTPException):
                self.failures += 1
                connection.close()
            self.memory = max(self.memory, resident(self._server.process.pid))


def resident(pid: int) -> int:
    """Bytes of a process in memory; 0 where this cannot be told (not Linux)."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    except (OSError, IndexError):
        return 0


def quantiles(values: list[float]) -> str:
    """p50, p95, p99 and the worst, in milliseconds."""
    if len(values) < 2:
        return "too few"
    cut = statistics.quantiles(values, n=100, method="inclusive")
    return "  ".join(f"{1000 * v:8.1f}" for v in (cut[49], cut[94], cut[98], max(values)))


def main() -> None:
    """Start a server, load it, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--words", type=int, default=150, help="of each article")
    parser.add_argument("--model", type=Path, default=PRETRAINED)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite:///{folder}/feedback.sqlite3"
        with RealServer(given.model, database, "--no-demo") as server:
            idle = resident(server.process.pid)
            load, probe = Load(server.port, given.words), Probe(server)
            probe.start()
            begun = time.monotonic()
            asyncio.run(load.run(given.clients, given.seconds))
            spent = time.monotonic() - begun
            probe.done.set()
            probe.join()
            stopped = server.stop()
    answered = load.outcomes["200"]
    print(f"{given.clients} clients, {spent:.1f} s, articles of {given.words} words, model {given.model.name}")
    print(f"throughput          {answered / spent:8.1f} articles/s ({answered} answered)")
    print("                         p50       p95       p99       max  (ms)")
    print(f"classify            {quantiles(load.latencies)}")
    print(f"healthz             {quantiles(probe.latencies)}  ({len(probe.latencies)} asked, {probe.failures} failed)")
    print(f"outcomes            {', '.join(f'{k}: {n}' for k, n in sorted(load.outcomes.items()))}")
    print(f"memory              {idle / 2**20:8.0f} MiB idle, {probe.memory / 2**20:.0f} MiB at most")
    print(f"graceful stop       {stopped:8.1f} s")


if __name__ == "__main__":
    main()
