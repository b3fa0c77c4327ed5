"""Evaluation tables for a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def show_tables(tables: dict[str, Any]) -> None:
    """Print the systems side by side, then the model by theme and language."""
    console = Console(width=120)
    console.print(_systems(tables))
    console.print(_themes(tables["model"]))
    console.print(_languages(tables["model"]))


def _figure(interval: dict[str, float] | None) -> str:
    if not interval:
        return "n/a"
    return f"{interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"


def _systems(tables: dict[str, Any]) -> Table:
    table = Table("system", "articles", "macro-F1 (95 %)", "calibration error", "recall at review", title="Overall")
    for name, row in tables.items():
        error, recall = row.get("calibration_error"), row.get("recall_at_review")
        shown = ("" if error is None else f"{error:.3f}", "" if recall is None else f"{recall:.3f}")
        table.add_row(name, str(row["items"]), _figure(row["macro_f1"]), *shown)
    return table


def _themes(row: dict[str, Any]) -> Table:
    table = Table("theme", "articles", "precision", "recall", "F1", "avg. precision", title="Model by theme")
    for key, figures in row["themes"].items():
        cells = [_figure(figures[name]) for name in ("precision", "recall", "f1")]
        ap = figures["average_precision"]
        table.add_row(key, str(figures["items"]), *cells, "n/a" if ap is None else f"{ap:.3f}")
    return table


def _languages(row: dict[str, Any]) -> Table:
    table = Table("language", "articles", "macro-F1", "micro-F1", "false alarms", title="Model by language")
    for language, figures in row["languages"].items():
        macro = figures["macro_f1"]
        table.add_row(
            language, str(figures["items"]), "n/a" if macro is None else f"{macro:.3f}",
            f"{figures['micro_f1']:.3f}", str(figures["false_alarms"]),
        )  # fmt: skip
    return table
