"""Run the reading of an upload in a process of its own, with little memory and time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.errors import InputError
from serve.uploads.documents import Document
from serve.uploads.tables import Rows

_AT_ONCE = threading.BoundedSemaphore(2)  # more would only starve the scoring
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system", "PYTHONUTF8": "1",
}  # fmt: skip
_MIB = 2**20


@dataclass(frozen=True)
class Bounds:
    """What a reading process may use: address space in bytes, processor time and time in seconds."""

    memory: int
    processor: int
    wall: int


DOCUMENT = Bounds(1024 * _MIB, 30, 90)
TABLE = Bounds(2048 * _MIB, 60, 180)


def read_document(path: Path, name: str, bounds: Bounds = DOCUMENT) -> Document:
    """``serve.uploads.documents.read_document`` of a file, confined.

    Raises:
        InputError: the file cannot be read, or not within the bounds.
    """
    return Document(**_ask("document", path, name, bounds))


def column_names(path: Path, name: str, bounds: Bounds = TABLE) -> list[str]:
    """``serve.uploads.tables.column_names``, confined. Raises ``InputError``."""
    return list(_ask("columns", path, name, bounds))


def count_rows(path: Path, name: str, text: str, title: str | None, bounds: Bounds = TABLE) -> Rows:
    """``serve.uploads.tables.count_rows``, confined. Raises ``InputError``."""
    return Rows(**_ask("rows", path, name, bounds, text=text, title=title))


def _ask(task: str, path: Path, name: str, bounds: Bounds, **more: Any) -> Any:
    request = {"task": task, "path": str(path), "name": name, "memory": bounds.memory, "cpu": bounds.processor, **more}
    with _AT_ONCE:
        try:  # -P: no module of the folder that the service was started in
            done = subprocess.run(
                [sys.executable, "-P", "-m", "serve.uploads.child"], input=json.dumps(request).encode("ascii"),
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=bounds.wall, env=os.environ | _ENVIRONMENT,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise InputError("takes too long to read", where=name, remedy="give a smaller part of it") from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise InputError(
            "needs too much memory or time to read", where=name, remedy="give a smaller part of it, or paste its text"
        ) from None
    if "error" in answer:
        raise InputError(answer["error"], where=name, remedy=answer["remedy"])
    return answer["value"]
