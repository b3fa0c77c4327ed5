"""The registry's journal: JSON lines that are only ever added to."""

from __future__ import annotations

import getpass
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model.cache import progress


def read_journal(file: Path) -> list[dict[str, Any]]:
    """What happened, oldest first; a line cut off by a crash is named on standard error and passed over."""
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(file.read_text("utf-8").splitlines() if file.is_file() else (), 1):
        try:
            rows.append(dict(json.loads(line)))
        except (ValueError, TypeError):
            progress(f"{file}:{number}: damaged line passed over")
    return rows


def append_journal(file: Path, facts: dict[str, Any]) -> None:
    """Add a line and flush it to disk: when (UTC), who, and ``facts``."""
    about = {"when": datetime.now(UTC).isoformat(timespec="seconds"), "who": _who()}
    line = json.dumps({**about, **facts}, ensure_ascii=False)
    with file.open("a+b") as journal:
        if journal.tell():
            journal.seek(-1, os.SEEK_END)
            line = line if journal.read(1) == b"\n" else f"\n{line}"  # after a line cut off by a crash
        journal.write(f"{line}\n".encode("utf-8", "replace"))
        journal.flush()
        os.fsync(journal.fileno())


def _who() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user often has no name
        return f"user {os.getuid()}" if hasattr(os, "getuid") else "unknown"
