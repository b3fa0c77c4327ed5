"""``themewatch train`` and ``themewatch evaluate``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from model.cache import progress
from model.errors import MissingExtraError

if TYPE_CHECKING:
    from training.config import TrainConfig

_PANEL: Any = {"rich_help_panel": "Report"}


def train(
    config: Annotated[
        Path, typer.Argument(help="A training YAML: configs/base.yaml, or configs/head.yaml for minutes.")
    ],
    data: Annotated[list[Path] | None, typer.Option(help="Labelled files; default: the config's.")] = None,
    out: Annotated[Path, typer.Option(help="Where the model folder goes.")] = Path("artifacts/themewatch"),
    start: Annotated[
        str, typer.Option("--from", metavar="released|MODEL_DIR", help="Go on from a model; default: the config's.")
    ] = "",
    themes: Annotated[Path | None, typer.Option(help="A taxonomy YAML; default: the config's.")] = None,
    replay: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of the corpus mixed in; default: 0.3 with --data on top of a model."),
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(min=1, max=8, help="Train so often; serve the average or the best. Default: the config's."),
    ] = None,
    name: Annotated[str, typer.Option(help="The model's name; default: the config's.")] = "",
    version: Annotated[str, typer.Option(help="Its version; default: the config's.")] = "",
    log: Annotated[Path | None, typer.Option(help="Write curves for TensorBoard here.")] = None,
) -> None:
    """Train a model and write its folder; run again after an interruption, it goes on."""
    given: dict[str, Any] = {
        "start": start if start in ("", "released", "encoder") else str(Path(start).resolve()),
        "taxonomy": themes.resolve() if themes else None, "replay": replay, "runs": runs, "name": name,
        "version": version,
    }  # fmt: skip
    settings = _settings(config, {key: value for key, value in given.items() if value not in ("", None)})
    from training.run import prepare
    from training.run import train as run_training

    artifact = run_training(prepare(settings, data), out, log)
    if int(os.environ.get("RANK", "0")):  # started by torchrun: the first process tells
        return
    for part, table in artifact.training["metrics"].items():
        if macro := table["macro_f1"]:
            interval = f"{macro['value']:.3f} [{macro['low']:.3f}, {macro['high']:.3f}]"
            typer.echo(f"{part.replace('_', ' ')}: macro-F1 {interval} on {table['items']} articles")
    typer.echo(f"model written to {out}")


def evaluate(
    data: Annotated[list[Path], typer.Option(help="Labelled files to measure on (repeatable).")],
    model: Annotated[Path | None, typer.Option(help="A model folder; default: the released model.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object.")] = False,
    baselines: Annotated[
        bool, typer.Option(help="Also measure the baselines, trained on the model's training data.")
    ] = True,
    trained_on: Annotated[
        list[Path] | None, typer.Option(help="What the model was trained on, if that is not the corpus (repeatable).")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a report (HTML, Markdown, JSON) here.", **_PANEL)] = None,
    per_day: Annotated[int, typer.Option(min=1, help="Articles that come in a day.", **_PANEL)] = 1000,
    reads: Annotated[int, typer.Option(min=0, help="Articles a day that can be read for a theme.", **_PANEL)] = 50,
    recall: Annotated[float, typer.Option(min=0, max=1, help="Share that should be found.", **_PANEL)] = 0.95,
    precision: Annotated[float, typer.Option(min=0, max=1, help="Share that should be right.", **_PANEL)] = 0.9,
    prevalence: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of a day's articles that carry a theme; default: as here.", **_PANEL),
    ] = None,
    noise_sample: Annotated[
        int, typer.Option(min=0, help="Articles measured under each kind of page noise; 0: none.", **_PANEL)
    ] = 200,
    mistakes: Annotated[int, typer.Option(min=0, help="How many of the worst mistakes are shown.", **_PANEL)] = 30,
    texts: Annotated[bool, typer.Option(help="Show the texts of mistakes.", **_PANEL)] = True,
) -> None:
    """Measure a model on labelled articles: by theme and language, with intervals, beside baselines."""
    try:
        from training.data import load_items
        from training.report.build import Settings, build, quick_tables
        from training.report.thresholds import Aims
        from training.report.write import check_folder, write
    except ImportError as error:
        raise MissingExtraError(error.name or "a library", "train") from error
    from model.classifier import ThemeClassifier

    classifier = ThemeClassifier.load(model)
    items = load_items(data, classifier.artifact.taxonomy.keys)
    files = tuple(trained_on or ())
    if report is None:
        tables = quick_tables(classifier, items, files, baselines)
    else:
        check_folder(report)
        aims = Aims(per_day, reads, recall, precision, prevalence)
        told = build(classifier, items, data, Settings(baselines, files, noise_sample, mistakes, texts, aims))
        tables = told["systems"]
        if told["leaks"]["warning"]:
            progress(f"warning: {told['leaks']['warning']}")
        progress(f"report written to {write(told, report)}")
    if as_json:
        typer.echo(json.dumps(tables, ensure_ascii=False))
        return
    from training.show import show_tables

    show_tables(tables)


def _settings(config: Path, changes: dict[str, Any]) -> TrainConfig:
    try:
        import peft  # noqa: F401

        from training.config import load_config
    except ImportError as error:
        raise MissingExtraError(error.name or "a library", "train") from error
    return load_config(config, **changes)
