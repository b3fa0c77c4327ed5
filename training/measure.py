"""Figures where some (article, theme) pairs are unlabelled: such a pair counts neither for nor against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.cache import progress
from model.decisions import Decisions
from model.result import Result
from training.calibrate import fit_decisions
from training.data import Item
from training.labels import label_mask
from training.metrics import calibration_error, macro_f1, score_counts
from training.prepare import Run
from training.table import figures, truth_table


def logits_of(results: Sequence[Result], keys: Sequence[str]) -> NDArray[np.float64]:
    """Float64 ``[articles, themes]``."""
    return np.asarray([[r.logits[key] for key in keys] for r in results], dtype=np.float64).reshape(-1, len(keys))


def f1_at_half(items: Sequence[Item], logits: NDArray[np.float64], keys: Sequence[str]) -> float:
    """Macro-F1 at probability one half, over the themes that occur: what chooses the epoch."""
    truth = truth_table(items, keys)
    occurring = [k for k in range(len(keys)) if truth[:, k].any()]
    if not occurring:
        return 0.0
    said = (logits > 0) & label_mask(items, keys)
    return macro_f1(truth, said, [item.story for item in items], occurring).value


def calibrated_log_loss(items: Sequence[Item], logits: NDArray[np.float64], keys: tuple[str, ...]) -> float:
    """Mean over themes of the log loss once calibrated on the same articles: good for comparing logits by it only."""
    from sklearn.metrics import log_loss

    truth, mask, losses = truth_table(items, keys), label_mask(items, keys), []
    for k, rule in enumerate(fit_decisions(logits, truth, keys, mask).themes.values()):
        x, y = logits[mask[:, k], k], truth[mask[:, k], k]
        if y.any() and not y.all():
            losses.append(float(log_loss(y, [rule.probability(float(z)) for z in x])))
    return float(np.mean(losses)) if losses else 0.0


def calibrate(run: Run, answers: Callable[[list[Item]], NDArray[np.float64]]) -> tuple[Decisions, dict[str, Any]]:
    """Decisions fitted on the run's validation part, and the figures of every held-out part by them.

    Args:
        answers: logits ``[articles, themes]`` of articles, as the served path gives them.
    """
    keys, held = run.taxonomy.keys, run.validation
    progress("calibrating on validation data…")
    logits = answers(held)
    decisions = fit_decisions(logits, truth_table(held, keys), keys, label_mask(held, keys))
    progress("measuring on the held-out parts…")
    metrics: dict[str, Any] = {"validation": measure(held, logits, decisions, keys)}
    replayed = run.replay.parts.test if run.replay else []
    for name, part in (("test", run.parts.test), ("unseen", run.parts.unseen), ("replay_test", replayed)):
        if part:
            metrics[name] = measure(part, answers(part), decisions, keys)
    return decisions, metrics


def measure(
    items: Sequence[Item], logits: NDArray[np.float64], decisions: Decisions, keys: Sequence[str]
) -> dict[str, Any]:
    """The figures of one part (see ``training.table.figures``), from logits that the served path gave."""
    mask, truth = label_mask(items, keys), truth_table(items, keys)
    rules = [decisions.themes[key] for key in keys]
    scores = np.asarray(
        [[rule.probability(float(z)) for rule, z in zip(rules, row, strict=True)] for row in logits]
    ).reshape(truth.shape)
    said = mask & (scores >= [rule.upper for rule in rules])
    kept = mask & (scores >= [rule.lower for rule in rules])
    out = figures(items, keys, said, np.where(mask, scores, 0.0))
    wanted = truth.sum()
    out["calibration_error"] = round(calibration_error(truth[mask], scores[mask]), 4)
    out["recall_at_review"] = round(float((truth & kept).sum() / wanted), 4) if wanted else None
    out["scores"] = score_counts(scores, keys)
    if not mask.all():
        out["unlabelled_pairs"] = int((~mask).sum())
    return out
