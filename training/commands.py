"""``themewatch train`` and ``themewatch evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from model.errors import MissingExtraError

if TYPE_CHECKING:
    from training.config import TrainConfig


def train(
    config: Annotated[Path, typer.Argument(help="A training YAML, for example configs/base.yaml.")],
    data: Annotated[list[Path] | None, typer.Option(help="Labelled files; default: the config's.")] = None,
    out: Annotated[Path, typer.Option(help="Where the model folder goes.")] = Path("artifacts/themewatch"),
) -> None:
    """Train a model and write its folder; run again after an interruption, it goes on."""
    settings = _settings(config)
    from training.run import prepare
    from training.run import train as run_training

    artifact = run_training(prepare(settings, data), out)
    for name, table in artifact.training["metrics"].items():
        macro = table["macro_f1"]
        interval = f"{macro['value']:.3f} [{macro['low']:.3f}, {macro['high']:.3f}]"
        typer.echo(f"{name}: macro-F1 {interval} on {table['items']} articles")
    typer.echo(f"model written to {out}")


def evaluate(
    data: Annotated[list[Path], typer.Option(help="Labelled files to measure on (repeatable).")],
    model: Annotated[Path | None, typer.Option(help="A model folder; default: the released model.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
    baselines: Annotated[
        bool, typer.Option(help="Also measure the baselines, trained on the model's training data.")
    ] = True,
) -> None:
    """Measure a model on labelled articles: by theme and language, with intervals, beside baselines."""
    try:
        from training.baselines import baseline_tables, fit_baselines
        from training.data import load_items
        from training.table import evaluate_items
    except ImportError as error:
        raise MissingExtraError(error.name or "a library", "train") from error
    from model.classifier import ThemeClassifier

    classifier = ThemeClassifier.load(model)
    items = load_items(data, classifier.artifact.taxonomy.keys)
    tables: dict[str, Any] = {"model": evaluate_items(classifier, items)}
    if baselines:
        tables |= baseline_tables(fit_baselines(classifier), items, classifier.artifact.taxonomy.keys)
    if as_json:
        typer.echo(json.dumps(tables, ensure_ascii=False))
        return
    from training.show import show_tables

    show_tables(tables)


def _settings(config: Path) -> TrainConfig:
    try:
        import peft  # noqa: F401

        from training.config import load_config
    except ImportError as error:
        raise MissingExtraError(error.name or "a library", "train") from error
    return load_config(config)
