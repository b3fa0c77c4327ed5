"""From labelled data to an artifact: the whole pipeline, in the order it happens."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model.artifact import Artifact
from model.classifier import ThemeClassifier
from model.errors import ConfigError
from model.network import ThemeNetwork
from model.windows import Windower
from training.build import augmenter, build_network, check_window, in_memory
from training.checkpoint import Checkpoint
from training.data import Item, digest
from training.features import FeatureStore, encoder_key
from training.head_run import train_head
from training.labels import label_mask
from training.lexical import carried, fit_lexical, wanted
from training.masked import MaskedTrainer
from training.measure import calibrate, calibrated_log_loss, f1_at_half, logits_of
from training.prepare import Run, prepare
from training.processes import Processes
from training.reliable import with_reliable_negatives
from training.soup import Weights, blended, copied, draw_back, put, serve_best, settle_blend
from training.table import predict_items
from training.tracking import Log, log_metrics, open_log
from training.trainer import Trainer, precision
from training.write import training_record, write_artifact


def train(run: Run, out: Path, log: Path | None = None) -> Artifact:
    """Train, calibrate, evaluate and write the artifact ``out`` (replacing one that is there).

    Args:
        run: what ``prepare`` gives.
        out: the model folder.
        log: a folder for TensorBoard's curves.

    Raises:
        ConfigError: the windows are longer than the encoder reads, or several processes are to train a head.
        MissingExtraError: ``log`` is given, and TensorBoard is not installed.
    """
    processes = Processes.join()
    curves = open_log(log if processes.first else None)
    try:
        artifact = _train(run, out, processes, curves)
        log_metrics(curves, artifact.training["metrics"])
    finally:
        curves.close()
        processes.leave()
    return artifact


def _train(run: Run, out: Path, processes: Processes, log: Log) -> Artifact:
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
            if run.config.runs > 1:
                raise ConfigError("a head is trained once", where="runs", remedy="leave it at 1, or use method: lora")
            if run.config.lexical != "auto":
                raise ConfigError("a head leaves the linear part as it is", where="lexical", remedy="leave it out")
            if processes.count > 1:
                raise ConfigError("a head is trained by one process", where="method: head", remedy="start it alone")
            return train_head(run, network, windower, store, out)
    return train_adapter(run, network, windower, out, processes, log)


def train_adapter(
    run: Run, network: ThemeNetwork, windower: Windower, out: Path, processes: Processes, log: Log
) -> Artifact:
    """Train head and LoRA adapter; an interrupted run goes on from its checkpoint."""
    config, keys = run.config, run.taxonomy.keys
    if run.fresh and run.start and config.lora.blend != 1:
        raise ConfigError("new themes have no weights to blend with", where="lora.blend", remedy="leave it at 1")
    trained_in = precision(config.precision, "cuda" if torch.cuda.is_available() else "cpu")
    kind = Trainer if label_mask(run.train, keys).all() else MaskedTrainer
    checkpoints: list[Checkpoint] = []
    history: list[dict[str, float]] = []
    weights: list[Weights] = []
    for number in range(config.runs):
        if number:
            torch.manual_seed(config.seed)  # the same beginning; order and augmentation differ
            network = build_network(run, windower.lead)
        served = in_memory(run, network, windower, dtype=trained_in, lexical=carried(run))
        validate = partial(_validate, run, served)
        name = f".{out.name}.checkpoint" + (f"-{number + 1}" if number else "")
        checkpoints.append(Checkpoint(out.with_name(name), identity(run)))
        settings = config.model_copy(update={"seed": config.seed + number})
        augment = augmenter(run, settings.seed)
        trainer = kind(settings, network, windower, keys, augment, validate, checkpoints[-1], processes, log)
        before = copied(trainer.parameters)
        history += [({"run": number + 1} if config.runs > 1 else {}) | epoch for epoch in trainer.fit(run.train)]
        weights.append(copied(trainer.parameters))
    if not processes.first:
        processes.wait()  # for the first one to write the model
        return Artifact.load(out)
    if config.runs > 1:
        history.append(serve_best(trainer.parameters, weights, lambda: validate()["macro_f1"]))
    if run.start is None:
        draw_back(trainer.parameters, config.lora.share)
    elif isinstance(config.lora.blend, str):
        history.append(settle_blend(trainer.parameters, before, partial(_loss, run, served)))
    else:
        put(trainer.parameters, blended(before, copied(trainer.parameters), config.lora.blend))
    if wanted(run):
        held = logits_of(predict_items(served, run.validation), run.taxonomy.keys)
        served.lexical, losses = fit_lexical(run, windower, held)
        history.append(losses)
    artifact = finish(run, network, windower, history, out, served)
    for checkpoint in checkpoints:
        checkpoint.remove()
    processes.wait()
    return artifact


def finish(
    run: Run,
    network: ThemeNetwork,
    windower: Windower,
    history: list[dict[str, float]],
    out: Path,
    served: ThemeClassifier,
) -> Artifact:
    """Calibrate and measure a trained network as it will be served, and write its artifact."""
    keys = run.taxonomy.keys

    def answers(items: list[Item]) -> NDArray[np.float64]:
        return logits_of(predict_items(served, items), keys)

    decisions, metrics = calibrate(run, answers)
    record = training_record(run, history, metrics)
    return write_artifact(run, network, windower, decisions, record, out, served.lexical)


def _validate(run: Run, served: ThemeClassifier) -> dict[str, float]:
    keys = run.taxonomy.keys
    results = served.predict([i.article for i in run.validation], explain=False)
    return {"macro_f1": f1_at_half(run.validation, logits_of(results, keys), keys)}


def _loss(run: Run, served: ThemeClassifier) -> float:
    keys = run.taxonomy.keys
    return calibrated_log_loss(run.validation, logits_of(predict_items(served, run.validation), keys), keys)


def feature_store(run: Run, network: ThemeNetwork) -> FeatureStore:
    """The cache of what the run's encoder, as it is before training, makes of windows."""
    dtype = precision(run.config.precision, "cuda" if torch.cuda.is_available() else "cpu")
    return FeatureStore(
        network.encoder, encoder_key(run.encoder, run.start, dtype), dtype, run.config.features.limit_gb
    )


def identity(run: Run) -> str:
    """Ties a checkpoint to configuration, data and starting model, not to names and what is settled afterwards."""
    left_out: Any = dict.fromkeys(("name", "version", "start", "replay", "features", "runs", "lexical"), True)
    settings = run.config.model_dump_json(exclude=left_out | {"split": {"folds"}, "lora": {"share", "blend"}})
    start = run.start.digest if run.start else ""
    labels = "" if (mask := label_mask(run.train, run.taxonomy.keys)).all() else mask.tobytes().hex()
    text = settings + digest(run.train) + json.dumps(run.taxonomy.keys) + start + labels
    return hashlib.sha256(text.encode()).hexdigest()


__all__ = ["Run", "augmenter", "build_network", "in_memory", "prepare", "train", "training_record"]
