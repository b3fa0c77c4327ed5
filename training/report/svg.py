"""Small line charts as SVG: no script, no font, colours from the page's style sheet, so they suit the dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_LEFT, _TOP, _SIDE = 52, 10, 260
_WIDTH, _HEIGHT = _LEFT + _SIDE + 14, _TOP + _SIDE + 44
COLOURS = 8  # line colours that the style sheet knows: .c0 to .c7

Point = tuple[float, float]


@dataclass(frozen=True)
class Bar:
    """A vertical interval at ``x`` with its middle."""

    x: float
    low: float
    middle: float
    high: float


def chart(
    label: str, x_name: str, y_name: str, lines: Mapping[str, Sequence[Point]], x_end: float = 1.0,
    bars: Sequence[Bar] = (), diagonal: bool = False,
) -> Markup:  # fmt: skip
    """A square chart of lines by name; x runs from 0 to ``x_end``, y from 0 to 1.

    Args:
        label: what it shows, for those who cannot see it.
        bars: intervals drawn over the lines.
        diagonal: whether to draw the line of y = x.
    """

    def place(x: float, y: float) -> str:
        return f"{_LEFT + _SIDE * min(x / x_end, 1.0):.1f},{_TOP + _SIDE * (1 - y):.1f}"

    out = [
        Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">').format(_WIDTH, _HEIGHT, label),
        Markup('<rect class="frame" x="{}" y="{}" width="{}" height="{}"/>').format(_LEFT, _TOP, _SIDE, _SIDE),
    ]
    for step in range(6):
        at = step / 5
        x, y = _LEFT + _SIDE * at, _TOP + _SIDE * (1 - at)
        out += [
            Markup('<path class="grid" d="M{:.1f} {} V{} M{} {:.1f} H{}"/>').format(
                x, _TOP, _TOP + _SIDE, _LEFT, y, _LEFT + _SIDE
            ),
            Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
                x, _TOP + _SIDE + 15, f"{at * x_end:,.4g}"
            ),
            Markup('<text x="{}" y="{:.1f}" text-anchor="end">{:.1f}</text>').format(_LEFT - 6, y + 4, at),
        ]
    out.append(
        Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(_LEFT + _SIDE / 2, _HEIGHT - 8, x_name)
    )
    middle = _TOP + _SIDE / 2
    out.append(
        Markup('<text x="14" y="{}" text-anchor="middle" transform="rotate(-90 14 {})">{}</text>').format(
            middle, middle, y_name
        )
    )
    if diagonal:
        out.append(Markup('<path class="diagonal" d="M{} L{}"/>').format(place(0, 0), place(x_end, 1)))
    for bar in bars:
        out.append(Markup('<path class="bar" d="M{} L{}"/>').format(place(bar.x, bar.low), place(bar.x, bar.high)))
    for number, points in enumerate(lines.values()):
        path = " ".join(place(x, y) for x, y in points)
        out.append(Markup('<polyline class="line c{}" points="{}"/>').format(number % COLOURS, path))
    for bar in bars:
        x_at, y_at = place(bar.x, bar.middle).split(",")
        out.append(Markup('<circle class="dot" cx="{}" cy="{}" r="3"/>').format(x_at, y_at))
    return Markup("").join([*out, Markup("</svg>"), _legend(list(lines))])


def _legend(names: Sequence[str]) -> Markup:
    if len(names) < 2:
        return Markup("")
    keys = [
        Markup('<span class="key"><i class="c{}"></i>{}</span>').format(i % COLOURS, escape(name))
        for i, name in enumerate(names)
    ]
    return Markup('<p class="legend">{}</p>').format(Markup("").join(keys))
