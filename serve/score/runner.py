"""A whole run: chunks in order, each placed, scored and saved; then all parts joined."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from model.artifact import Artifact
from model.errors import InputError
from serve.score.arrow import merged_schema
from serve.score.chunks import Chunk, Cutter, check_inputs, total_size
from serve.score.duplicates import Duplicates, Placement
from serve.score.facts import RESTORE
from serve.score.journal import Workspace
from serve.score.parts import Part, build_part, refill
from serve.score.placing import fill, place
from serve.score.progress import Meter
from serve.score.report import html_report
from serve.score.settings import Settings
from serve.score.sinks import open_sink
from serve.score.sources import column_names
from serve.score.summary import Counts, Summary
from serve.score.workers import Backend, Pending, Pool, Serial


@dataclass
class _Waiting:
    """A chunk under way; without ``outcomes`` its part was finished by an earlier run."""

    chunk: Chunk
    placements: list[Placement]
    outcomes: Pending | None


class Run:
    """One run of ``themewatch score``."""

    def __init__(self, settings: Settings, artifact: Artifact, work: Workspace, console: Console) -> None:
        self._settings, self._artifact, self._work = settings, artifact, work
        self._layout = settings.layout(artifact)
        self._meter = Meter(console, total_size(settings.inputs))
        self._parts = 0

    def __call__(self) -> Summary:
        """Score all, write the output and remove the parts.

        Raises:
            InputError: an input cannot be read, or is not what the unfinished run read.
            ThemewatchError: the output cannot be written, or a worker died.
        """
        settings = self._settings
        check_inputs(settings.inputs, settings.columns)
        with self._backend() as backend:
            joined = self._work.open(
                settings.facts(self._artifact, backend.engine_name), settings.resume, settings.overwrite
            )
            self._meter.begin()
            if joined is None:
                with self._meter:
                    self._score(backend)
        summary = self._join() if joined is None else self._summary(Counts.from_dict(joined))
        self._work.clear()
        return summary

    def _backend(self) -> Backend:
        settings = self._settings
        if settings.workers > 1:
            return Pool(settings.choice, self._meter.tick, settings.workers)
        return Serial(settings.choice, self._meter.tick)

    def _score(self, backend: Backend) -> None:
        duplicates = Duplicates(self._settings.near)
        waiting: deque[_Waiting] = deque()
        for chunk in Cutter(self._settings.inputs, self._settings.columns, self._settings.chunk):
            placements, articles = place(chunk, duplicates)
            outcomes = None if self._work.has(chunk.number) else backend.submit(articles)
            waiting.append(_Waiting(chunk, placements, outcomes))
            self._meter.expect(sum(p.fresh for w in waiting if w.outcomes for p in w.placements), chunk.position)
            if len(waiting) >= backend.depth:
                self._finish(waiting.popleft())
        while waiting:
            self._finish(waiting.popleft())

    def _finish(self, item: _Waiting) -> None:
        """Save a chunk, or take over what its finished part says."""
        chunk = item.chunk
        if item.outcomes is None:
            part = self._work.read(chunk.number, self._layout)
            if part.digest != chunk.digest():
                raise InputError(
                    "changed since the unfinished run", where=chunk.entries[0].file,
                    remedy=RESTORE,
                )  # fmt: skip
            refill(part, item.placements, self._layout)
        else:
            fill(item.placements, item.outcomes())
            data, rejected = build_part(chunk, item.placements, self._layout)
            self._work.write(chunk.number, data, rejected)
        self._parts = chunk.number + 1
        self._meter.reach(chunk.position)

    def _join(self) -> Summary:
        """Turn the parts into the output, the rejected rows' file and the report."""
        counts = Counts()

        def schemas() -> Iterator[Any]:
            for part in self._read_parts(with_rows=False):
                counts.merge(part.counts)
                yield part.columns

        columns = merged_schema(schemas())
        if not columns.names:  # no row was accepted; a table has columns all the same
            columns = merged_schema(column_names(item, self._settings.columns) for item in self._settings.inputs)
        summary = self._summary(counts)
        if summary.rejected:
            with self._work.replacing(self._work.rejects) as file:
                for number in range(self._parts):
                    file.write(self._work.rejected(number))
        if self._work.report:
            with self._work.replacing(self._work.report) as file:
                file.write(html_report(summary).encode("utf-8", "backslashreplace"))
        with self._work.replacing(self._work.output) as file:
            sink = open_sink(file, self._settings.format, columns, self._layout)
            try:
                for part in self._read_parts(with_rows=True):
                    sink.write(part)
            except BaseException:
                with suppress(Exception):  # or it would complain later, of a file closed under it
                    sink.close()
                raise
            sink.close()
        self._work.note_joined(counts.to_dict())
        return summary

    def _read_parts(self, with_rows: bool) -> Iterator[Part]:
        for number in range(self._parts):
            yield self._work.read(number, self._layout, with_rows)

    def _summary(self, counts: Counts) -> Summary:
        return self._settings.summary(self._artifact, counts, str(self._work.rejects), self._meter)
