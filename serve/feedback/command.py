"""``themewatch feedback``: hand what readers said on to training."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model.errors import MissingExtraError

if TYPE_CHECKING:
    from serve.feedback.store import FeedbackStore

feedback = typer.Typer(no_args_is_help=True, help="Look after what readers said.")

DATABASE_VARIABLE = "THEMEWATCH_DATABASE"
DATABASE_HELP = "sqlite:///FILE or postgresql://USER@HOST/NAME; default: a file in your data folder."


@feedback.callback()
def _group() -> None:
    """Look after what readers said."""


@feedback.command()
def export(
    output: Annotated[Path, typer.Option("--output", "-o", help="JSONL file to write; - for standard output.")],
    database: Annotated[str | None, typer.Option(envvar=DATABASE_VARIABLE, help=DATABASE_HELP)] = None,
) -> None:
    """Write corrected articles as JSONL that `themewatch train --data` takes as it is.

    Only articles whose text a reader let us keep, and whose themes a reader settled.
    """
    try:
        from serve.feedback.store import FeedbackStore
    except ImportError as error:
        raise MissingExtraError(error.name or "sqlalchemy", "serve") from error

    store = FeedbackStore.open(database, create=False)
    try:
        if str(output) == "-":
            for line in store.training_lines():
                sys.stdout.buffer.write(line.encode("utf-8"))
            sys.stdout.buffer.flush()
            return
        written = _write(store, output)
    finally:
        store.close()
    missing = "" if written else " (an article counts once its text may be kept and its themes are settled)"
    print(f"themewatch: {written} articles written to {output}{missing}", file=sys.stderr)


def _write(store: FeedbackStore, output: Path) -> int:
    """The number of lines written; the file appears whole or not at all."""
    written = 0
    handle, name = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            for line in store.training_lines():
                file.write(line)
                written += 1
        os.replace(name, output)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return written
