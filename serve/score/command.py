"""``themewatch score``: whole tables of articles, as many as there are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model.errors import InputError

if TYPE_CHECKING:
    from serve.score.summary import Summary

CHUNK = 1024  # rows of look-ahead: more pads less, and loses more to a kill
EXIT_REJECTED = 3
EXIT_INTERRUPTED = 130


def score(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT…",
            help="CSV, JSON lines, Parquet (.gz, .zst): files, folders, globs, addresses; - for stdin.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file to write; its name tells the format.")],
    form: Annotated[str, typer.Option("--format", help="csv, tsv, jsonl or parquet, where the name tells none.")] = "",
    input_format: Annotated[str, typer.Option(help="The same for all inputs, such as jsonl or csv.gz.")] = "",
    text_column: Annotated[str, typer.Option(help="The column to read.")] = "text",
    title_column: Annotated[str | None, typer.Option(help="The titles; default: title, if there is one.")] = None,
    id_column: Annotated[str | None, typer.Option(help="The articles' names; default: id, if there is one.")] = None,
    threshold: Annotated[
        list[str] | None, typer.Option(metavar="KEY=P", help="Match a theme from this probability on. Repeatable.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Add the sentences that show why.")] = False,
    near_duplicates: Annotated[
        str | None, typer.Option(metavar="mark|share", help="Number near copies, or also score only the first of them.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="A model folder; default: the released model.")] = None,
    engine: Annotated[str, typer.Option(help="auto, or one engine by name.")] = "auto",
    workers: Annotated[int, typer.Option(min=1, help="Processes, each with the model in memory.")] = 1,
    chunk: Annotated[int, typer.Option(min=1, max=100_000, help="Rows read, scored and saved together.")] = CHUNK,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a run that was stopped left off.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    report: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Also write the summary as a page.")] = None,
) -> None:
    """Score the articles of whole tables; all columns are kept, and the themes stand beside them.

    Rows that cannot be scored go to OUTPUT.rejected.jsonl with the reason; the exit code is then 3.
    A run that was stopped, even by a power cut, goes on with the same command and --resume.

    In CSV, text cells that a spreadsheet would take for a formula (beginning with = + - @ tab or
    return, and no number) get an apostrophe before them.
    """
    from rich.console import Console

    from model.artifact import Artifact
    from serve.score.duplicates import NearDuplicates
    from serve.score.formats import output_format
    from serve.score.inputs import expand
    from serve.score.journal import Workspace
    from serve.score.layout import Layout
    from serve.score.rows import Columns
    from serve.score.runner import Run, Settings
    from serve.score.scorer import ModelChoice

    if str(output) == "-" or "://" in str(output) or ":/" in str(output):
        raise InputError("only a local file can be written", where=output, remedy="name a file, and copy it then")
    if near_duplicates not in (None, *NearDuplicates):
        raise InputError(f"no way {near_duplicates!r}", where="--near-duplicates", remedy="use mark or share")
    written = output_format(str(output), form)
    thresholds = _thresholds(threshold or [])
    console = Console(stderr=True, highlight=False)
    with Workspace(output, report) as work:
        found = expand(inputs, input_format, work.outputs)
        if work.finished_before(resume, overwrite):
            console.print(f"{output} is finished; nothing to resume", markup=False)
            raise typer.Exit(EXIT_REJECTED if work.rejects.exists() else 0)
        artifact = Artifact.load(model)
        reserved = Layout(artifact.taxonomy.keys, "").reserved
        settings = Settings(
            inputs=tuple(found), output=output, format=written,
            columns=Columns(text_column, title_column, id_column, reserved),
            choice=ModelChoice(str(model) if model else None, engine, thresholds, explain),
            near=NearDuplicates(near_duplicates) if near_duplicates else None,
            workers=workers, chunk=chunk, resume=resume, overwrite=overwrite,
        )  # fmt: skip
        try:
            summary: Summary = Run(settings, artifact, work, console)()
        except KeyboardInterrupt:
            print("themewatch: stopped; the same command with --resume goes on", file=sys.stderr)
            raise typer.Exit(EXIT_INTERRUPTED) from None
    summary.show(console)
    if summary.rejected:
        raise typer.Exit(EXIT_REJECTED)


def _thresholds(given: list[str]) -> tuple[tuple[str, float], ...]:
    """``KEY=P`` pairs; the last one of a key counts."""
    out: dict[str, float] = {}
    for pair in given:
        key, _, value = pair.partition("=")
        try:
            probability = float(value)
        except ValueError:
            probability = -1.0
        if not 0.0 <= probability <= 1.0:
            raise InputError(f"cannot read {pair!r}", where="--threshold", remedy="give KEY=P with P from 0 to 1")
        out[key.strip()] = probability
    return tuple(sorted(out.items()))
