"""A tiny real model for all tests: random weights, built in memory, trained and saved like any other."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from model.artifact import Artifact
from model.classifier import ThemeClassifier
from model.taxonomy import Taxonomy

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"
WORDS = {
    "sextortion": "blackmail intimate images threatened publish demand",
    "livestreamed_abuse": "webcam stream viewers ordered remote clients",
    "trafficking_recruitment": "recruiter lured promised false job abroad",
    "crypto_laundering": "mixer wallet laundered coins proceeds broker",
}
PLAIN = "the a of in police court city report people said year council match rain school market team minister"


@pytest.fixture(scope="session", autouse=True)
def _offline() -> Iterator[None]:
    """No test may fetch anything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("TRANSFORMERS_OFFLINE", "1")
        yield


@pytest.fixture(scope="session")
def taxonomy() -> Taxonomy:
    return Taxonomy.load(ROOT / "configs" / "themes.yaml")


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer encoder with random weights and a small unigram tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("encoder")
    words = sorted({w for text in [*WORDS.values(), PLAIN] for w in text.split()} | {"query:"})
    letters = [chr(c) for c in range(33, 127)] + [chr(c) for c in range(0x430, 0x450)] + ["▁"]
    vocabulary = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    vocabulary += [(f"▁{w}", -3.0) for w in words] + [(c, -8.0) for c in letters]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=80, pad_token_id=1,
    )  # fmt: skip
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def tiny_rows(count: int = 320, seed: int = 0, languages: tuple[str, ...] = ("en", "fr")) -> list[dict[str, Any]]:
    """Labelled toy articles: plain words, plus a few of a theme's words where it is carried."""
    rng = random.Random(seed)
    rows = []
    for i in range(count):
        themes = [key for key in WORDS if rng.random() < 0.25]
        sentences = []
        for key in [*themes, "", "", ""]:
            words = rng.choices(PLAIN.split(), k=6) + (rng.choices(WORDS[key].split(), k=4) if key else [])
            sentences.append(" ".join(words) + ".")
        rng.shuffle(sentences)
        rows.append(
            {"id": f"t{seed}-{i}", "story": f"s{seed}-{i}", "lang": languages[i % len(languages)],
             "title": "", "text": " ".join(sentences), "themes": themes}
        )  # fmt: skip
    return rows


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jsonl(tmp_path_factory.mktemp("data") / "tiny.jsonl", tiny_rows())


def tiny_settings(encoder: Path, data: Path, **changes: Any) -> dict[str, Any]:
    """A training configuration for the tiny encoder."""
    settings: dict[str, Any] = {
        "name": "tiny", "backbone": f"path:{encoder}", "taxonomy": str(ROOT / "configs" / "themes.yaml"),
        "data": [str(data)], "pooling": "attention", "lora": {"rank": 4, "alpha": 8},
        "windows": {"size": 64, "overlap": 12, "limit": 8},
        "optimizer": {"learning_rate": 1e-2, "head_learning_rate": 4e-2, "epochs": 10, "patience": 10},
        "augment": dict.fromkeys(("capitals", "ocr", "crop", "page", "headlines"), 0.0),
        "split": {"validation": 0.2, "test": 0.2},
    }  # fmt: skip
    return settings | changes


@pytest.fixture(scope="session")
def tiny_config(tiny_encoder: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny_settings(tiny_encoder, tiny_data)), "utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_artifact(tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The tiny model, trained by the real pipeline."""
    from training.config import load_config
    from training.run import prepare, train

    return train(prepare(load_config(tiny_config)), tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny(tiny_artifact: Artifact) -> ThemeClassifier:
    return ThemeClassifier.load(tiny_artifact.folder)
