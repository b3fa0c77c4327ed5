"""The default engine: ONNX Runtime on the processor. Needs neither torch nor transformers."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from model.artifact import Artifact
from model.cache import build_once, progress
from model.engines.base import batches
from model.errors import EngineError
from model.layout import LAYOUT

_BUDGET = 4096  # padded tokens a batch: enough to keep two cores busy, small enough for their caches
_FILE = "model.onnx"


class OnnxEngine:
    """Runs the filled graph."""

    def __init__(self, file: Path, bias: NDArray[np.float32], name: str, threads: int | None = None) -> None:
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or os.cpu_count() or 1
        options.enable_cpu_mem_arena = False  # batches differ in shape: an arena would keep growing
        self.name = name
        self._bias = bias
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    @classmethod
    def from_artifact(cls, artifact: Artifact, precision: str, threads: int | None = None) -> OnnxEngine:
        """Build (once, into the cache) and open the engine of an artifact.

        Raises:
            EngineError: the artifact has no graph, or its answers differ from the reference.
            CacheError: the cache cannot be written.
        """
        if not (artifact.folder / LAYOUT.graph).is_file():
            raise EngineError("the model has no ONNX graph", where=artifact.folder, remedy="use --engine torch")
        bias = load_file(artifact.folder / LAYOUT.head)["bias"].astype(np.float32)

        def build(folder: Path) -> None:
            from model.engines.fill import fill_graph

            fill_graph(artifact, precision, folder / _FILE)

        what = f"the {precision} engine of {artifact.name} {artifact.version}"
        folder = build_once(f"engines/{engine_key(artifact, precision)}", build, what)
        return cls(folder / _FILE, bias, f"onnx-{precision}", threads)

    def token_scores(self, windows: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        out: list[NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(windows)
        for group in batches([len(w) for w in windows], _BUDGET):
            lengths = np.asarray([len(windows[i]) for i in group], dtype=np.int32)
            ids = np.ones((len(group), int(lengths.max())), dtype=np.int64)
            for row, index in enumerate(group):
                ids[row, : lengths[row]] = windows[index]
            (scores,) = self._session.run(None, {"input_ids": ids, "lengths": lengths})
            for row, index in enumerate(group):
                out[index] = scores[row, : lengths[row]]
        return out

    def bias(self) -> NDArray[np.float32]:
        return self._bias


def engine_key(artifact: Artifact, precision: str) -> str:
    """Names one engine: artifact, ONNX Runtime's version and the processor's abilities."""
    import onnxruntime

    parts = [artifact.digest, onnxruntime.__version__, precision, processor_features()]
    return f"{artifact.name}-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:16]}"


def processor_features() -> str:
    """The processor's instruction sets, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith(("flags", "Features")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    import platform

    return f"{platform.machine()} {platform.processor()}"


def agrees_with_reference(engine: OnnxEngine, artifact: Artifact, tolerance: float) -> bool:
    """Whether the engine gives the recorded token scores of the reference windows, up to ``tolerance``.

    ``tolerance`` bounds the root mean square of the difference over that of the reference.
    """
    recorded = json.loads((artifact.folder / LAYOUT.reference).read_text("utf-8"))
    scores = engine.token_scores([row["ids"] for row in recorded])
    for mine, row in zip(scores, recorded, strict=True):
        reference = np.asarray(row["scores"], dtype=np.float32)
        difference = np.sqrt(np.mean(np.square(mine - reference)))
        if not difference <= tolerance * np.sqrt(np.mean(np.square(reference))):
            progress(f"the {engine.name} engine differs from the reference on this machine by {difference:.2g}")
            return False
    return True
