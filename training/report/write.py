"""Puts the report into a folder: ``index.html``, ``report.md``, ``report.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from model.errors import DataError
from training.report.markdown import markdown
from training.report.page import html

NAMES = ("index.html", "report.md", "report.json")


def check_folder(folder: Path) -> None:
    """Make the folder, before hours of scoring.

    Raises:
        DataError: there is a file of that name.
        OSError: it cannot be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError("not a folder", where=folder, remedy="give a folder for the report")
    folder.mkdir(parents=True, exist_ok=True)


def write(report: dict[str, Any], folder: Path) -> Path:
    """Write all three, replacing older ones whole; returns the page."""
    check_folder(folder)
    told = json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    for name, text in zip(NAMES, (html(report), markdown(report) + "\n", told), strict=True):
        part = folder / f".{name}.part"
        part.write_text(text, "utf-8", errors="replace")  # lone surrogates of broken texts
        part.replace(folder / name)
    return folder / NAMES[0]
