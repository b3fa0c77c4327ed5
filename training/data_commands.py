"""``themewatch data``: look after labelled files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from training.merge import Merged

data = typer.Typer(no_args_is_help=True, help="Look after labelled data.")

Model = Annotated[Path | None, typer.Option(help="A model folder; default: the released model.")]
_SHOWN = 20  # lines of a kind on standard error


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


@data.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="Exports: .json, .jsonl, .csv, .tsv or .parquet.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="JSONL file to write; - for standard output.")],
    kind: Annotated[
        str, typer.Option("--format", help="auto, labelstudio, argilla, prodigy, doccano, csv or feedback.")
    ] = "auto",
    mapping: Annotated[Path | None, typer.Option(help="YAML of `label: theme` or `label: none`.")] = None,
    write_mapping: Annotated[
        Path | None, typer.Option(help="Where labels lack a theme, write a mapping to fill in here.")
    ] = None,
    resolve: Annotated[
        str, typer.Option(metavar="majority", help="Settle labellers' conflicts by majority; default: leave them out.")
    ] = "",
    assume_none: Annotated[
        bool, typer.Option("--assume-none", help="Take an empty label, or a theme nobody was asked about, for none.")
    ] = False,
    question: Annotated[str, typer.Option(help="The question or control that holds the themes; default: all.")] = "",
    separators: Annotated[str, typer.Option(help="Characters that part labels in a CSV cell.")] = "|;",
    themes: Annotated[Path | None, typer.Option(help="A taxonomy YAML; default: the released model's.")] = None,
) -> None:
    """Turn labelling tools' exports into labelled JSONL; conflicts and left-out rows are listed on standard error."""
    from collections import Counter

    from model.artifact import Artifact
    from model.taxonomy import Taxonomy
    from training.export_formats import Options
    from training.importers import read_judgements
    from training.mapping import LabelMapping, require_mapped
    from training.merge import merge
    from training.rows import write_rows

    if resolve not in ("", "majority"):
        raise DataError(f"no way to resolve {resolve!r}", remedy="use --resolve majority, or leave it out")
    keys = (Taxonomy.load(themes) if themes else Artifact.load().taxonomy).keys
    labels = LabelMapping.load(mapping, keys) if mapping else LabelMapping.identity(keys)
    judgements, left = read_judgements(files, kind, Options(question, separators))
    counts = Counter(
        label for one in judgements for label in (*one.labels, *set(one.asked or ()).difference(one.labels))
    )
    require_mapped(labels, counts, keys, write_mapping)
    merged = merge(judgements, labels, keys, resolve == "majority", assume_none)
    merged.left[:0] = left
    _tell(merged)
    if not merged.rows:
        raise DataError("no labelled articles", where=", ".join(map(str, files)), remedy="see the lines above")
    write_rows(output, merged.rows)
    if any(one.broken for one in left):
        raise typer.Exit(2)


@data.command("next")
def next_(
    file: Annotated[Path, typer.Argument(help="Articles to choose from: JSONL, CSV or Parquet, or a folder of them.")],
    count: Annotated[int, typer.Option("--n", min=1, help="How many articles.")] = 50,
    output: Annotated[Path, typer.Option("--output", "-o", help="JSONL file to write.")] = Path("-"),
    known: Annotated[list[Path] | None, typer.Option(help="Labelled files: nothing like theirs is chosen.")] = None,
    model: Model = None,
) -> None:
    """Choose what to label next: articles the model is unsure of, unlike one another, over all languages."""
    try:
        from training.active import choose
        from training.data import read_items
        from training.rows import write_rows
    except ImportError as error:
        raise MissingExtraError(error.name or "a library", "train") from error
    from model.classifier import ThemeClassifier

    classifier = ThemeClassifier.load(model)
    keys = classifier.artifact.taxonomy.keys
    pool, bad = read_items([file], keys, labelled=False)
    _list("bad rows left out", [str(row) for row in bad])
    if not pool:
        raise DataError("no articles", where=file)
    chosen = choose(classifier, pool, count, read_items(known or [], keys, labelled=False)[0])
    write_rows(output, (choice.row() for choice in chosen))
    _say(f"{len(chosen)} of {len(pool)} articles chosen")


@data.command()
def suspects(
    file: Annotated[Path, typer.Argument(help="Labelled articles: JSONL, CSV or Parquet, or a folder of them.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="JSONL file to write.")] = None,
    model: Model = None,
) -> None:
    """Find articles whose labels are probably wrong, worst first."""
    try:
        import cleanlab  # noqa: F401

        from training.data import load_items
        from training.rows import write_rows
        from training.suspects import find_suspects, optimism
    except ImportError as error:
        raise MissingExtraError(error.name or "a library", "train") from error
    from model.classifier import ThemeClassifier

    classifier = ThemeClassifier.load(model)
    items = load_items([file], classifier.artifact.taxonomy.keys)
    if warning := optimism(classifier.artifact, items):
        _say(f"warning: {warning}")
    found = find_suspects(classifier, items)
    if output is None:
        for one in found:
            typer.echo(f"{one.quality:.2f} {one.item.id}: {one.reason}")
    else:
        write_rows(output, (one.row() for one in found))
    _say(f"{len(found)} of {len(items)} labels look wrong")


def _tell(merged: Merged) -> None:
    """The report of an import."""
    out = [one for one in merged.conflicts if not one.resolved]
    _list("broken rows", [str(one) for one in merged.left if one.broken])
    _list("left out", [str(one) for one in merged.left if not one.broken])
    _list("conflicts between labellers, left out", [str(one) for one in out])
    _list("conflicts between labellers, settled", [str(one) for one in merged.conflicts if one.resolved])
    if merged.changed:
        _say(f"{merged.changed} times a labeller said something else later: the last word counts")
    _say(f"{len(merged.rows)} labelled articles")


def _list(title: str, lines: list[str]) -> None:
    if lines:
        more = [f"… and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        print(f"{title}: {len(lines)}", *lines[:_SHOWN], *more, sep="\n  ", file=sys.stderr)


def _say(line: str) -> None:
    print(line, file=sys.stderr)
