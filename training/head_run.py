"""A run that trains the head alone: features from the cache, cross-validation where articles are few."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.artifact import Artifact
from model.cache import progress
from model.lexical import Lexical
from model.network import ThemeNetwork
from model.windows import Windower
from training.calibrate import fit_decisions
from training.data import Item
from training.features import FeatureStore
from training.head import Examples, Head, HeadTask, fit_head
from training.head_fits import Asked, Fit, settle_share, settle_words
from training.labels import label_mask
from training.lexical import carried
from training.measure import f1_at_half, measure
from training.partition import cross_folds
from training.prepare import Run
from training.table import truth_table
from training.write import training_record, write_artifact


def train_head(run: Run, network: ThemeNetwork, windower: Windower, store: FeatureStore, out: Path) -> Artifact:
    """Train, calibrate, measure and write; a known theme that nobody looked for stays as it was.

    (Nobody looked for it: no own article is labelled as being without it.)
    """
    keys, own, replay = run.taxonomy.keys, run.parts, run.replay
    task, part, asked = _task(run, store, windower), carried(run), Asked(run, store, windower)
    begin = Head(network.head.weight.detach().cpu().clone(), network.bias.detach().cpu().clone())
    held, examples = run.validation, _examples(run.train, windower, store, keys, part)
    validate = (lambda head: f1_at_half(held, asked(head, held, part), keys)) if _chooses(run) else None
    progress(f"training the head on {len(examples.encoded)} articles…")
    head, history = fit_head(task, begin, examples, validate)
    fits = _cross_fit(run, task, begin, examples, part) if run.config.split.folds else []
    fits.append(Fit(head, list(range(len(examples.encoded))), held, part))
    if run.start and len(keys) > len(task.kept) + len(task.fresh):
        fits, losses = settle_share(fits, begin, task.fresh, asked)
        history.append(losses)
    if part is not None and len(keys) > len(task.kept):
        fits, losses = settle_words(fits, examples, task, asked)
        history.append(losses)
    *folds, whole = fits
    progress("calibrating…")
    judged, logits = asked.all(fits)
    kept = {keys[k]: run.start.decisions.themes[keys[k]] for k in task.kept} if run.start else {}
    decisions = fit_decisions(logits, truth_table(judged, keys), keys, label_mask(judged, keys), kept)
    progress("measuring…")
    metrics: dict[str, Any] = {}
    if folds:
        metrics["cross_validation"] = measure(*asked.all(folds), decisions, keys)
    replayed = replay.parts.test if replay else []
    for name, items in (("validation", held), ("test", own.test), ("unseen", own.unseen), ("replay_test", replayed)):
        if items:
            metrics[name] = measure(items, asked(whole.head, items, whole.part), decisions, keys)
    with torch.no_grad():
        network.head.weight.copy_(whole.head.weight)
        network.bias.copy_(whole.head.bias)
    return write_artifact(run, network, windower, decisions, training_record(run, history, metrics), out, whole.part)


def _task(run: Run, store: FeatureStore, windower: Windower) -> HeadTask:
    keys, config, own = run.taxonomy.keys, run.config, [*run.parts.train, *run.parts.validation]
    told_no = np.flatnonzero((label_mask(own, keys) & ~truth_table(own, keys)).any(axis=0)).tolist()
    kept = [k for k in range(len(keys)) if run.start and k not in run.fresh and k not in told_no]
    return HeadTask(store, config.pooling, config.optimizer, config.head_dropout, config.seed, windower.lead,
                    run.fresh, tuple(kept))  # fmt: skip


def _chooses(run: Run) -> bool:
    """Whether own validation articles can choose the epoch; replayed ones alone would vote for no change."""
    trained = {key for item in run.parts.train for key in item.themes}
    return bool(run.parts.validation) and trained <= {key for item in run.validation for key in item.themes}


def _examples(
    items: Sequence[Item], windower: Windower, store: FeatureStore, keys: Sequence[str], part: Lexical | None
) -> Examples:
    encoded = [windower.encode(item.article, item.lang) for item in items]
    store.fill((window for e in encoded for window in e.windows), "training articles")
    beside = np.zeros((len(items), len(keys)), dtype=np.float32)
    if part is not None:
        beside = np.stack([part.logits(e, windower.lead) for e in encoded])
    return Examples(encoded, truth_table(items, keys), label_mask(items, keys), beside)


def _cross_fit(run: Run, task: HeadTask, begin: Head, examples: Examples, part: Lexical | None) -> list[Fit]:
    """Heads that each saw none of one fold of the user's training articles; replay joins every fold."""
    own, fits = run.parts.train, list[Fit]()
    replayed = range(len(own), len(examples.encoded))
    progress(f"cross-validating on {len(own)} articles…")
    for seen, left in cross_folds(own, run.taxonomy.keys, run.config.split.folds or 0, run.config.seed):
        rows = [*seen, *replayed]
        head, _ = fit_head(task, begin, examples.take(rows))
        fits.append(Fit(head, rows, [own[i] for i in left], part))
    return fits
