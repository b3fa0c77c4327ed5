"""``themewatch score``: whole tables of articles, as many as there are."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from rich.console import Console

    from model.artifact import Artifact
    from serve.score.formats import Format
    from serve.score.inputs import Input
    from serve.score.settings import Settings
    from serve.score.summary import Summary

ENGINES = ("local", "ray")
CHUNK = 1024  # rows of look-ahead: more pads less, and loses more to a kill
SHARD = 4096  # rows: minutes of one core; more make fewer files, and lose more when a machine is lost
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
    output: Annotated[
        str, typer.Option("-o", "--output", help="The file to write; its name tells the format. With ray, a folder.")
    ],
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
    model_engine: Annotated[str, typer.Option(help="What runs the model: auto, or one by name.")] = "auto",
    engine: Annotated[
        str, typer.Option(metavar="local|ray", help="Score on this machine, or through Ray on a cluster: Parquet only.")
    ] = "local",
    ray_address: Annotated[
        str | None, typer.Option(help="With ray: an existing cluster, such as auto or host:6379; default: a local one.")
    ] = None,
    shard: Annotated[int, typer.Option(min=1, help="With ray: the most rows of an output file.")] = SHARD,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes, each with the model in memory; default: 1; ray: all cores.")
    ] = None,
    chunk: Annotated[int, typer.Option(min=1, max=100_000, help="Rows read, scored and saved together.")] = CHUNK,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a run that was stopped left off.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    report: Annotated[Path | None, typer.Option(metavar="FILE.html", help="Also write the summary as a page.")] = None,
) -> None:
    """Score the articles of whole tables; all columns are kept, and the themes stand beside them.

    Rows that cannot be scored go to OUTPUT.rejected.jsonl with the reason; the exit code is then 3.
    A run that was stopped, even by a power cut, goes on with the same command and --resume.

    In CSV, text cells that a spreadsheet would take for a formula (beginning with = + - @, a tab or
    a line end, and no number) get an apostrophe before them.
    """
    from rich.console import Console

    _check_libraries(engine)
    from serve.score.duplicates import NearDuplicates

    if near_duplicates not in (None, *NearDuplicates):
        raise InputError(f"no way {near_duplicates!r}", where="--near-duplicates", remedy="use mark or share")
    asked = _Asked(
        tuple(inputs), output, form, input_format, (text_column, title_column, id_column), _thresholds(threshold or []),
        explain, near_duplicates, model, model_engine, chunk, resume, overwrite, report,
    )  # fmt: skip
    console = Console(stderr=True, highlight=False)
    try:
        if engine == "ray":
            summary = _on_ray(asked, console, shard, ray_address, workers)
        elif ray_address:
            raise InputError("needs --engine ray", where="--ray-address")
        else:
            summary = _on_this_machine(asked, console, workers or 1)
    except KeyboardInterrupt:
        print("themewatch: stopped; the same command with --resume goes on", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    summary.show(console)
    if summary.rejected:
        raise typer.Exit(EXIT_REJECTED)


@dataclass(frozen=True)
class _Asked:
    """The options that both engines understand."""

    inputs: tuple[str, ...]
    output: str
    form: str
    input_format: str
    columns: tuple[str, str | None, str | None]
    thresholds: tuple[tuple[str, float], ...]
    explain: bool
    near: str | None
    model: Path | None
    model_engine: str
    chunk: int
    resume: bool
    overwrite: bool
    report: Path | None

    def settings(self, artifact: Artifact, written: Format, found: Sequence[Input], workers: int) -> Settings:
        """The same as what a run takes."""
        from serve.score.duplicates import NearDuplicates
        from serve.score.layout import Layout
        from serve.score.rows import Columns
        from serve.score.scorer import ModelChoice
        from serve.score.settings import Settings

        return Settings(
            inputs=tuple(found), output=self.output, format=written,
            columns=Columns(*self.columns, Layout(artifact.taxonomy.keys, "").reserved),
            choice=ModelChoice(
                str(self.model) if self.model else None, self.model_engine, self.thresholds, self.explain
            ),
            near=NearDuplicates(self.near) if self.near else None,
            workers=workers, chunk=self.chunk, resume=self.resume, overwrite=self.overwrite,
        )  # fmt: skip


def _on_this_machine(asked: _Asked, console: Console, workers: int) -> Summary:
    from model.artifact import Artifact
    from serve.score.formats import output_format
    from serve.score.inputs import expand
    from serve.score.journal import Workspace
    from serve.score.runner import Run

    if asked.output == "-" or "://" in asked.output:
        raise InputError("only a local file can be written", where=asked.output, remedy="name a file, and copy it then")
    written = output_format(asked.output, asked.form)
    with Workspace(Path(asked.output), asked.report) as work:
        found = expand(asked.inputs, asked.input_format, [*work.outputs, work.folder])
        if work.finished_before(asked.resume, asked.overwrite):
            raise _nothing_left(asked, console, work.rejects.exists())
        artifact = Artifact.load(asked.model)
        return Run(asked.settings(artifact, written, found, workers), artifact, work, console)()


def _on_ray(asked: _Asked, console: Console, shard: int, address: str | None, workers: int | None) -> Summary:
    from model.artifact import Artifact
    from serve.score.formats import parse_format
    from serve.score.inputs import expand
    from serve.score.ray_engine import RayRun
    from serve.score.shards import check_kinds
    from serve.score.store import Store

    written = parse_format("--format", asked.form or "parquet")
    if str(written) != "parquet":
        raise InputError("--engine ray writes Parquet alone", where="--format", remedy="leave it out")
    if asked.near:
        raise InputError(
            "near copies are looked for in the order of the whole table", where="--near-duplicates",
            remedy="leave it out, or use --engine local",
        )  # fmt: skip
    store = Store(asked.output)
    found = expand(asked.inputs, asked.input_format, [*store.folders, *([asked.report] if asked.report else [])])
    check_kinds(found)
    store.check_apart(found)
    if asked.report and not asked.report.parent.is_dir():
        raise InputError("no such folder", where=asked.report.parent, remedy="create it")
    if asked.report and asked.report.exists() and not (asked.resume or asked.overwrite):
        raise InputError("exists already", where=asked.report, remedy="give another name, or --overwrite")
    if store.finished_before(asked.resume, asked.overwrite):
        raise _nothing_left(asked, console, store.has_rejects())
    artifact = Artifact.load(asked.model)
    settings = asked.settings(artifact, written, found, workers or 1)
    return RayRun(settings, artifact, store, console, shard, address, workers, asked.report)()


def _nothing_left(asked: _Asked, console: Console, rejected: bool) -> typer.Exit:
    console.print(f"{asked.output} is finished; nothing to resume", markup=False)
    return typer.Exit(EXIT_REJECTED if rejected else 0)


def _check_libraries(engine: str) -> None:
    """Name the extra before anything of it is used."""
    if engine not in ENGINES:
        remedy = "use local or ray (what runs the model is --model-engine)"
        raise InputError(f"no engine {engine!r}", where="--engine", remedy=remedy)
    if engine == "ray" and importlib.util.find_spec("ray") is None:
        raise MissingExtraError("ray", "ray")
    for name in ("pyarrow", "fsspec", "zstandard", "datasketch"):
        if importlib.util.find_spec(name) is None:
            raise MissingExtraError(name, "score")


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
