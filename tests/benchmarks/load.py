"""Load on a real server process: throughput, latencies, errors, memory, and how quick /healthz stays.

    python -m tests.benchmarks.load [--clients 200] [--seconds 60] [--model DIR] [--words 150]

Every client asks over its own connection, one article at a time, and waits as long as Retry-After says
where it is refused. Beside them one client sends its body a byte at a time, and another 10 MB again and
again. Clients and server share the machine: figures are lower bounds. Exits with 1 where an answer was
neither 200 nor 429 or 503, the odd clients did not get their refusal, /healthz ever took 100 ms or more,
or memory rose by over a tenth from the first fifth of the time to the last.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import multiprocessing
import random
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path

from model.artifact import PRETRAINED
from tests.api_tools import RealServer

WORDS = (
    "police", "court", "city", "report", "people", "said", "year", "council", "match", "rain", "wallet", "laundered",
    "coins", "image", "threat",
)  # fmt: skip
_spawn = multiprocessing.get_context("spawn")
_PROBE = 0.05  # seconds between two looks at /healthz
_HEALTHY = 0.1  # seconds
_GROWTH = 1.1  # of memory, first fifth to last
_OVERSIZED = 10_000_000  # bytes
_ALLOWED = {"200", "429", "503"}


class Load:
    """What the clients saw."""

    def __init__(self, port: int, words: int) -> None:
        self.port, self.words = port, words
        self.latencies: list[float] = []
        self.outcomes: Counter[str] = Counter()
        self.oversized: Counter[str] = Counter()
        self.dripped = ""  # what the slow client was told, and when

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
        writer.write(_head(len(body)) + body)
        return await self.answer(reader)

    async def answer(self, reader: asyncio.StreamReader) -> tuple[int, int]:
        """Status and Retry-After of the next answer, read to its end."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        await reader.readexactly(int(fields["content-length"]))
        return int(lines[0].split()[1]), int(fields.get("retry-after", 0))

    async def slow_client(self) -> None:
        """Announce a body and send a byte of it every half second."""
        begun = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(_head(10_000))

        async def drip() -> None:
            while True:
                await asyncio.sleep(0.5)
                writer.write(b" ")

        dripping = asyncio.create_task(drip())
        try:
            status, _ = await self.answer(reader)
            self.dripped = f"{status} after {time.monotonic() - begun:.1f} s"
        except (OSError, EOFError) as error:
            self.dripped = type(error).__name__
        finally:
            dripping.cancel()
            writer.close()

    async def large_client(self, until: float) -> None:
        """Send far too much, again and again."""
        while time.monotonic() < until:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(_head(_OVERSIZED) + b" " * _OVERSIZED)
                status, _ = await self.answer(reader)
                self.oversized[str(status)] += 1
                writer.close()
            except (OSError, EOFError) as error:
                self.oversized[type(error).__name__] += 1
            await asyncio.sleep(1)

    async def run(self, clients: int, seconds: float) -> None:
        """All clients at once."""
        until = time.monotonic() + seconds
        odd = [self.slow_client(), self.large_client(until)]
        await asyncio.gather(*(self.client(number, until) for number in range(clients)), *odd)


def _head(size: int) -> bytes:
    return (
        f"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {size}\r\n\r\n"
    ).encode()


@dataclass
class Seen:
    """What the probe saw."""

    latencies: list[float] = field(default_factory=list)  # seconds
    failures: int = 0
    memory: list[int] = field(default_factory=list)  # bytes at each look


def probe(port: int, pid: int, done: Event, told: Queue[Seen]) -> None:
    """Ask /healthz all the while, and read the server's memory: in a process of its own, so that the two hundred
    clients' own work is not taken for the server's."""
    seen = Seen()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while not done.wait(_PROBE):
        begun = time.monotonic()
        try:
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            answer.read()
            seen.failures += answer.status != 200
            seen.latencies.append(time.monotonic() - begun)
        except (OSError, http.client.HTTPException):
            seen.failures += 1
            connection.close()
        seen.memory.append(resident(pid))
    told.put(seen)


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


def complaints(load: Load, probe: Seen) -> list[str]:
    """What must not be, and was."""
    out = [f"{n} times {kind}" for kind, n in load.outcomes.items() if kind not in _ALLOWED]
    out += [f"an oversized body got {kind}" for kind in load.oversized if kind != "413"]
    if not load.dripped.startswith("408"):
        out.append(f"the slow client got {load.dripped or 'no answer'}")
    if probe.failures:
        out.append(f"/healthz failed {probe.failures} times")
    if late := sum(latency >= _HEALTHY for latency in probe.latencies):
        out.append(f"/healthz was slow {late} times")
    fifth = len(probe.memory) // 5
    if fifth and statistics.mean(probe.memory[-fifth:]) > _GROWTH * statistics.mean(probe.memory[:fifth]):
        out.append("memory grew")
    return out


def main() -> None:
    """Start a server, load it, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--words", type=int, default=150, help="of each article")
    parser.add_argument("--model", type=Path, default=PRETRAINED)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = f"sqlite:///{folder}/feedback.sqlite3"
        upload = str(max(1, min(30, int(given.seconds / 2))))
        with RealServer(given.model, database, "--no-demo", THEMEWATCH_LIMIT_UPLOAD=upload) as server:
            idle = resident(server.process.pid)
            load = Load(server.port, given.words)
            done, told = _spawn.Event(), _spawn.Queue()
            probing = _spawn.Process(target=probe, args=(server.port, server.process.pid, done, told), daemon=True)
            probing.start()
            begun = time.monotonic()
            asyncio.run(load.run(given.clients, given.seconds))
            spent = time.monotonic() - begun
            done.set()
            seen = told.get(timeout=60)
            probing.join()
            stopped = server.stop()
    answered = load.outcomes["200"]
    print(f"{given.clients} clients, {spent:.1f} s, articles of {given.words} words, model {given.model.name}")
    print(f"throughput          {answered / spent:8.1f} articles/s ({answered} answered)")
    print("                         p50       p95       p99       max  (ms)")
    print(f"classify            {quantiles(load.latencies)}")
    print(f"healthz             {quantiles(seen.latencies)}  ({len(seen.latencies)} asked, {seen.failures} failed)")
    print(f"outcomes            {', '.join(f'{k}: {n}' for k, n in sorted(load.outcomes.items()))}")
    print(f"10 MB bodies        {', '.join(f'{k}: {n}' for k, n in sorted(load.oversized.items()))}")
    print(f"slow client         {load.dripped}")
    if seen.memory:
        start, end, most = seen.memory[0], seen.memory[-1], max(seen.memory)
        sizes = ", ".join(f"{size / 2**20:.0f} {when}" for size, when in
                         ((idle, "idle"), (start, "at the start"), (end, "at the end"), (most, "at most")))  # fmt: skip
        print(f"memory, MiB         {sizes}")
    print(f"graceful stop       {stopped:8.1f} s")
    wrong = complaints(load, seen)
    print(f"verdict             {'; '.join(wrong) or 'as it should be'}")
    if wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
