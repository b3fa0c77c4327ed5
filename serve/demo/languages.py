"""Names of themes and languages as the reader's browser asks for them."""

from __future__ import annotations

import re

import gradio as gr
from babel import Locale, UnknownLocaleError

from model.taxonomy import Taxonomy

_PART = re.compile(r"\s*([A-Za-z]{2,3})(?:-[\w-]*)?\s*(?:;\s*q\s*=\s*([01](?:\.\d{0,3})?))?\s*")
_MOST = 20  # languages of one browser looked at


def reader_languages(header: str) -> list[str]:
    """Language codes of an ``Accept-Language`` header, best first; what is malformed is passed over."""
    found: list[tuple[float, str]] = []
    for part in header[:500].split(",")[:_MOST]:
        match = _PART.fullmatch(part)
        if match:
            found.append((-float(match[2] or 1.0), match[1].lower()))
    return [code for weight, code in sorted(found, key=lambda pair: pair[0]) if weight < 0]


def asked_languages(request: gr.Request | None) -> list[str]:
    """The languages of the browser behind a request."""
    headers = getattr(request, "headers", None)
    return reader_languages(str(headers.get("accept-language") or "")) if headers is not None else []


def theme_names(taxonomy: Taxonomy, languages: list[str]) -> dict[str, str]:
    """Each theme's name in the first language that has one, else in English."""
    out = {}
    for theme in taxonomy.themes:
        code = next((code for code in languages if code in theme.names), "en")
        out[theme.key] = theme.name(code)
    return out


def language_name(code: str, languages: list[str]) -> str:
    """A language's name for the reader, with its code."""
    if code == "und":
        return "not recognised"
    for reader in [*languages, "en"]:
        try:
            name = Locale.parse(reader).languages.get(code)
        except (UnknownLocaleError, ValueError):
            continue
        if name:
            return f"{name} ({code})"
    return code
