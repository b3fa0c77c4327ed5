"""Pieces of HTML. Everything that came from a text goes through ``escaped``."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from serve.feedback.record import storable

HUES = 6  # of the theme's stylesheet
# Gradio's HTML component is a template in its browser: what steers templates must not reach it raw.
_TEMPLATE = {ord(sign): f"&#{ord(sign)};" for sign in "{}$`\\"}


def escaped(text: str) -> str:
    """Text that is shown as it stands, whatever it holds."""
    return escape(storable(text)).translate(_TEMPLATE)


def box(content: str) -> str:
    """The frame that the stylesheet looks for."""
    return f"<div class='tw'>{content}</div>"


def alert(problem: object) -> str:
    """What went wrong, told at once to a screen reader too."""
    return box(f"<p role='alert'>{escaped(str(problem))}</p>")


def status(told: str) -> str:
    """What was done."""
    return box(f"<p role='status'>{escaped(told)}</p>")


def hue(index: int) -> str:
    """The colour of a theme, as a style."""
    return f"--hue:var(--tw-{index % HUES})"


def legend(names: Sequence[str]) -> str:
    """Which colour is which theme's."""
    keys = (f"<span class='tw-key' style='{hue(i)}'></span><bdi>{escaped(name)}</bdi>" for i, name in enumerate(names))
    return f"<p class='tw-soft'>{''.join(keys)}</p>"


def stacked_bars(rows: Sequence[tuple[str, Sequence[int]]], names: Sequence[str], caption: str) -> str:
    """A bar a row, a coloured stretch a theme.

    Args:
        rows: label and one count for each of ``names``.
    """
    longest = max((sum(counts) for _, counts in rows), default=0) or 1
    out = []
    for label, counts in rows:
        stretches = "".join(
            f"<span style='{hue(i)};width:{count / longest:.2%}' title='{escaped(f'{names[i]}: {count}')}'></span>"
            for i, count in enumerate(counts) if count
        )  # fmt: skip
        told = ", ".join(f"{names[i]} {count}" for i, count in enumerate(counts) if count) or "none"
        out.append(
            f"<tr><th scope='row' dir='auto'>{escaped(label)}</th><td><div class='tw-stack' role='img' "
            f"aria-label='{escaped(told)}'>{stretches}</div></td><td class='tw-number'>{sum(counts):,}</td></tr>"
        )
    return f"{legend(names)}<table class='tw-chart'><caption class='tw-soft'>{caption}</caption>{''.join(out)}</table>"


def share_bars(rows: Sequence[tuple[str, float, tuple[float, float] | None, str]], caption: str) -> str:
    """A bar from 0 to 1 a row, with the interval of its value where there is one.

    Args:
        rows: label, value, low and high end of its interval, and what stands beside it.
    """
    out = []
    for label, value, interval, told in rows:
        whisker = ""
        if interval is not None:
            low, high = interval
            whisker = f"<div class='tw-range' style='inset-inline-start:{low:.1%};width:{high - low:.1%}'></div>"
        out.append(
            f"<tr><th scope='row' dir='auto'>{escaped(label)}</th><td><div class='tw-bar' aria-hidden='true'>"
            f"<div class='tw-fill' style='width:{value:.1%};background:var(--tw-1)'></div>{whisker}</div></td>"
            f"<td class='tw-number'>{escaped(told)}</td></tr>"
        )
    return f"<table class='tw-chart'><caption class='tw-soft'>{caption}</caption>{''.join(out)}</table>"
