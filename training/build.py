"""The network a run trains, its augmentation, and the served classifier around a network not written yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file

from model.artifact import Artifact
from model.classifier import ThemeClassifier
from model.decisions import Decisions
from model.engines import Engine
from model.engines.base import bucket
from model.engines.torch_engine import TorchEngine
from model.errors import ConfigError
from model.layout import LAYOUT
from model.lexical import Lexical
from model.network import ThemeConfig, ThemeNetwork
from model.windows import Windower
from training.labels import label_mask
from training.noise import Augmenter, Noise
from training.prepare import Run


def build_network(run: Run, lead: int) -> ThemeNetwork:
    """A network on the run's encoder: fresh, or with adapter and head of the model that training starts from.

    The encoder is frozen but for a LoRA adapter; with ``method: head`` an adapter is merged and frozen too.
    """
    config, keys = run.config, run.taxonomy.keys
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
    adapted = run.start is not None and (run.start.folder / LAYOUT.adapter / "adapter_config.json").is_file()
    if adapted:
        _load_adapter(run, network)
    elif config.method == "lora":
        from peft import LoraConfig, get_peft_model

        adapter = LoraConfig(r=config.lora.rank, lora_alpha=config.lora.alpha, target_modules="all-linear")
        network.encoder = get_peft_model(network.encoder, adapter)
    if run.start is not None:
        _load_head(run.start, network)
    return network


def _load_adapter(run: Run, network: ThemeNetwork) -> None:
    from peft import PeftModel

    assert run.start is not None
    trained = run.config.method == "lora"
    folder = str(run.start.folder / LAYOUT.adapter)
    tuned = cast(Any, PeftModel.from_pretrained(network.encoder, folder, is_trainable=trained))
    network.encoder = tuned if trained else tuned.merge_and_unload()


def _load_head(start: Artifact, network: ThemeNetwork) -> None:
    """The starting model's rows; new themes come after its own, with fresh values and even attention."""
    saved = load_file(start.folder / LAYOUT.head)
    old, new = len(start.taxonomy.keys), len(network.bias)
    with torch.no_grad():
        for first in range(0, len(network.head.weight) // new):  # the values, then the attention
            target = network.head.weight[first * new : (first + 1) * new]
            target[:old] = saved["weight"][first * old : (first + 1) * old].float()
            if first:
                target[old:] = 0.0
        network.bias[:old] = saved["bias"].float()


def check_window(size: int, encoder: Any) -> None:
    """Refuse windows that the encoder has no positions for, as they are padded.

    Raises:
        ConfigError: ``size`` tokens, rounded up to a batch's ``bucket``, are more than the encoder reads.
    """
    most = getattr(encoder, "max_position_embeddings", None)
    if most is not None and bucket(size) > most:
        raise ConfigError(f"windows.size is {size} tokens, and the encoder reads {most}, padding included",
                          where="windows.size", remedy=f"use {most // 32 * 32 or most // 8 * 8} or fewer")  # fmt: skip


def augmenter(run: Run, seed: int | None = None) -> Augmenter:
    """Augmentation with headlines and plain articles of the training part; ``seed`` if not the configuration's."""
    headlines = [(i.lang, i.title) for i in run.train]
    judged = label_mask(run.train, run.taxonomy.keys)
    plain = [(i.lang, i.article) for i, row in zip(run.train, judged, strict=True) if row.all() and not i.themes]
    noise = Noise.load(headlines, "train", plain)
    return Augmenter(run.config.augment, noise, run.config.seed if seed is None else seed)


def in_memory(
    run: Run,
    network: ThemeNetwork | None,
    windower: Windower,
    decisions: Decisions | None = None,
    dtype: torch.dtype | None = None,
    engine: Engine | None = None,
    lexical: Lexical | None = None,
) -> ThemeClassifier:
    """The served classifier around a network that is not written yet, or around ``engine``, with its linear part."""
    config = run.config
    artifact = Artifact(
        folder=Path(), name=config.name, version=config.version, backbone=config.backbone,
        backbone_sha256="", pooling=config.pooling, precision="fp32", windows=windower.config, taxonomy=run.taxonomy,
        decisions=decisions or Decisions.identity(run.taxonomy.keys), training={}, digest="",
    )  # fmt: skip
    if engine is None:
        assert network is not None
        engine = TorchEngine(network, dtype=dtype)
    return ThemeClassifier(artifact, engine, windower, lexical)
