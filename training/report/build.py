"""Measures everything the report tells, as one JSON-able dictionary; the page, Markdown and card only show it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from model.artifact import Artifact
from model.cache import progress, sha256
from model.classifier import ThemeClassifier
from model.errors import DataError
from training.baselines import fit_baselines
from training.comparison import compare
from training.data import Item, data_files, digest
from training.metrics import score_counts
from training.report import confusion, curves, slices
from training.report.drift import SCORE_BINS, compare_counts, profile
from training.report.leaks import find_leaks, leak_line, without
from training.report.mistakes import worst_mistakes
from training.report.scored import Scored, answers_of, score_items, unjudged_line
from training.report.summary import summary
from training.report.thresholds import Aims, choices, workload
from training.seen import recorded_parts, trained_languages
from training.table import figures, result_figures

Report = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What goes into a report.

    Attributes:
        baselines: whether to train and measure the baselines.
        trained_on: the files the model was trained on, where that is not the bundled corpus.
        noise_sample: articles measured under each kind of noise; 0: none.
        mistakes: how many mistakes are shown.
        texts: whether titles, texts and evidence of mistakes are shown.
    """

    baselines: bool = True
    trained_on: tuple[Path, ...] = ()
    noise_sample: int = 200
    mistakes: int = 30
    texts: bool = True
    aims: Aims = field(default_factory=Aims)


def build(classifier: ThemeClassifier, items: Sequence[Item], files: Sequence[Path], settings: Settings) -> Report:
    """Evaluate a model on labelled articles.

    Args:
        files: where ``items`` came from; named with their digests.

    Raises:
        DataError: ``settings.trained_on`` is not what the model was trained on.
    """
    artifact = classifier.artifact
    progress("looking for training articles among these…")
    leaks = find_leaks(artifact, items, settings.trained_on)
    progress(f"scoring {len(items):,} articles…")
    scored = score_items(classifier, items)
    systems, against, note = _systems(classifier, scored, settings)
    keep = without(scored.items, leaks)
    report: Report = {
        "title": f"{artifact.name} {artifact.version}",
        "made": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "written_by": f"themewatch {metadata.version('themewatch')}",
        "model": _model(artifact, classifier),
        "data": _data(scored.items, files),
        "unjudged": unjudged_line(scored.items, scored.keys),
        "themes": {theme.key: theme.name() for theme in artifact.taxonomy.themes},
        "leaks": leaks | {
            "warning": leak_line(leaks, len(items)),
            "without": slices.part_figures(scored, keep) if leaks["items"] and keep.any() else None,
        },
        "systems": systems,
        "against": against,
        "baselines_note": note,
        "overall": slices.part_figures(scored, keep | True),
        "curves": _curves(scored, settings.aims),
        "thresholds": {
            "aims": asdict(settings.aims),
            "themes": {
                key: choices(scored.truth[:, k], scored.scores[:, k], artifact.decisions.themes[key], settings.aims)
                for k, key in enumerate(scored.keys)
            },
        },
        "cooccurrence": confusion.cooccurrence(scored),
        "confusion": confusion.confusion(scored),
        "kinds": confusion.by_kind(scored),
        "slices": {
            "Length": slices.by_length(scored),
            "Windows of the model": slices.by_windows(scored),
            "Language": slices.by_training_language(scored, trained_languages(artifact)),
        },
        "noise": None,
        "mistakes": worst_mistakes(classifier, scored, settings.mistakes, settings.texts),
        "drift": _drift(classifier, scored, settings),
    }  # fmt: skip
    if settings.noise_sample:
        progress("measuring under page noise and text damage…")
        report["noise"] = slices.under_noise(classifier, scored, settings.noise_sample)
    report["summary"] = summary(report)
    return report


def quick_tables(
    classifier: ThemeClassifier, items: Sequence[Item], trained_on: tuple[Path, ...], baselines: bool
) -> dict[str, Any]:
    """The report's systems alone; leaks, and why there are no baselines, are told on standard error."""
    if warning := leak_line(find_leaks(classifier.artifact, items, trained_on), len(items)):
        progress(f"warning: {warning}")
    if unjudged := unjudged_line(items, classifier.artifact.taxonomy.keys):
        progress(f"warning: {unjudged}")
    settings = Settings(baselines=baselines, trained_on=trained_on)
    systems, _, note = _systems(classifier, score_items(classifier, items), settings)
    if baselines and note:
        progress(f"no baselines: {note}")
    return systems


def _systems(
    classifier: ThemeClassifier, scored: Scored, settings: Settings
) -> tuple[dict[str, Any], dict[str, Any], str]:
    """Figures of the model and the baselines, paired differences, and why there are no baselines."""
    systems: dict[str, Any] = {"model": result_figures(scored.items, scored.results, scored.keys)}
    against: dict[str, Any] = {}
    if not settings.baselines:
        return systems, against, "left out as asked"
    progress("training the baselines…")
    try:
        scorers = fit_baselines(classifier, settings.trained_on)
    except DataError as error:
        return systems, against, error.what
    for name, scorer in scorers.items():
        scores = scorer(scored.items)
        answers = answers_of(scored.keys, scores)
        systems[name] = figures(scored.items, scored.keys, answers.said, scores)
        if scored.truth.any():
            against[name] = compare(scored.items, answers, scored.answers).macro_f1.to_dict()
    return systems, against, ""


def _model(artifact: Artifact, classifier: ThemeClassifier) -> dict[str, Any]:
    record = artifact.training
    return {
        "name": artifact.name, "version": artifact.version, "sha256": artifact.digest,
        "engine": classifier.engine.name, "backbone": artifact.backbone,
        "backbone_sha256": artifact.backbone_sha256, "taxonomy": artifact.taxonomy.version,
        "languages": trained_languages(artifact),
        "thresholds": {key: asdict(rule) for key, rule in artifact.decisions.themes.items()},
        "trained_on": {
            name: {"items": part.get("items"), "sha256": part.get("sha256")}
            for name, part in record.get("data", {}).items()
        },
    }  # fmt: skip


def _data(items: Sequence[Item], files: Sequence[Path]) -> dict[str, Any]:
    return {
        "items": len(items), "stories": len({item.story for item in items}), "sha256": digest(items),
        "languages": len({item.lang for item in items}),
        "files": [{"name": path.name, "sha256": sha256(path)} for path in data_files(files)],
    }  # fmt: skip


def _curves(scored: Scored, aims: Aims) -> dict[str, Any]:
    columns = {key: (scored.truth[:, k], scored.scores[:, k]) for k, key in enumerate(scored.keys)}
    return {
        "precision_recall": {key: curves.precision_recall(*column) for key, column in columns.items()},
        "reliability": {
            "all themes": curves.reliability(scored.truth, scored.scores),
            **{key: curves.reliability(*column) for key, column in columns.items()},
        },
        "workload": {key: workload(*column, aims) for key, column in columns.items()},
    }


def _drift(classifier: ThemeClassifier, scored: Scored, settings: Settings) -> dict[str, Any]:
    """Languages and lengths against the training part, scores against the model's own test part."""
    record = classifier.artifact.training
    train = record.get("data", {}).get("train", {})
    before = train.get("profile")
    if before is None:  # a model of an older version: its articles, where they are at hand
        parts = recorded_parts(classifier.artifact, settings.trained_on)
        before = parts and profile((i.lang for i in parts.train), (i.article.full_text for i in parts.train))
    now = profile((i.lang for i in scored.items), (i.article.full_text for i in scored.items))
    out: dict[str, Any] = {"languages": None, "lengths": None, "scores": {}, "labels": {}}
    if before:
        out |= {name: compare_counts(before[name], now[name]) for name in ("languages", "lengths")}
    metrics = record.get("metrics", {})
    tested = (metrics.get("test") or metrics.get("cross_validation") or {}).get("scores", {})
    found = score_counts(scored.scores, scored.keys)
    for key in scored.keys:
        if key in tested:
            old, new = (dict(zip(SCORE_BINS, counts[key], strict=True)) for counts in (tested, found))
            out["scores"][key] = compare_counts(old, new)
    if train.get("items"):
        out["labels"] = {
            key: {"before": round(count / train["items"], 4), "now": round(float(scored.truth[:, k].mean()), 4)}
            for k, key in enumerate(scored.keys) if (count := train["themes"].get(key)) is not None
        }  # fmt: skip
    return out
