"""Artifacts: all of it is checked, and the Auto classes read the same network from it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from model.artifact import PRETRAINED, Artifact
from model.classifier import ThemeClassifier
from model.errors import ArtifactError, ThemewatchError
from model.layout import FORMAT, LAYOUT
from model.text import Article
from tests.conftest import tiny_rows


@pytest.fixture
def copy(tiny_artifact: Artifact, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_artifact.folder, tmp_path / "copy"))


def test_it_declares_what_it_holds(tiny_artifact: Artifact) -> None:
    files = {p.relative_to(tiny_artifact.folder).as_posix() for p in tiny_artifact.folder.rglob("*") if p.is_file()}
    assert {LAYOUT.manifest, LAYOUT.config, LAYOUT.head, LAYOUT.taxonomy, LAYOUT.decisions, LAYOUT.training,
            LAYOUT.card, "adapter/adapter_config.json", "adapter/adapter_model.safetensors"} <= files  # fmt: skip
    record = tiny_artifact.training
    assert record["config"]["seed"] == 1
    assert record["data"]["train"]["items"] > 50
    assert set(record["versions"]) >= {"torch", "transformers", "peft"}
    card = tiny_artifact.card()
    assert f"{record['metrics']['test']['macro_f1']['value']:.3f}" in card


def test_the_released_model_goes_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Artifact.load("released").folder == PRETRAINED
    (tmp_path / "released").mkdir()  # a folder of one's own is what it says
    with pytest.raises(ArtifactError):
        Artifact.load("released")


@pytest.mark.parametrize(
    "name", [LAYOUT.head, LAYOUT.taxonomy, LAYOUT.decisions, LAYOUT.config, "adapter/adapter_model.safetensors"]
)
def test_damage_is_found(copy: Path, name: str) -> None:
    data = bytearray((copy / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / name).write_bytes(bytes(data))
    with pytest.raises(ArtifactError, match=f"{name} is damaged"):
        Artifact.load(copy)
    (copy / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name} is missing"):
        Artifact.load(copy)


def test_foreign_and_newer_folders_are_refused(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="not a themewatch model"):
        Artifact.load(tmp_path)
    manifest = json.loads((copy / LAYOUT.manifest).read_text())
    (copy / LAYOUT.manifest).write_text(json.dumps(manifest | {"format": FORMAT + 1}))
    with pytest.raises(ArtifactError, match="upgrade themewatch"):
        Artifact.load(copy)
    for odd in ("{", json.dumps(manifest | {"format": None}), json.dumps({"kind": "themewatch", "format": 1})):
        (copy / LAYOUT.manifest).write_text(odd)
        with pytest.raises(ArtifactError, match="not a themewatch model"):
            Artifact.load(copy)
    (copy / LAYOUT.manifest).write_text("{")
    with pytest.raises(ArtifactError, match="not a themewatch model"):
        Artifact.load(copy)


def test_another_encoder_is_refused(copy: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(tiny_encoder, tmp_path / "other"))
    tokens = (other / "tokenizer.json").read_text().replace("▁police", "▁polise")
    (other / "tokenizer.json").write_text(tokens)
    manifest = json.loads((copy / LAYOUT.manifest).read_text())
    (copy / LAYOUT.manifest).write_text(json.dumps(manifest | {"backbone": f"path:{other}"}))
    with pytest.raises(ArtifactError, match="another encoder"):
        ThemeClassifier.load(copy)


def test_auto_classes_give_the_networks_logits(tiny_artifact: Artifact) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    tiny = ThemeClassifier.load(tiny_artifact.folder, "onnx-fp32")  # exact: the default may be bf16
    tiny.lexical = None  # words count beside the network
    network = AutoModelForSequenceClassification.from_pretrained(tiny_artifact.folder)
    articles = [Article(str(row["text"])) for row in tiny_rows(12, seed=5)]
    one_window = [a for a in articles if len(tiny.windower.encode(a).windows) == 1]
    assert one_window
    for article in one_window:
        window = tiny.windower.encode(article).windows[0]
        with torch.inference_mode():
            logits = network(input_ids=torch.tensor([window])).logits[0].numpy()
        np.testing.assert_allclose(logits, list(tiny.predict([article])[0].logits.values()), rtol=1e-4, atol=1e-5)


def test_auto_classes_know_us_after_a_plain_import(tiny_artifact: Artifact) -> None:
    code = (
        "import sys, model; assert 'transformers' not in sys.modules and 'torch' not in sys.modules\n"
        "from transformers import AutoModelForSequenceClassification as A\n"
        f"print(type(A.from_pretrained({str(tiny_artifact.folder)!r})).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "ThemeNetwork", done.stderr


def test_the_released_model_is_whole_and_small() -> None:
    artifact = Artifact.load()
    weights = sum(p.stat().st_size for p in PRETRAINED.rglob("*.safetensors"))
    assert weights < 8_000_000
    assert artifact.backbone == "bundled"


def test_every_error_is_one_line() -> None:
    error = ThemewatchError("a\nb", where="f.txt:3", remedy="do c")
    assert str(error) == "f.txt:3: a b; do c"
