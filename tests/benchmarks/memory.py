"""Peak memory against the number of rows: ``python -m tests.benchmarks.memory [--rows 10000 100000]``.

Scores as many short rows (about 40 tokens each: sentences of the corpus, joined at random) with the released
model, each run a process of its own that is the plain ``themewatch score``, and prints its peak resident memory.
Memory must not grow with the rows; only that and the order of magnitude of the speed mean something elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from model.backbone import resolve_tokenizer
from model.text import sentence_spans
from training.config import CORPUS

TOKENS = 40  # of a row, about
LIMIT = 1200  # MB that the larger run may take
GROWTH = 1.10  # of the smaller run's peak


@dataclass(frozen=True)
class Measured:
    """One run: peak in MB, and articles and tokens a second while scoring (start-up left out)."""

    rows: int
    peak: float
    articles: float
    tokens: float
    seconds: float


def sentences() -> list[tuple[str, int]]:
    """Every sentence of the corpus that is no longer than a row, with its number of tokens."""
    tokenizer = Tokenizer.from_file(str(resolve_tokenizer("bundled") / "tokenizer.json"))
    found = []
    for path in sorted(CORPUS.glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            row = json.loads(line)
            found += [row["text"][start:end] for start, end in sentence_spans(row["text"], row["lang"])]
    encoded = tokenizer.encode_batch(found, add_special_tokens=False)
    return [(text, len(item)) for text, item in zip(found, encoded, strict=True) if 4 <= len(item) <= TOKENS]


def short_rows(given: Sequence[tuple[str, int]], count: int, seed: int = 1) -> Iterator[str]:
    """``count`` different texts of about ``TOKENS`` tokens."""
    rng = random.Random(seed)
    seen: set[int] = set()
    while len(seen) < count:
        parts: list[str] = []
        tokens = 0
        while tokens < TOKENS - 5:
            text, size = rng.choice(given)
            parts.append(text)
            tokens += size
        text = " ".join(parts)
        if tokens <= TOKENS + 10 and hash(text) not in seen:
            seen.add(hash(text))
            yield text


def measure(path: Path, rows: int, options: Sequence[str]) -> Measured:
    """Score a file in a process of its own."""
    command = [sys.executable, "-m", "model.main", "score", str(path), "-o", str(path.with_suffix(".csv")), *options]
    began = time.monotonic()
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(command, stderr=told)
        _, status, used = os.wait4(process.pid, 0)  # of this very child, unlike getrusage
        process.returncode = os.waitstatus_to_exitcode(status)
        told.seek(0)
        text = told.read().decode("utf-8", "replace")
    speed = re.search(r"Speed: ([\d,.]+) articles/s, ([\d,]+) tokens/s", text)
    if process.returncode or speed is None:
        sys.exit(f"the run of {rows} rows ended with {process.returncode}:\n{text}")
    articles, tokens = (float(figure.replace(",", "")) for figure in speed.groups())
    scale = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes
    return Measured(rows, used.ru_maxrss * scale / 1e6, articles, tokens, time.monotonic() - began)


def main() -> None:
    """Measure, print, and end with 1 where memory grew or is over the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--model", help="a model folder; default: the released model")
    args = parser.parse_args()
    given = sentences()
    print(f"{len(given):,} sentences; rows of about {TOKENS} tokens; {os.cpu_count()} cores")
    options = ["--model", args.model] if args.model else []
    done: list[Measured] = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in args.rows:
            path = Path(folder) / f"{rows}.jsonl"
            with path.open("w", encoding="utf-8") as file:
                for number, text in enumerate(short_rows(given, rows)):
                    file.write(json.dumps({"id": number, "text": text}, ensure_ascii=False) + "\n")
            one = measure(path, rows, options)
            done.append(one)
            print(
                f"{rows:>9,} rows: peak {one.peak:7,.0f} MB   {one.articles:8,.1f} articles/s   "
                f"{one.tokens:8,.0f} tokens/s   {one.tokens / one.articles:5.1f} tokens/article   "
                f"{one.seconds:8,.1f} s with start-up", flush=True,
            )  # fmt: skip
    first, last = done[0], done[-1]
    growth = last.peak / first.peak
    right = last.peak < LIMIT and growth <= GROWTH
    print(
        f"peak of the last over the first: {growth:.3f} (at most {GROWTH}); limit {LIMIT:,} MB: "
        f"{'held' if right else 'NOT HELD'}"
    )
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
