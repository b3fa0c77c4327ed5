"""``themewatch classify``: files or standard input to a readable table or JSON lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model.errors import ThemewatchError

if TYPE_CHECKING:
    from rich.console import Console

    from model.result import Result
    from model.text import Article

_COLOURS = {"match": "bold red", "review": "yellow", "none": "dim"}


def classify(
    paths: Annotated[
        list[str] | None, typer.Argument(help="Text, Markdown or HTML files; - for standard input.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    model: Annotated[Path | None, typer.Option(help="A model folder; default: the released model.")] = None,
    engine: Annotated[str, typer.Option(help="auto, or one engine by name.")] = "auto",
) -> None:
    """Say which themes articles report on, with confidence and the sentences that show why."""
    from model.classifier import ThemeClassifier

    articles = _articles(paths or ["-"])
    classifier: ThemeClassifier | None = None
    failed: list[ThemewatchError] = []
    console = None if as_json else _console()
    for article in articles:
        if isinstance(article, ThemewatchError):
            failed.append(article)
            print(f"themewatch: {article}", file=sys.stderr)
            continue
        classifier = classifier or ThemeClassifier.load(model, engine)
        result = classifier.predict([article])[0]
        if console is None:
            print(
                json.dumps(result.to_dict(), ensure_ascii=False).encode("utf-8", "replace").decode(),
                flush=True,
            )
        else:
            taxonomy = classifier.artifact.taxonomy
            names = {theme.key: theme.name() for theme in taxonomy.themes}
            limits = classifier.artifact.decisions.themes
            show(console, result, names, {key: limits[key].upper for key in limits})
    if failed:
        raise typer.Exit(2)


def _articles(paths: list[str]) -> Iterator[Article | ThemewatchError]:
    """Each article, or the error that one of the files gave; the others still count."""
    from model.pages import page_article, read_page

    for path in paths:
        try:
            yield page_article(sys.stdin.buffer.read(), "stdin") if path == "-" else read_page(Path(path))
        except ThemewatchError as error:
            yield error


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=False)


def show(console: Console, result: Result, names: dict[str, str], limits: dict[str, float]) -> None:
    """One article as an analyst reads it: decisions first, then the sentences behind them."""
    from rich.markup import escape
    from rich.table import Table

    matched = ", ".join(names[key] for key in result.themes) or "no theme"
    note = " · [yellow]only its first part was read[/]" if result.truncated else ""
    console.print(f"\n[bold]{escape(result.id)}[/]  ({result.language}) → [bold]{matched}[/]{note}")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("theme", "confidence", "", "decision"):
        table.add_column(heading, no_wrap=True)
    for key, score in result.scores.items():
        decision = result.decisions[key].value
        bar = "█" * round(score * 20)
        table.add_row(
            names[key], f"{score:6.1%}", f"[{_COLOURS[decision]}]{bar:<20}[/]",
            f"[{_COLOURS[decision]}]{decision}[/] [dim](match from {limits[key]:.0%})[/]",
        )  # fmt: skip
    console.print(table)
    for key, found in result.evidence.items():
        if not found:
            continue
        console.print(f"  [bold]Why {names[key]}:[/]")
        for item in found[:3]:
            console.print(f"    [cyan]{item.share:4.0%}[/] {escape(_safe(item.text))}")


def _safe(text: str) -> str:
    """One line without control characters: a text must not steer the terminal."""
    cleaned = "".join(c if c.isprintable() or c == " " else " " for c in text)
    return " ".join(cleaned.split())[:400]
