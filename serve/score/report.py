"""The summary as one HTML page that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from serve.score.summary import Summary

_COLOURS = {"match": "#b42318", "review": "#b7791f", "none": "#98a2b3", "": "#475467"}
_WIDTH, _LABEL, _STEP = 860, 260, 26  # pixels
_MOST_BARS = 30
_STYLE = """
body {font: 15px/1.5 system-ui, sans-serif; color: #1d2939; max-width: 900px; margin: 2em auto; padding: 0 1em}
table {border-collapse: collapse} td {padding: .15em 1.5em .15em 0; vertical-align: top}
td:first-child {color: #667085} svg {max-width: 100%; height: auto} text {font: 13px system-ui, sans-serif}
.key span {display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em}
"""


def html_report(summary: Summary) -> str:
    """The page; everything that came from files, models or options is escaped."""
    facts = "".join(f"<tr><td>{escape(label)}</td><td>{escape(value)}</td></tr>" for label, value in summary.facts())
    inputs = "".join(f"<li>{escape(name)}</li>" for name in summary.inputs[:100])
    more = f"<li>and {len(summary.inputs) - 100:,} more</li>" if len(summary.inputs) > 100 else ""
    themes = [(name, [(kind, kinds[kind]) for kind in kinds]) for name, kinds in summary.decisions()]
    key = "".join(f"<span style='background:{_COLOURS[kind]}'></span>{kind}" for kind in ("match", "review", "none"))
    rejected = (
        f"<h2>Rejected rows</h2>{_bars(_single(summary.counts.rejected.most_common()))}" if summary.rejected else ""
    )
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>themewatch: {escape(summary.output)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>Themes in {summary.counts.rows:,} articles</h1><p>{escape(summary.output)}</p><table>{facts}</table>"
        f"<h2>Themes</h2><p class='key'>{key}</p>{_bars(themes)}"
        f"<h2>Languages</h2>{_bars(_single(summary.counts.languages.most_common()))}"
        f"{rejected}<h2>Inputs</h2><ul>{inputs}{more}</ul></body></html>\n"
    )


def _single(counts: Sequence[tuple[str, int]]) -> list[tuple[str, list[tuple[str, int]]]]:
    rest = sum(count for _, count in counts[_MOST_BARS:])
    shown = [*counts[:_MOST_BARS], *([("others", rest)] if rest else [])]
    return [(name, [("", count)]) for name, count in shown]


def _bars(rows: Iterable[tuple[str, Sequence[tuple[str, int]]]]) -> str:
    """Horizontal bars, each of one or more coloured stretches, in the scale of the longest."""
    listed = list(rows)
    longest = max((sum(count for _, count in stretches) for _, stretches in listed), default=0) or 1
    scale = (_WIDTH - _LABEL - 150) / longest
    out = []
    for at, (name, stretches) in enumerate(listed):
        top, left = at * _STEP, float(_LABEL)
        title = name if len(name) <= 38 else name[:37] + "…"
        out.append(f"<text x='{_LABEL - 10}' y='{top + 16}' text-anchor='end'>{escape(title)}</text>")
        for kind, count in stretches:
            if count:
                label = f"{name}: {count:,} {kind}".strip()
                out.append(
                    f"<rect x='{left:.1f}' y='{top + 3}' width='{max(1.0, count * scale):.1f}' height='18' "
                    f"fill='{_COLOURS[kind]}'><title>{escape(label)}</title></rect>"
                )
            left += count * scale
        told = " / ".join(f"{count:,}" for _, count in stretches)
        out.append(f"<text x='{left + 8:.1f}' y='{top + 16}'>{told}</text>")
    height = max(1, len(listed)) * _STEP
    return (
        f"<svg viewBox='0 0 {_WIDTH} {height}' width='{_WIDTH}' height='{height}' role='img' "
        f"xmlns='http://www.w3.org/2000/svg'>{''.join(out)}</svg>"
    )
