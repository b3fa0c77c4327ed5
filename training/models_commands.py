"""``themewatch models``: keep, compare and promote models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from model.errors import ArtifactError, MissingExtraError

models = typer.Typer(no_args_is_help=True, help="Keep, compare and promote models.")

Folder = Annotated[
    Path | None,
    typer.Option("--registry", envvar="THEMEWATCH_REGISTRY", help="The registry; default: in your data folder."),
]
Json = Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")]


@models.callback()
def _group() -> None:
    """Keep, compare and promote models."""


@models.command("list")
def list_(registry: Folder = None, as_json: Json = False) -> None:
    """Name the models kept, the one that serves (*), and what happened to them."""
    from model.artifact import Artifact
    from model.registry import Registry

    own = Registry(registry)
    journal, serving = own.journal(), own.current()
    if as_json:
        typer.echo(json.dumps({"current": serving, "models": own.names(), "journal": journal}, ensure_ascii=False))
        return
    for name in own.names():
        try:
            macro = Artifact.load(own.path(name)).training.get("metrics", {}).get("test", {}).get("macro_f1")
            note = f"macro-F1 on its own test part {macro['value']:.3f}" if macro else "no figures of its own"
        except ArtifactError as error:
            note = error.what
        typer.echo(f"{'*' if name == serving else ' '} {name}: {note}")
        for row in (row for row in journal if row["model"] == name):
            parent = f" after {row['parent']}" if row.get("parent") else ""
            reason = f": {row['reason']}" if row.get("reason") else ""
            typer.echo(f"    {row['when']} {row['who']} {row['action']}{parent}{reason}")
    if not own.names():
        typer.echo(f"no models in {own.folder}; `themewatch models add FOLDER` takes one in")


@models.command()
def add(
    folder: Annotated[Path, typer.Argument(help="A model folder, as `themewatch train` writes it, or released.")],
    parent: Annotated[str, typer.Option(help="The model it was made from; default: the one that serves.")] = "",
    reason: Annotated[str, typer.Option(help="A note for the journal.")] = "",
    registry: Folder = None,
) -> None:
    """Copy a model into the registry, checked and read-only; it does not serve yet."""
    from model.registry import Registry

    typer.echo(Registry(registry).add(folder, parent, reason))


@models.command()
def compare(
    a: Annotated[str, typer.Argument(help="The old model: a name, its beginning, a model folder, or released.")],
    b: Annotated[str, typer.Argument(help="The new model.")],
    test: Annotated[list[Path] | None, typer.Option(help="Labelled files; default: the old model's test part.")] = None,
    registry: Folder = None,
    as_json: Json = False,
) -> None:
    """Measure two models on the same articles; nothing is changed."""
    _require_training()
    from model.artifact import RELEASED, Artifact
    from model.classifier import ThemeClassifier
    from model.layout import LAYOUT
    from model.registry import Registry
    from training import comparison
    from training.promotion import judged_items, objections

    own = Registry(registry)
    old, new = (
        Artifact.load(name if name == RELEASED or (Path(name) / LAYOUT.manifest).is_file() else own.path(name))
        for name in (a, b)
    )
    items = judged_items(new, old, test or (), ())
    answers = [comparison.Answers.of(ThemeClassifier.load(x.folder), items) for x in (old, new)]
    result = comparison.compare(items, *answers)
    if as_json:
        typer.echo(json.dumps({**result.to_dict(), "objections": objections(result)}, ensure_ascii=False))
        return
    for line in [*result.lines(), *(f"would be refused: {reason}" for reason in objections(result))]:
        typer.echo(line)


@models.command()
def promote(
    name: Annotated[str, typer.Argument(help="A model of the registry, or the beginning of its name.")],
    test: Annotated[
        list[Path] | None, typer.Option(help="Labelled files; default: the serving model's own test part.")
    ] = None,
    data: Annotated[
        list[Path] | None, typer.Option(help="What the model was trained on, if that is not the corpus.")
    ] = None,
    accept: Annotated[str, typer.Option(metavar="REASON", help="Promote it even if it is worse; recorded.")] = "",
    registry: Folder = None,
) -> None:
    """Let a model serve, if it is no worse than the one that serves; otherwise exit 2 with the reasons."""
    _require_training()
    from model.registry import Registry
    from training.promotion import promote as run

    promoted, figures = run(Registry(registry), name, test or (), data or (), accept)
    typer.echo(f"{promoted} serves now ({_judged(figures)})")


@models.command()
def rollback(
    reason: Annotated[str, typer.Option(help="A note for the journal.")] = "",
    registry: Folder = None,
) -> None:
    """Let the model serve again that served before the present one."""
    from model.registry import Registry

    typer.echo(f"{Registry(registry).rollback(reason)} serves now")


def _judged(figures: dict[str, Any]) -> str:
    if figures["objections"]:
        return f"accepted although {'; '.join(figures['objections'])}"
    against = (
        f"no worse than {figures['against']}" if "against" in figures else "the first; only its engine was checked"
    )
    return f"{against}, on {figures['items']} articles"


def _require_training() -> None:
    try:
        import torch  # noqa: F401

        import training.promotion  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(error.name or "a library", "train") from error
