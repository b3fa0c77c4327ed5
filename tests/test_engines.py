"""Engines give the same answers; the fast one needs no torch and is checked where it runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from model.artifact import Artifact
from model.classifier import ThemeClassifier
from model.engines import load_engine
from model.engines.base import batches, bucket, padded
from model.engines.graph import GraphEngine, agrees_with_reference
from model.engines.openvino_engine import has_bf16
from model.errors import EngineError
from model.layout import LAYOUT
from tests.conftest import tiny_rows

TEXTS = [str(row["text"]) for row in tiny_rows(20, seed=3)] + ["police said rain. " * 60]


@pytest.fixture(scope="module")
def logits(tiny_artifact: Artifact) -> NDArray[np.float64]:
    results = ThemeClassifier.load(tiny_artifact.folder, engine="torch").predict(TEXTS)
    return np.asarray([list(r.logits.values()) for r in results])


@pytest.mark.parametrize(("engine", "tolerance"), [("onnx-fp32", 1e-3), ("onnx-int8", 0.5), ("openvino-fp32", 1e-3)])
def test_engines_agree(tiny_artifact: Artifact, logits: NDArray[np.float64], engine: str, tolerance: float) -> None:
    results = ThemeClassifier.load(tiny_artifact.folder, engine=engine).predict(TEXTS)
    mine = np.asarray([list(r.logits.values()) for r in results])
    assert np.sqrt(np.mean((mine - logits) ** 2)) <= tolerance * np.sqrt(np.mean(logits**2))


def test_bf16_agrees_where_the_processor_has_it(tiny_artifact: Artifact, logits: NDArray[np.float64]) -> None:
    if not has_bf16():
        with pytest.raises(EngineError, match="no bf16 instructions"):
            load_engine(tiny_artifact, "openvino-bf16")
        return
    results = ThemeClassifier.load(tiny_artifact.folder, engine="openvino-bf16").predict(TEXTS)
    mine = np.asarray([list(r.logits.values()) for r in results])
    assert np.sqrt(np.mean((mine - logits) ** 2)) <= 0.05 * np.sqrt(np.mean(logits**2))


def test_a_network_in_training_answers_without_dropout(tiny_artifact: Artifact) -> None:
    from model.engines.torch_engine import TorchEngine

    engine = TorchEngine.from_artifact(tiny_artifact)
    windows = [[5, 9, 14, 20, 7], [6, 8, 11]]
    before = engine.token_scores(windows)
    engine.network.train()
    for one, other in zip(before, engine.token_scores(windows), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("engine", ["openvino-fp32", "onnx-fp32", "torch"])
def test_threads_may_ask_at_once(tiny_artifact: Artifact, engine: str) -> None:
    classifier = ThemeClassifier.load(tiny_artifact.folder, engine=engine)
    alone = [classifier.predict([text])[0].logits for text in TEXTS]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda text: classifier.predict([text])[0].logits, TEXTS * 3))
    assert together == alone * 3


def test_openvino_is_the_default_where_it_is_installed(
    tiny_artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_engine(tiny_artifact).name.startswith("openvino-")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert load_engine(tiny_artifact).name == "onnx-fp32"


def test_the_graph_carries_no_weights(tiny_artifact: Artifact) -> None:
    assert (tiny_artifact.folder / LAYOUT.graph).stat().st_size < 1_000_000


def test_a_wrong_build_is_noticed_and_replaced(
    tiny_artifact: Artifact, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(tiny_artifact.folder, tmp_path / "copy"))
    rows = json.loads((folder / LAYOUT.reference).read_text())
    rows[0]["scores"][0][0] += 50.0
    (folder / LAYOUT.reference).write_text(json.dumps(rows))
    engine = load_engine(_resealed(folder))
    assert engine.name == "torch"
    assert "differs from the reference" in capfd.readouterr().err


def test_a_build_is_checked_once(tiny_artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEMEWATCH_CACHE", str(tmp_path))
    asked: list[str] = []

    def agrees(engine: GraphEngine, artifact: Artifact, tolerance: float) -> bool:
        asked.append(engine.name)
        return agrees_with_reference(engine, artifact, tolerance)

    monkeypatch.setattr("model.engines.graph.agrees_with_reference", agrees)
    name = load_engine(tiny_artifact).name
    assert load_engine(tiny_artifact).name == name
    assert asked == [name]
    damaged = next(path for path in tmp_path.glob("engines/*/model.*") if path.suffix in (".bin", ".onnx"))
    damaged.unlink()
    assert load_engine(tiny_artifact).name == name  # made again, so checked again
    assert asked == [name, name]


def test_without_a_graph_torch_serves(tiny_artifact: Artifact, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_artifact.folder, tmp_path / "copy"))
    (folder / LAYOUT.graph).unlink()
    artifact = _resealed(folder)
    assert load_engine(artifact).name == "torch"
    with pytest.raises(EngineError, match="no ONNX graph"):
        load_engine(artifact, "onnx-fp32")
    with pytest.raises(EngineError, match="use one of"):
        load_engine(artifact, "abacus")


def _resealed(folder: Path) -> Artifact:
    from model.artifact import seal

    manifest = json.loads((folder / LAYOUT.manifest).read_text())
    return seal(folder, {k: v for k, v in manifest.items() if k not in ("files", "kind", "format", "written_by")})


def test_scoring_imports_neither_torch_nor_transformers(tiny_artifact: Artifact) -> None:
    code = (
        "import sys; from model import ThemeClassifier\n"
        f"ThemeClassifier.load({str(tiny_artifact.folder)!r}).predict(['police said rain'])\n"
        "print([m for m in ('torch', 'transformers', 'sklearn', 'pandas', 'gradio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=os.environ)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("budget", [10, 64, 1000])
def test_batches_hold_everything_once_within_budget(budget: int) -> None:
    lengths = [3, 60, 9, 9, 12, 1, 33, 7, 7, 64]
    groups = batches(lengths, budget, bucket)
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    assert all(len(g) * bucket(max(lengths[i] for i in g)) <= budget or len(g) == 1 for g in groups)


def test_windows_of_any_length_are_padded_to_few_lengths() -> None:
    buckets = {bucket(n) for n in range(1, 513)}
    assert len(buckets) == 24
    assert max(buckets) == 512
    assert all(n <= bucket(n) < n + 32 for n in range(1, 513))
    ids, lengths = padded([[5] * 33, [6] * 3], bucket)
    assert ids.shape == (2, 40)
    assert lengths.tolist() == [33, 3]
    assert ids[1, 2] == 6
    assert padded([[5] * 33, [6] * 3])[0].shape == (2, 33)
    assert set(ids[1, 3:]) == {1}
