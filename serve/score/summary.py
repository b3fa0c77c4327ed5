"""What a run found, counted: kept with every part, so that a resumed run tells of all of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from serve.score.scorer import Scored

if TYPE_CHECKING:
    from rich.console import Console

    from serve.score.duplicates import Placement


@dataclass
class Counts:
    """Rows by outcome. ``decisions`` counts "theme/decision", ``rejected`` counts reasons."""

    rows: int = 0
    fresh: int = 0
    near: int = 0
    truncated: int = 0
    without_theme: int = 0
    tokens: int = 0
    decisions: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)

    def add(self, keys: Sequence[str], scored: Scored, placed: Placement) -> None:
        """Count an accepted row."""
        self.rows += 1
        self.fresh += placed.fresh
        self.near += placed.near
        self.tokens += scored.tokens if placed.fresh else 0
        self.truncated += scored.truncated
        self.without_theme += not scored.themes
        self.languages[scored.language] += 1
        for key, decision in zip(keys, scored.decisions, strict=True):
            self.decisions[f"{key}/{decision}"] += 1

    def reject(self, reason: str) -> None:
        """Count a rejected row; what stands in brackets in the reason makes no difference."""
        self.rejected[reason.split(" (")[0]] += 1

    def merge(self, other: Counts) -> None:
        """Add another part's counts."""
        for name, value in vars(other).items():
            if isinstance(value, Counter):
                getattr(self, name).update(value)
            else:
                setattr(self, name, getattr(self, name) + value)

    def to_dict(self) -> dict[str, Any]:
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self).items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Counts:
        values: dict[str, Any] = {k: Counter(v) if isinstance(v, dict) else v for k, v in data.items()}
        return cls(**values)


@dataclass(frozen=True)
class Summary:
    """A finished run.

    ``names`` maps theme keys to display names; ``articles`` and ``tokens`` are what this process
    itself scored in ``seconds`` (a resumed run does not score everything).
    """

    counts: Counts
    names: dict[str, str]
    model: str
    inputs: tuple[str, ...]
    output: str
    rejects: str
    articles: float
    tokens: int
    seconds: float

    @property
    def rejected(self) -> int:
        return self.counts.rejected.total()

    @property
    def speed(self) -> str:
        """Articles and tokens a second."""
        seconds = max(self.seconds, 1e-6)
        return f"{self.articles / seconds:,.1f} articles/s, {self.tokens / seconds:,.0f} tokens/s"

    def facts(self) -> list[tuple[str, str]]:
        """The figures that are not bars, as label and value."""
        counts = self.counts
        shared = counts.rows - counts.fresh
        return [
            ("Articles", f"{counts.rows:,}"),
            ("Rejected rows", f"{self.rejected:,}" + (f" (in {self.rejects})" if self.rejected else "")),
            ("Without a matching theme", f"{counts.without_theme:,}"),
            ("Took over another row's scores", f"{shared:,} ({counts.near:,} of them near copies)"),
            ("Longer than the model reads", f"{counts.truncated:,}"),
            ("Model", self.model),
            ("Speed", f"{self.speed} ({self.articles:,.0f} articles scored in {self.seconds:,.1f} s)"),
        ]

    def decisions(self) -> Iterable[tuple[str, dict[str, int]]]:
        """Display name of each theme, and rows by decision."""
        for key, name in self.names.items():
            yield name, {kind: self.counts.decisions[f"{key}/{kind}"] for kind in ("match", "review", "none")}

    def show(self, console: Console) -> None:
        """Print it for a reader at a terminal."""
        from rich.markup import escape
        from rich.table import Table

        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("theme")
        for kind in ("match", "review", "none"):
            table.add_column(kind, justify="right")
        for name, by_kind in self.decisions():
            table.add_row(escape(name), *(f"{count:,}" for count in by_kind.values()))
        console.print(table)
        languages = self.counts.languages.most_common(12)
        facts = [*self.facts(), ("Languages", ", ".join(f"{code} {count:,}" for code, count in languages))]
        for label, value in facts:
            console.print(f"[dim]{label}:[/] {escape(value)}", soft_wrap=True)
        for reason, count in self.counts.rejected.most_common(12):
            console.print(f"  [yellow]{count:,}[/] rejected: {escape(reason)}", soft_wrap=True)
        console.print(f"[bold]{escape(self.output)}[/] written", soft_wrap=True)
