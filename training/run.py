"""From labelled data to an artifact: the whole pipeline, in the order it happens."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model.artifact import Artifact
from model.network import ThemeNetwork
from model.windows import Windower
from training.build import augmenter, build_network, check_window, in_memory
from training.checkpoint import Checkpoint
from training.data import Item, digest
from training.features import FeatureStore, encoder_key
from training.head_run import train_head
from training.labels import label_mask
from training.masked import MaskedTrainer
from training.measure import calibrate, f1_at_half, logits_of
from training.prepare import Run, prepare
from training.reliable import with_reliable_negatives
from training.table import predict_items
from training.trainer import Trainer, precision
from training.write import training_record, write_artifact


def train(run: Run, out: Path) -> Artifact:
    """Train, calibrate, evaluate and write the artifact ``out`` (replacing one that is there)."""
    torch.manual_seed(run.config.seed)
    windower = Windower.from_folder(run.encoder, run.config.windows.build())
    network = build_network(run, windower.lead)
    check_window(windower.config.size, network.encoder.config)
    if run.config.method == "head" or (run.replay and run.replay.unknown):
        store = feature_store(run, network)
        if run.replay:
            replay = with_reliable_negatives(run.replay, run.parts.train, run.taxonomy.keys, store, windower)
            run = replace(run, replay=replay)
        if run.config.method == "head":
            return train_head(run, network, windower, store, out)
    return train_adapter(run, network, windower, out)


def train_adapter(run: Run, network: ThemeNetwork, windower: Windower, out: Path) -> Artifact:
    """Train head and LoRA adapter; an interrupted run goes on from its checkpoint."""
    config, keys = run.config, run.taxonomy.keys
    trained_in = precision(config.precision, "cuda" if torch.cuda.is_available() else "cpu")
    served = in_memory(run, network, windower, dtype=trained_in)

    def validate() -> dict[str, float]:
        results = served.predict([i.article for i in run.validation], explain=False)
        return {"macro_f1": f1_at_half(run.validation, logits_of(results, keys), keys)}

    checkpoint = Checkpoint(out.with_name(f".{out.name}.checkpoint"), identity(run))
    kind = Trainer if label_mask(run.train, keys).all() else MaskedTrainer
    history = kind(config, network, windower, keys, augmenter(run), validate, checkpoint).fit(run.train)

    def answers(items: list[Item]) -> NDArray[np.float64]:
        return logits_of(predict_items(served, items), keys)

    decisions, metrics = calibrate(run, answers)
    record = training_record(run, history, metrics)
    artifact = write_artifact(run, network, windower, decisions, record, out)
    checkpoint.remove()
    return artifact


def feature_store(run: Run, network: ThemeNetwork) -> FeatureStore:
    """The cache of what the run's encoder, as it is before training, makes of windows."""
    dtype = precision(run.config.precision, "cuda" if torch.cuda.is_available() else "cpu")
    return FeatureStore(
        network.encoder, encoder_key(run.encoder, run.start, dtype), dtype, run.config.features.limit_gb
    )


def identity(run: Run) -> str:
    """Ties a checkpoint to configuration, data and starting model."""
    settings = run.config.model_dump_json(exclude={"start": True, "replay": True, "features": True, "split": {"folds"}})
    start = run.start.digest if run.start else ""
    labels = "" if (mask := label_mask(run.train, run.taxonomy.keys)).all() else mask.tobytes().hex()
    text = settings + digest(run.train) + json.dumps(run.taxonomy.keys) + start + labels
    return hashlib.sha256(text.encode()).hexdigest()


__all__ = ["Run", "augmenter", "build_network", "in_memory", "prepare", "train", "training_record"]
