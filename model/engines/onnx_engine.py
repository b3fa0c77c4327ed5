"""ONNX Runtime on the processor: the engine of the light install. Needs neither torch nor transformers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from model.artifact import Artifact
from model.engines.graph import GraphEngine

_FILE = "model.onnx"


class OnnxEngine(GraphEngine):
    """Runs the filled graph in ``fp32`` or ``int8`` (dynamically quantised products)."""

    library: ClassVar[str] = "onnx"

    def __init__(self, file: Path, bias: NDArray[np.float32], precision: str, threads: int | None = None) -> None:
        import onnxruntime

        super().__init__(bias, precision)
        onnxruntime.set_default_logger_severity(3)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or os.cpu_count() or 1
        options.enable_cpu_mem_arena = False  # batches differ in shape: an arena would keep growing
        self._session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    @classmethod
    def version(cls) -> str:
        import onnxruntime

        return str(onnxruntime.__version__)

    @classmethod
    def build(cls, artifact: Artifact, precision: str, folder: Path) -> None:
        from model.engines.fill import fill_graph

        fill_graph(artifact, precision, folder / _FILE)

    @classmethod
    def open(cls, folder: Path, bias: NDArray[np.float32], precision: str, threads: int | None) -> Self:
        return cls(folder / _FILE, bias, precision, threads)

    def run(self, ids: NDArray[np.int64], lengths: NDArray[np.int32]) -> NDArray[np.float32]:
        scores: NDArray[np.float32] = self._session.run(None, {"input_ids": ids, "lengths": lengths})[0]
        return scores
