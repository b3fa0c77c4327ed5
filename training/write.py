"""A trained network becomes an artifact: measured, recorded, and written in one move."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from model.artifact import Artifact, seal
from model.backbone import backbone_digest
from model.cache import progress
from model.decisions import Decisions
from model.engines.torch_engine import TorchEngine
from model.layout import LAYOUT
from model.lexical import Lexical
from model.network import ThemeNetwork, save_adapter, save_head
from model.windows import Windower
from training.card import write_card
from training.data import Item, digest
from training.graph import export_graph
from training.parity import choose_precision
from training.prepare import Run
from training.report.drift import profile

_HEAD_PARITY = 150  # articles on which engines are compared when only the head was trained: it has to be quick


def write_artifact(
    run: Run, network: ThemeNetwork, windower: Windower, decisions: Decisions, record: dict[str, Any], out: Path,
    lexical: Lexical | None = None,
) -> Artifact:  # fmt: skip
    """Write the folder in one move, replacing one that is there.

    Args:
        record: see ``training_record``.
        lexical: the linear part beside the network, where there is one.
    """
    config = run.config
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    folder.chmod(0o755)
    try:
        network.config.save_pretrained(folder)
        if config.method == "lora":
            save_adapter(network.encoder, folder / LAYOUT.adapter)
        elif run.start is not None and (run.start.folder / LAYOUT.adapter).is_dir():
            shutil.copytree(run.start.folder / LAYOUT.adapter, folder / LAYOUT.adapter, copy_function=shutil.copyfile)
        save_head(network, folder / LAYOUT.head)
        if lexical is not None:
            lexical.save(folder)
            record["linear_part"] = {"pieces": len(lexical.pieces)}
        run.taxonomy.save(folder / LAYOUT.taxonomy)
        write_json(folder / LAYOUT.decisions, decisions.to_dict())
        write_json(folder / LAYOUT.training, record)
        write_card(folder / LAYOUT.card, config, run.taxonomy, record)
        export_engine(run, network, windower, folder)
        facts = {
            "name": config.name, "version": config.version, "backbone": config.backbone,
            "backbone_sha256": backbone_digest(run.encoder), "pooling": config.pooling, "precision": "fp32",
            "windows": windower.config.to_dict(),
        }  # fmt: skip
        progress("comparing the fast engines with the exact one…")
        facts["precision"], record["parity"] = choose_precision(seal(folder, facts), parity_items(run))
        write_json(folder / LAYOUT.training, record)
        write_card(folder / LAYOUT.card, config, run.taxonomy, record)
        seal(folder, facts)
        for path in folder.rglob("*.safetensors"):
            path.chmod(0o644)  # safetensors lets nobody else read: an installed model is for all users
        shutil.rmtree(out, ignore_errors=True)
        folder.rename(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Artifact.load(out)


def parity_items(run: Run) -> list[Item]:
    """Articles on which engines are compared: held out, where there are such."""
    replayed = run.replay.parts.test if run.replay else []
    items = [*run.parts.test, *replayed] or run.validation or run.train
    return items[:_HEAD_PARITY] if run.config.method == "head" else items


def export_engine(run: Run, network: ThemeNetwork, windower: Windower, folder: Path) -> None:
    """Write the weightless graph, and reference answers that each machine's engine is checked by."""
    width = int(network.head.out_features)
    if not export_graph(network.config.backbone_config, width, folder / LAYOUT.graph):
        return
    engine = TorchEngine(network)
    items = (run.validation or run.train)[:4]
    windows = [windower.encode(item.article, item.lang).windows[0][:96] for item in items]
    rows = [
        {"ids": list(window), "scores": np.round(scores.astype(float), 5).tolist()}
        for window, scores in zip(windows, engine.token_scores(windows), strict=True)
    ]
    (folder / LAYOUT.reference).write_text(json.dumps(rows) + "\n", "utf-8")


def training_record(run: Run, history: list[dict[str, float]], metrics: dict[str, Any]) -> dict[str, Any]:
    """Configuration, data digests, versions and metrics: what a reader needs to judge or repeat it.

    ``data`` describes the user's articles (or the corpus) alone, ``replay`` what of the corpus came on top,
    ``start`` the model that training started from.
    """
    parts, start = run.parts, run.start
    named = {"train": parts.train, "validation": parts.validation, "test": parts.test, "unseen": parts.unseen}
    return {
        "config": run.config.model_dump(mode="json", exclude={"taxonomy", "data", "start"}),
        "start": {"name": start.name, "version": start.version, "digest": start.digest} if start else None,
        "own_data": run.own_data,
        "data": {name: _described(items, run.taxonomy.keys) for name, items in named.items()},
        "replay": run.replay.record if run.replay else None,
        "versions": {p: metadata.version(p) for p in ("torch", "transformers", "peft", "tokenizers", "numpy")},
        "history": history,
        "metrics": metrics,
    }


def _described(items: Sequence[Item], keys: Sequence[str]) -> dict[str, Any]:
    return {
        "items": len(items), "sha256": digest(items), "languages": sorted({i.lang for i in items}),
        "profile": profile((i.lang for i in items), (i.article.full_text for i in items)),
        "themes": {k: sum(k in i.themes for i in items) for k in keys},
    }  # fmt: skip


def write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", "utf-8")
