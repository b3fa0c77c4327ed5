"""The report as one HTML page: no script, nothing fetched, every text escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from training.report.summary import interval
from training.report.svg import Bar, chart

_TEMPLATE = Path(__file__).parent / "page.html"


def html(report: dict[str, Any]) -> str:
    """The page; every number in it comes from ``report``."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATE.parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"interval": interval, "figure": figure, "percent": percent, "change": change}
    return environment.get_template(_TEMPLATE.name).render(r=report, charts=charts(report))


def charts(report: dict[str, Any]) -> dict[str, Markup]:
    """The page's charts by name; those without any points are left out."""
    curves, names = report["curves"], report["themes"]
    out = {}
    lines = {names[k]: [(p[0], p[1]) for p in points] for k, points in curves["precision_recall"].items() if points}
    if lines:
        out["precision_recall"] = chart("Precision by recall, a line for each theme", "recall", "precision", lines)
    for key, bins in curves["reliability"].items():
        if bins:
            bars = [Bar(b["score"], b["low"], b["true"], b["high"]) for b in bins]
            line = {key: [(b["score"], b["true"]) for b in bins]}
            label = f"Share that was true by score, {names.get(key, key)}"
            out[f"reliability {key}"] = chart(label, "score", "share true", line, bars=bars, diagonal=True)
    aims = report["thresholds"]["aims"]
    work = {names[k]: [(p[0], p[1]) for p in points] for k, points in curves["workload"].items() if points}
    if work:
        label = f"Share found by articles read a day, of {aims['per_day']} that come in"
        out["workload"] = chart(label, "articles to read a day", "share found", work, x_end=float(aims["per_day"]))
    return out


def figure(value: float | None, digits: int = 3) -> str:
    """``0.875``, or n/a."""
    return "n/a" if value is None else f"{value:,.{digits}f}"


def percent(value: dict[str, float] | float | None) -> str:
    """``3.1 %``, with the interval where there is one."""
    if value is None:
        return "n/a"
    if isinstance(value, dict):
        return f"{value['value'] * 100:.1f} % [{value['low'] * 100:.1f}, {value['high'] * 100:.1f}]"
    return f"{value * 100:.1f} %"


def change(difference: dict[str, float] | None) -> str:
    """``+0.013 [-0.002, +0.027]``, or n/a."""
    if difference is None:
        return "n/a"
    return f"{difference['value']:+.3f} [{difference['low']:+.3f}, {difference['high']:+.3f}]"
