"""From labelled data to an artifact: the whole pipeline, in the order it happens."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.artifact import Artifact, seal
from model.backbone import backbone_digest, resolve_backbone
from model.cache import progress
from model.classifier import ThemeClassifier
from model.decisions import Decisions
from model.engines.torch_engine import TorchEngine
from model.errors import DataError
from model.layout import LAYOUT
from model.network import ThemeConfig, ThemeNetwork, save_adapter, save_head
from model.taxonomy import Taxonomy
from model.windows import Windower
from training.calibrate import fit_decisions
from training.card import write_card
from training.checkpoint import Checkpoint
from training.config import CORPUS, TrainConfig
from training.data import Item, digest, load_items
from training.graph import export_graph
from training.metrics import macro_f1
from training.noise import Augmenter, Noise
from training.parity import choose_precision
from training.report.drift import profile
from training.splits import Parts, split_items
from training.table import evaluate_items, truth_table
from training.trainer import Trainer, precision


@dataclass(frozen=True)
class Run:
    """What a run works on."""

    config: TrainConfig
    taxonomy: Taxonomy
    parts: Parts
    encoder: Path


def prepare(config: TrainConfig, data: list[Path] | None = None) -> Run:
    """Read taxonomy and data, split, and find the encoder.

    Raises:
        DataError, ConfigError, BackboneError: see there.
    """
    taxonomy = Taxonomy.load(config.taxonomy)
    items = load_items(data or list(config.data) or [CORPUS], taxonomy.keys)
    for key in taxonomy.keys:
        found = sum(key in item.themes for item in items)
        if found < 8:
            raise DataError(
                f"theme {key!r} has {found} articles, and splitting needs at least 8",
                remedy="label more of them, or take the theme out of the taxonomy",
            )
    parts = split_items(items, config.split, config.seed)
    return Run(config, taxonomy, parts, resolve_backbone(config.backbone))


def train(run: Run, out: Path) -> Artifact:
    """Train, calibrate, evaluate and write the artifact ``out`` (replacing one that is there)."""
    config, parts, keys = run.config, run.parts, run.taxonomy.keys
    torch.manual_seed(config.seed)
    windower = Windower.from_folder(run.encoder, config.windows.build())
    network = build_network(run, windower.lead)
    trained_in = precision(config.precision, "cuda" if torch.cuda.is_available() else "cpu")
    served = in_memory(run, network, windower, dtype=trained_in)

    def validate() -> dict[str, float]:
        results = served.predict([i.article for i in parts.validation], explain=False)
        truth = truth_table(parts.validation, keys)
        said = np.asarray([[r.logits[k] > 0 for k in keys] for r in results])
        return {"macro_f1": macro_f1(truth, said, [i.story for i in parts.validation]).value}

    identity = hashlib.sha256((config.model_dump_json() + digest(parts.train) + json.dumps(keys)).encode()).hexdigest()
    checkpoint = Checkpoint(out.with_name(f".{out.name}.checkpoint"), identity)
    trainer = Trainer(config, network, windower, keys, augmenter(run), validate, checkpoint)
    history = trainer.fit(parts.train)
    artifact = write_artifact(run, network, windower, history, out)
    checkpoint.remove()
    return artifact


def build_network(run: Run, lead: int) -> ThemeNetwork:
    """A fresh network on the run's encoder, with LoRA unless only the head is trained."""
    config = run.config
    keys = run.taxonomy.keys
    network = ThemeNetwork.from_backbone(
        ThemeConfig(
            backbone=config.backbone,
            pooling=config.pooling,
            lead=lead,
            head_dropout=config.head_dropout,
            id2label=dict(enumerate(keys)),
            label2id={k: i for i, k in enumerate(keys)},
            problem_type="multi_label_classification",
        )
    )
    network.encoder.requires_grad_(False)
    if config.method == "lora":
        from peft import LoraConfig, get_peft_model

        adapter = LoraConfig(r=config.lora.rank, lora_alpha=config.lora.alpha, target_modules="all-linear")
        network.encoder = get_peft_model(network.encoder, adapter)
    return network


def augmenter(run: Run) -> Augmenter:
    """Augmentation with headlines of the training part."""
    headlines = [(i.lang, i.title) for i in run.parts.train]
    return Augmenter(run.config.augment, Noise.load(headlines, "train"), run.config.seed)


def in_memory(
    run: Run,
    network: ThemeNetwork,
    windower: Windower,
    decisions: Decisions | None = None,
    dtype: torch.dtype | None = None,
) -> ThemeClassifier:
    """The served classifier around a network that is not written yet."""
    config = run.config
    artifact = Artifact(
        folder=Path(), name=config.name, version=config.version, backbone=config.backbone,
        backbone_sha256="", pooling=config.pooling, precision="fp32", windows=windower.config, taxonomy=run.taxonomy,
        decisions=decisions or Decisions.identity(run.taxonomy.keys), training={}, digest="",
    )  # fmt: skip
    return ThemeClassifier(artifact, TorchEngine(network, dtype=dtype), windower)


def write_artifact(
    run: Run, network: ThemeNetwork, windower: Windower, history: list[dict[str, float]], out: Path
) -> Artifact:
    """Calibrate on validation data, measure on test data, and write the folder in one move."""
    config, parts, keys = run.config, run.parts, run.taxonomy.keys
    progress("calibrating on validation data…")
    served = in_memory(run, network, windower)
    results = served.predict([i.article for i in parts.validation], explain=False)
    logits = np.asarray([[r.logits[k] for k in keys] for r in results])
    decisions = fit_decisions(logits, truth_table(parts.validation, keys), keys)
    final = in_memory(run, network, windower, decisions)
    progress("measuring on the held-out test part…")
    metrics: dict[str, Any] = {
        name: evaluate_items(final, part)
        for name, part in (("validation", parts.validation), ("test", parts.test), ("unseen", parts.unseen))
        if part
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    folder.chmod(0o755)
    try:
        network.config.save_pretrained(folder)
        if config.method == "lora":
            save_adapter(network.encoder, folder / LAYOUT.adapter)
        save_head(network, folder / LAYOUT.head)
        run.taxonomy.save(folder / LAYOUT.taxonomy)
        _write_json(folder / LAYOUT.decisions, decisions.to_dict())
        record = training_record(run, history, metrics)
        _write_json(folder / LAYOUT.training, record)
        write_card(folder / LAYOUT.card, config, run.taxonomy, record)
        export_engine(run, network, windower, folder)
        facts = {
            "name": config.name, "version": config.version, "backbone": config.backbone,
            "backbone_sha256": backbone_digest(run.encoder), "pooling": config.pooling, "precision": "fp32",
            "windows": windower.config.to_dict(),
        }  # fmt: skip
        progress("comparing the fast engines with the exact one…")
        facts["precision"], record["parity"] = choose_precision(seal(folder, facts), parts.test or parts.validation)
        _write_json(folder / LAYOUT.training, record)
        write_card(folder / LAYOUT.card, config, run.taxonomy, record)
        seal(folder, facts)
        shutil.rmtree(out, ignore_errors=True)
        folder.rename(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Artifact.load(out)


def export_engine(run: Run, network: ThemeNetwork, windower: Windower, folder: Path) -> None:
    """Write the weightless graph, and reference answers that each machine's engine is checked by."""
    width = int(network.head.out_features)
    if not export_graph(network.config.backbone_config, width, folder / LAYOUT.graph):
        return
    engine = TorchEngine(network)
    windows = [windower.encode(item.article, item.lang).windows[0][:96] for item in run.parts.validation[:4]]
    rows = [
        {"ids": list(window), "scores": np.round(scores.astype(float), 5).tolist()}
        for window, scores in zip(windows, engine.token_scores(windows), strict=True)
    ]
    (folder / LAYOUT.reference).write_text(json.dumps(rows) + "\n", "utf-8")


def training_record(run: Run, history: list[dict[str, float]], metrics: dict[str, Any]) -> dict[str, Any]:
    """Configuration, data digests, versions and metrics: what a reader needs to judge or repeat it."""
    parts = run.parts
    named: dict[str, list[Item]] = {
        "train": parts.train, "validation": parts.validation, "test": parts.test, "unseen": parts.unseen,
    }  # fmt: skip
    config = run.config.model_dump(mode="json", exclude={"taxonomy", "data"})
    return {
        "config": config,
        "data": {
            name: {
                "items": len(items),
                "sha256": digest(items),
                "languages": sorted({i.lang for i in items}),
                "profile": profile((i.lang for i in items), (i.article.full_text for i in items)),
                "themes": {k: sum(k in i.themes for i in items) for k in run.taxonomy.keys},
            }
            for name, items in named.items()
        },
        "versions": {p: metadata.version(p) for p in ("torch", "transformers", "peft", "tokenizers", "numpy")},
        "history": history,
        "metrics": metrics,
    }


def with_overrides(run: Run, **changes: Any) -> Run:
    """The same data and encoder under a changed configuration (sweeps)."""
    return replace(run, config=run.config.model_copy(update=changes))


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf-8")
