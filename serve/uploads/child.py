"""The reading process: one request as JSON on standard input, one answer on standard output."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any


def main() -> None:
    """Answer one request of ``serve.uploads.confined``."""
    request = json.load(sys.stdin)
    out = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no part of the answer
    _limit(request["memory"], request["cpu"])
    from model.errors import ThemewatchError

    try:
        answer: dict[str, Any] = {"value": _value(request)}
    except ThemewatchError as error:
        answer = {"error": error.what, "remedy": error.remedy}
    except (MemoryError, RecursionError):
        answer = {"error": "needs too much memory to read", "remedy": "give a smaller part of it"}
    except Exception as error:  # its message may quote the file
        answer = {"error": f"cannot be read ({type(error).__name__})", "remedy": "save it anew, or paste its text"}
    with os.fdopen(out, "wb") as file:
        file.write(json.dumps(answer).encode("ascii"))


def _limit(memory: int, seconds: int) -> None:
    """Bound this process; where the system cannot, its parent's clock still does."""
    try:
        import resource
    except ImportError:
        return
    for kind, most in (
        (resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        try:
            resource.setrlimit(kind, (most, most))
        except (OSError, ValueError):
            continue


def _value(request: dict[str, Any]) -> Any:
    path, name = Path(request["path"]), str(request["name"])
    if request["task"] == "document":
        from serve.uploads.documents import read_document

        return asdict(read_document(path.read_bytes(), name))
    from serve.uploads.tables import column_names, count_rows, table_input

    item = table_input(path, name)
    if request["task"] == "columns":
        return column_names(item)
    return asdict(count_rows(item, request["text"], request["title"]))


if __name__ == "__main__":
    main()
