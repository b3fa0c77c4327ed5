"""``themewatch data``: look after labelled files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from model.errors import MissingExtraError

data = typer.Typer(no_args_is_help=True, help="Look after labelled data.")


@data.callback()
def _group() -> None:
    """Look after labelled data."""


@data.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="JSONL, CSV or Parquet files, or folders of them.")],
    themes: Annotated[Path | None, typer.Option(help="A taxonomy YAML; default: the released model's.")] = None,
) -> None:
    """Check schema, language, duplicates and balance; name every bad row with file, line and reason."""
    try:
        from training.check import check_files
    except ImportError as error:
        raise MissingExtraError(error.name or "a library", "train") from error
    from model.artifact import Artifact
    from model.taxonomy import Taxonomy

    taxonomy = Taxonomy.load(themes) if themes else Artifact.load().taxonomy
    report = check_files(files, taxonomy.keys)
    for line in report.lines():
        typer.echo(line)
    if report.bad:
        raise typer.Exit(2)
