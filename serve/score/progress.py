"""The progress bar on standard error; where that is no terminal, a line now and then."""

from __future__ import annotations

import time
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_EVERY = 30.0  # seconds between two lines


class Meter:
    """Counts what is scored, and shows it.

    ``articles`` and ``tokens`` count what this process (with its workers) scored so far.
    """

    def __init__(self, console: Console, total: int | None) -> None:
        """``total`` is the size of all inputs in bytes, ``None`` where it is not known."""
        self.articles, self.tokens = 0.0, 0
        self._console, self._total = console, total
        self._started = self._told = time.monotonic()
        self._begun = False
        self._position = self._skipped = 0
        self._waiting = (0.0, 0, 0.0)  # articles of the chunks under way, bytes at their end, articles before them
        self._bar = Progress(
            SpinnerColumn(), BarColumn(), TextColumn("{task.percentage:>3.0f}%" if total else "{task.description}"),
            TextColumn("{task.fields[speed]}"), TimeElapsedColumn(),
            *([TextColumn("left"), TimeRemainingColumn()] if total else []),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task("scoring", total=total, speed="")

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._started

    def begin(self) -> None:
        """Start the clock: what came before was loading."""
        self._begun = True
        self._started = self._told = time.monotonic()

    def tick(self, articles: float, tokens: int) -> None:
        """Some more was scored."""
        self.articles += articles
        self.tokens += tokens
        self._show()

    def expect(self, articles: int, position: int) -> None:
        """Chunks under way hold ``articles`` to score, and end at byte ``position`` of the inputs."""
        self._waiting = (float(articles), position, self.articles)

    def reach(self, position: int) -> None:
        """All up to this byte of the inputs is done."""
        self._position = position
        if not self.articles:
            self._skipped = position
        self._show()

    def _show(self) -> None:
        if not self._begun:
            return
        seconds = max(self.seconds, 1e-3)
        speed = f"{self.articles / seconds:,.1f} articles/s · {self.tokens / seconds:,.0f} tokens/s"
        articles, end, before = self._waiting
        share = min(1.0, (self.articles - before) / articles) if articles else 0.0
        at = self._position + share * max(0, end - self._position)
        self._bar.update(self._task, completed=at, speed=f"{self.articles:,.0f} articles · {speed}")
        if not self._console.is_terminal and time.monotonic() - self._told >= _EVERY:
            self._told = time.monotonic()
            done = f"{at / self._total:.0%}, " if self._total else ""
            line = f"themewatch: {done}{self.articles:,.0f} articles, {speed}{self._left(at)}"
            self._console.print(line, highlight=False, soft_wrap=True)

    def _left(self, at: float) -> str:
        """The time left, as far as one can tell from what this process did (a resumed run passes over the rest)."""
        if not self._total or not self._skipped < at <= self._total:
            return ""
        seconds = (self._total - at) / (at - self._skipped) * self.seconds
        return f", about {timedelta(seconds=round(seconds))} left"

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
