"""The gate between a new model and its readers: what it refuses, and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.artifact import Artifact
from model.cache import progress
from model.classifier import ThemeClassifier
from model.engines import FAST_ENGINES
from model.errors import ArtifactError, DataError, EngineError, MissingExtraError
from model.layout import LAYOUT
from model.registry import Registry
from training.chance import holm
from training.comparison import Answers, Comparison, compare, disagreement
from training.data import Item, load_items
from training.labels import settle
from training.seen import made_with, overlaps, recorded_parts

CALIBRATION, ALARMS, ENGINES = 0.02, 0.01, 0.005  # how much worse each may be; see ``objections``
LEVEL = 0.025  # of refusing an equal model: for one figure, and for all themes and languages together
_TEST = "give --test FILE with labelled articles that neither model was trained on"


def promote(
    registry: Registry, name: str, test: Sequence[Path] = (), data: Sequence[Path] = (), accept: str = ""
) -> tuple[str, dict[str, Any]]:
    """Let a model of the registry serve, if it is no worse than the one that serves.

    Args:
        test: labelled files to judge by; default: the serving model's own test part (before the first
            promotion the new model's), where its corpus is at hand.
        data: the files the new model was trained on, where that is not the corpus.
        accept: why it shall serve even if it is worse; recorded.

    Returns:
        Its name, and the gate's figures.

    Raises:
        ArtifactError: it is refused, with the reasons; the serving model goes on.
        DataError: the test articles cannot be used, or were trained on.
    """
    folder, serving = registry.path(name), registry.current()
    name = folder.name
    if name == serving:
        raise ArtifactError("this model serves already", where=name)
    candidate = Artifact.load(folder)
    current = Artifact.load(registry.path(serving)) if serving else None
    items = judged_items(candidate, current, test, data)
    figures: dict[str, Any] = {"items": len(items), "seen": unseen_or_error(candidate, items, data)}
    fast, engine, share = engine_check(candidate, items)
    figures["engine"] = {"name": engine, "disagreement": None if share is None else round(share, 5)}
    reasons = [] if share is not None and share <= ENGINES else [_engine_objection(engine, share)]
    if current is not None:
        old = Answers.of(ThemeClassifier.load(current.folder), items)
        comparison = compare(items, old, fast)
        figures |= {"against": serving, "comparison": comparison.to_dict()}
        reasons += objections(comparison)
    figures["objections"] = reasons
    if reasons and not accept:
        registry.note("refuse", name, digest=candidate.digest, parent=serving, reason="; ".join(reasons), gate=figures)
        raise ArtifactError(
            f"not promoted: {'; '.join(reasons)}", where=name, remedy="--accept REASON promotes it all the same"
        )
    registry.point(name, serving, "promote", reason=accept, gate=figures)
    return name, figures


def objections(comparison: Comparison) -> list[str]:
    """Why the new model must not take the old one's place; empty if it may.

    A figure is worse where the whole 95 % interval of its difference is, and swapping the two models' answers at
    random gives as much in at most 2.5 % of cases. Themes and languages are many, and with each the chance of
    refusing an equal model grows: their 2.5 % hold for all together (Holm 1979), and those with fewer than 20
    articles are not judged alone. Calibration error may rise by 0.02, false alarms on theme-free articles by 0.01.
    """
    out = [f"theme {key} is gone" for key in comparison.lost]
    macro = comparison.macro_f1
    if macro.difference.high < 0 and macro.chance <= LEVEL:
        out.append(f"macro-F1 falls {macro}")
    parts = {f"F1 of theme {key}": row for key, row in comparison.themes.items() if key not in comparison.few}
    parts |= {f"micro-F1 of language {key}": row for key, row in comparison.languages.items()}
    adjusted = holm({what: row.chance for what, row in parts.items()})
    out += [
        f"{what} falls {row}, p {adjusted[what]:.4f} corrected for {len(parts)} themes and languages (Holm)"
        for what, row in parts.items() if row.difference.high < 0 and adjusted[what] <= LEVEL
    ]  # fmt: skip
    before, after = comparison.calibration_error
    if after - before > CALIBRATION and comparison.calibration_change.low > 0:
        out.append(f"calibration error rises {before:.3f} → {after:.3f}")
    alarms = comparison.false_alarms
    if alarms is not None and alarms.difference.low > ALARMS and alarms.chance <= LEVEL:
        out.append(f"false alarms on theme-free articles rise {alarms}")
    return out


def judged_items(
    candidate: Artifact, current: Artifact | None, test: Sequence[Path], data: Sequence[Path]
) -> list[Item]:
    """The articles to judge by; see ``promote``.

    Raises:
        DataError: none are given, and the corpus at hand is not the model's.
    """
    if test:
        known = dict.fromkeys([*(current.taxonomy.keys if current else ()), *candidate.taxonomy.keys])
        return settle(load_items(test, tuple(known)), tuple(known))
    model = current or candidate
    parts = recorded_parts(model) if current else recorded_parts(candidate, data)
    if parts is None:
        raise DataError(
            f"the test articles of {model.name} {model.version} are not at hand",
            remedy=_TEST,
        )
    if not parts.test:
        raise DataError(f"{model.name} {model.version} was trained on few articles: none was held out", remedy=_TEST)
    return settle(parts.test, model.taxonomy.keys)


def unseen_or_error(candidate: Artifact, items: Sequence[Item], data: Sequence[Path]) -> str:
    """``none`` if no test article stands in the candidate's training data, ``unknown`` if that cannot be told.

    Raises:
        DataError: some do, so that figures on them mean nothing.
    """
    made = made_with(candidate, data)
    found = overlaps(items, made.items) if made.items else {}
    if found:
        first, reason = next(iter(found.items()))
        raise DataError(
            f"{len(found)} of {len(items)} test articles stand in the model's training data ({first}: {reason})",
            where=candidate.name, remedy="give --test FILE without them",
        )  # fmt: skip
    if not made.complete:
        progress(f"cannot tell whether the model was trained on test articles: {made.missing}")
        return "unknown"
    return "none"


def engine_check(candidate: Artifact, items: Sequence[Item]) -> tuple[Answers, str, float | None]:
    """The answers that will be served, the engine that gives them, and how far it is from PyTorch's decisions.

    Without a fast engine that can be built the answers are PyTorch's, and the share is None.
    """
    reference = Answers.of(ThemeClassifier.load(candidate.folder, "torch"), items)
    if not (candidate.folder / LAYOUT.graph).is_file():
        return reference, "torch", 0.0
    name = FAST_ENGINES.get(candidate.precision, "onnx-fp32")
    try:
        fast = Answers.of(ThemeClassifier.load(candidate.folder, name), items)
    except (EngineError, MissingExtraError) as error:
        return reference, f"{name} ({error})", None
    return fast, name, disagreement(reference, fast)


def _engine_objection(engine: str, share: float | None) -> str:
    if share is None:
        return f"the fast engine cannot be built: {engine}"
    return f"engine {engine} decides {share:.2%} of (article, theme) pairs differently from PyTorch"
