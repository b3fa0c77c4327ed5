"""What runs on the cluster: an actor that holds the model and scores one shard after the other.

Rows never pass through Ray: a worker reads its shard's rows itself and writes them itself, so no text
lands in Ray's object store, spill files or logs, and a shard done twice is the same file.
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model.artifact import Artifact
from model.errors import InputError, ThemewatchError
from serve.score.chunks import Cutter
from serve.score.duplicates import Duplicates
from serve.score.inputs import Input
from serve.score.layout import Layout
from serve.score.parts import build_part, read_part
from serve.score.placing import fill, place
from serve.score.rows import Columns, Rejected
from serve.score.scorer import ModelChoice, Scorer
from serve.score.sinks import ParquetSink
from serve.score.store import Store
from serve.score.summary import Counts

Batch = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Job:
    """What every worker must know. ``gauge`` is the actor that hears of the progress; ``threads`` a worker's cores."""

    inputs: tuple[Input, ...]
    columns: Columns
    schema: pa.Schema
    choice: ModelChoice
    layout: Layout
    store: Store
    chunk: int
    threads: int
    digest: str
    version: str
    gauge: Any


class ShardScorer:
    """Called with the numbers and places of shards; answers with one JSON receipt each.

    Errors of ours are receipts too: retrying would not help, and their arguments do not survive pickling.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._scorer: Scorer | None = None

    def __call__(self, batch: Batch) -> Batch:
        places = zip(*(batch[name].tolist() for name in ("number", "file", "first", "stop")), strict=True)
        receipts = [json.dumps({"number": number, **self._receipt(number, *place)}) for number, *place in places]
        return {"receipt": np.array(receipts, dtype=object)}

    def _receipt(self, number: int, file: int, first: int, stop: int) -> dict[str, Any]:
        try:
            about = self._job.store.receipt(number)  # of an earlier run, or of a machine lost right afterwards
            if about is None:
                item = replace(self._job.inputs[file], rows=(first, stop))
                about = self._score(number, item)
                self._job.store.write_receipt(number, about)
        except ThemewatchError as error:
            return {"error": str(error)}
        return {**about, "rejected": bool(about["rejected"])}

    def _score(self, number: int, item: Input) -> dict[str, Any]:
        job, scorer = self._job, self._loaded()
        duplicates, counts = Duplicates(), Counts()
        rejected: list[Rejected] = []
        with (
            job.store.writing_shard(number) as file,
            closing(ParquetSink(file, job.schema, job.layout)) as sink,
        ):
            for chunk in Cutter([item], job.columns, job.chunk):
                placements, articles = place(chunk, duplicates)
                fill(placements, scorer.score(articles))
                data, refused = build_part(chunk, placements, job.layout)
                part = read_part(data, job.layout)
                counts.merge(part.counts)
                sink.write(part)
                rejected += refused
        lines = [row.to_json() for row in rejected]
        return {"counts": counts.to_dict(), "engine": scorer.engine_name, "rejected": lines}

    def _loaded(self) -> Scorer:
        if self._scorer is None:
            job = self._job
            here = metadata.version("themewatch")
            if here != job.version:
                raise InputError(f"themewatch {here} is on a worker, {job.version} here", remedy="install the same")
            if Artifact.load(job.choice.folder).digest != job.digest:
                raise InputError("a worker has another model there", where=job.choice.folder or "the released model")
            self._scorer = Scorer(job.choice, self._tick, job.threads)
        return self._scorer

    def _tick(self, articles: float, tokens: int) -> None:
        self._job.gauge.add.remote(articles, tokens)


class Gauge:
    """Collects the workers' progress for the process that started the run; becomes a Ray actor."""

    def __init__(self) -> None:
        self._articles, self._tokens = 0.0, 0

    def add(self, articles: float, tokens: int) -> None:
        """Some more was scored."""
        self._articles += articles
        self._tokens += tokens

    def take(self) -> tuple[float, int]:
        """Articles and tokens since the last call."""
        taken = self._articles, self._tokens
        self._articles, self._tokens = 0.0, 0
        return taken
