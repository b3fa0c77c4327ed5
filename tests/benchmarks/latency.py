"""How long one answer takes, and whether cost grows in step: ``python -m tests.benchmarks.latency``.

Four tables, as Markdown: one article's latency by its length; the cold start of ``themewatch classify`` (process
start to exit, engine in the cache); time against one article's length, up to the cap and beyond; time against the
number of short rows through ``themewatch score`` (``--rows 1000 10000 100000`` for the long run, ``--rows`` for none).
Articles are real ones (general news where ``../shared`` is, else the corpus) of one language, joined and cut to length.
Only ratios mean something elsewhere: machines differ and are noisy.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from model.backbone import resolve_tokenizer
from model.classifier import ThemeClassifier
from model.language import detect_language
from model.text import Article
from tests.benchmarks.memory import measure, sentences, short_rows
from training.config import CORPUS

GENERAL = Path(__file__).parents[3] / "shared" / "data" / "general_news_dev.jsonl"
LENGTHS = (50, 200, 500, 2_000, 10_000)  # tokens
GROWING = (1_000, 2_000, 4_000, 8_000, 16_000, 24_000, 40_000)  # tokens; the cap lies before the last


def by_language() -> list[list[str]]:
    """Real articles of each language, shuffled (seeded)."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in [GENERAL] if GENERAL.is_file() else sorted(CORPUS.glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            text = str(json.loads(line)["text"])
            found[detect_language(text)].append(text)
    rng = random.Random(0)
    groups = [found[key] for key in sorted(found)]
    for group in groups:
        rng.shuffle(group)
    rng.shuffle(groups)
    return groups


def articles(groups: Sequence[Sequence[str]], tokens: int) -> Iterator[str]:
    """Texts of about ``tokens`` tokens without end: articles of one language joined and cut, languages in turn."""
    tokenizer = Tokenizer.from_file(str(resolve_tokenizer("bundled") / "tokenizer.json"))
    sources = [itertools.cycle(group) for group in groups]
    for source in itertools.cycle(sources):
        text, ends = "", list[int]()
        while len(ends) < tokens:
            text = f"{text}\n\n{next(source)}".strip()
            ends = [end for _, end in tokenizer.encode(text, add_special_tokens=False).offsets]
        yield text[: ends[tokens - 1]]


def seconds_of(classifier: ThemeClassifier, text: str) -> float:
    """Wall time of one answer with evidence."""
    began = time.perf_counter()
    classifier.predict([text])
    return time.perf_counter() - began


def table(title: str, heads: Sequence[str]) -> None:
    print(f"\n**{title}**\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}", flush=True)


def line(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def by_length(classifier: ThemeClassifier, groups: Sequence[Sequence[str]], samples: int) -> None:
    table("One article, by length", ("tokens", "p50 ms", "p95 ms", "articles measured"))
    for tokens in LENGTHS:
        texts = list(itertools.islice(articles(groups, tokens), samples + 2))
        times = [1e3 * seconds_of(classifier, text) for text in texts][2:]  # the first of a size allocate
        high = statistics.quantiles(times, n=20, method="inclusive")[-1]
        line(f"{tokens:,}", f"{statistics.median(times):,.0f}", f"{high:,.0f}", str(samples))


def growing(classifier: ThemeClassifier, groups: Sequence[Sequence[str]], repeats: int) -> None:
    """Linear means: the cost of 1,000 tokens read stays what it is for short articles."""
    heads = ("tokens", "windows", "read whole", "s", "ms per 1,000 tokens read", "of the first line's")
    table("One article's cost by its length", heads)
    first = 0.0
    for tokens in GROWING:
        text = next(articles(groups, tokens))
        encoded = classifier.windower.encode(Article(text))
        read = sum(len(window) for window in encoded.windows)
        took = statistics.median(seconds_of(classifier, text) for _ in range(repeats))
        each = 1e6 * took / read
        first = first or each
        whole = "no" if encoded.truncated else "yes"
        line(f"{tokens:,}", str(len(encoded.windows)), whole, f"{took:.2f}", f"{each:.0f}", f"{each / first:.2f}")


def cold_start(model: Path | None, text: str, runs: int) -> None:
    """The whole process, as a user waits for it; the first run, which may build the engine, is not counted."""
    took, used = [], []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "article.txt"
        file.write_text(text, "utf-8")
        command = [sys.executable, "-m", "model.main", "classify", str(file), "--json"]
        command += ["--model", str(model)] if model else []
        for _ in range(runs + 1):
            began = time.perf_counter()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)  # of this very child, unlike getrusage
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                sys.exit(f"{' '.join(command)} ended with {process.returncode}")
            took.append(time.perf_counter() - began)
            used.append(usage.ru_utime + usage.ru_stime)
    heads = ("median s", "fastest s", "slowest s", "median processor s", "runs")
    table("Cold start of `themewatch classify`, one short article", heads)
    took, used = took[1:], used[1:]
    line(*(f"{value:.2f}" for value in (statistics.median(took), min(took), max(took), statistics.median(used))),
         str(runs))  # fmt: skip


def by_rows(model: Path | None, counts: Sequence[int]) -> None:
    """Linear means: a row costs the same however many there are; start-up is shown apart."""
    heads = ("rows", "s in all", "s scoring", "ms a row, scoring", "of the first line's", "peak MB")
    table("Short rows (about 40 tokens) through `themewatch score`", heads)
    given, first = sentences(), 0.0
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            path = Path(folder) / f"{count}.jsonl"
            with path.open("w", encoding="utf-8") as file:
                for number, text in enumerate(short_rows(given, count)):
                    file.write(json.dumps({"id": number, "text": text}, ensure_ascii=False) + "\n")
            done = measure(path, count, ["--model", str(model)] if model else [])
            each = 1e3 / done.articles
            first = first or each
            line(f"{count:,}", f"{done.seconds:.1f}", f"{count / done.articles:.1f}", f"{each:.2f}",
                 f"{each / first:.2f}", f"{done.peak:,.0f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model folder; default: the released model")
    parser.add_argument("--samples", type=int, default=30, help="articles of each length")
    parser.add_argument("--runs", type=int, default=7, help="cold starts, and repeats of each growing article")
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000, 10_000])
    args = parser.parse_args()
    groups = by_language()
    classifier = ThemeClassifier.load(args.model)
    print(f"engine {classifier.engine.name}, {os.cpu_count()} logical processors, {len(groups)} languages")
    by_length(classifier, groups, args.samples)
    growing(classifier, groups, max(1, args.runs // 2))
    del classifier  # what follows are processes of their own
    cold_start(args.model, next(articles(groups, LENGTHS[1])), args.runs)
    if args.rows:
        by_rows(args.model, args.rows)


if __name__ == "__main__":
    main()
