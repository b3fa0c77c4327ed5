"""A run that trains the head alone: features from the cache, cross-validation where articles are few."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model.artifact import Artifact
from model.cache import progress
from model.network import ThemeNetwork
from model.windows import Encoded, Windower
from training.build import in_memory
from training.calibrate import fit_decisions
from training.data import Item
from training.features import FeatureStore
from training.head import Examples, Head, HeadTask, fit_head
from training.labels import label_mask
from training.lexical import carried
from training.measure import f1_at_half, logits_of, measure
from training.partition import cross_folds
from training.prepare import Run
from training.table import predict_items, truth_table
from training.write import training_record, write_artifact

Logits = NDArray[np.float64]


class FeatureEngine:
    """An engine (see ``model.engines.base``) of a head over kept features: the served path without the encoder."""

    name = "features"

    def __init__(self, store: FeatureStore, head: Head) -> None:
        self._store, self._head = store, head

    def token_scores(self, windows: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        given = [tuple(window) for window in windows]
        self._store.fill(given, "articles")
        return [(self._store.get(window).float() @ self._head.weight.T).numpy() for window in given]

    def bias(self) -> NDArray[np.float32]:
        return np.asarray(self._head.bias.numpy(), dtype=np.float32)


def train_head(run: Run, network: ThemeNetwork, windower: Windower, store: FeatureStore, out: Path) -> Artifact:
    """Train, calibrate, measure and write; a known theme that nobody looked for stays as it was.

    (Nobody looked for it: no own article is labelled as being without it.)
    """
    keys, own, replay = run.taxonomy.keys, run.parts, run.replay
    task = _task(run, store, windower)
    begin = Head(network.head.weight.detach().cpu().clone(), network.bias.detach().cpu().clone())
    items = run.train
    examples = _examples(items, windower, store, keys)

    cut: dict[str, Encoded] = {}

    def answers(head: Head, part: Sequence[Item]) -> Logits:
        """As the served model: the language is detected, not given."""
        served = in_memory(run, None, windower, engine=FeatureEngine(store, head))
        encoded = [cut.get(i.id) or cut.setdefault(i.id, windower.encode(i.article)) for i in part]
        return logits_of(served.predict_encoded(encoded, explain=False), keys)

    held = run.validation
    validate = (lambda head: f1_at_half(held, answers(head, held), keys)) if _chooses(run) else None
    progress(f"training the head on {len(items)} articles…")
    head, history = fit_head(task, begin, examples, validate)
    crossed = _cross_validate(run, task, begin, examples, windower) if run.config.split.folds else None
    progress("calibrating…")
    judged, logits = held, answers(head, held)
    if crossed is not None:
        judged, logits = [*own.train, *held], np.concatenate([crossed, logits])
    kept = {keys[k]: run.start.decisions.themes[keys[k]] for k in task.kept} if run.start else {}
    decisions = fit_decisions(logits, truth_table(judged, keys), keys, label_mask(judged, keys), kept)
    progress("measuring…")
    metrics: dict[str, Any] = {}
    if crossed is not None:
        metrics["cross_validation"] = measure(own.train, crossed, decisions, keys)
    replayed = replay.parts.test if replay else []
    parts = (("validation", held), ("test", own.test), ("unseen", own.unseen), ("replay_test", replayed))
    metrics |= {name: measure(part, answers(head, part), decisions, keys) for name, part in parts if part}
    with torch.no_grad():
        network.head.weight.copy_(head.weight)
        network.bias.copy_(head.bias)
    return write_artifact(run, network, windower, decisions, training_record(run, history, metrics), out, carried(run))


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


def _examples(items: Sequence[Item], windower: Windower, store: FeatureStore, keys: Sequence[str]) -> Examples:
    encoded = [windower.encode(item.article, item.lang) for item in items]
    store.fill((window for e in encoded for window in e.windows), "training articles")
    return Examples(encoded, truth_table(items, keys), label_mask(items, keys))


def _cross_validate(run: Run, task: HeadTask, begin: Head, examples: Examples, windower: Windower) -> Logits:
    """Logits of the user's training articles, each from a head that saw none of its fold; replay joins every fold."""
    keys, own = run.taxonomy.keys, run.parts.train
    replayed = list(range(len(own), len(examples.encoded)))
    out = np.zeros((len(own), len(keys)))
    progress(f"cross-validating on {len(own)} articles…")
    for seen, left in cross_folds(own, keys, run.config.split.folds or 0, run.config.seed):
        head, _ = fit_head(task, begin, examples.take([*seen, *replayed]))
        served = in_memory(run, None, windower, engine=FeatureEngine(task.store, head))
        out[left] = logits_of(predict_items(served, [own[i] for i in left]), keys)
    return out
