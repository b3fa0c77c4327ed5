"""OpenVINO on the processor: the fastest engine measured (``tests/benchmarks/throughput.py``). Extra ``[score]``."""

from __future__ import annotations

import os
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from model.artifact import Artifact
from model.engines.graph import GraphEngine
from model.errors import EngineError, MissingExtraError

_FILE = "model.xml"
_SHAPES = 32  # input shapes kept prepared; OpenVINO's own 5,000 let memory grow for hours, and are no faster
_HINTS = {"fp32": "f32", "bf16": "bf16"}


class OpenVinoEngine(GraphEngine):
    """Runs the filled graph in ``bf16``, where the processor has instructions for it, or in ``fp32``."""

    library: ClassVar[str] = "openvino"

    def __init__(self, file: Path, bias: NDArray[np.float32], precision: str, threads: int | None = None) -> None:
        super().__init__(bias, precision)
        core = _core()
        if precision == "bf16" and not has_bf16():
            raise EngineError("this processor has no bf16 instructions", remedy="use --engine openvino-fp32")
        options = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision], "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads or os.cpu_count() or 1, "ENABLE_HYPER_THREADING": True,
            "CPU_RUNTIME_CACHE_CAPACITY": _SHAPES,
        }  # fmt: skip
        self._compiled = core.compile_model(core.read_model(file), "CPU", options)
        self._idle: SimpleQueue[Any] = SimpleQueue()  # requests; each serves one caller at a time
        self._idle.put(self._compiled.create_infer_request())

    @classmethod
    def version(cls) -> str:
        try:
            import openvino
        except ImportError as error:
            raise MissingExtraError("openvino", "score") from error
        return str(openvino.__version__)

    @classmethod
    def build(cls, artifact: Artifact, precision: str, folder: Path) -> None:
        """Fill the graph as ONNX and keep it in OpenVINO's own format, which opens faster."""
        import openvino

        from model.engines.fill import fill_graph

        filled = folder / "filled.onnx"
        fill_graph(artifact, "fp32", filled)
        model = _core().read_model(filled)
        openvino.save_model(model, folder / _FILE, compress_to_fp16=precision != "fp32")
        del model
        filled.unlink()

    @classmethod
    def open(cls, folder: Path, bias: NDArray[np.float32], precision: str, threads: int | None) -> Self:
        return cls(folder / _FILE, bias, precision, threads)

    def run(self, ids: NDArray[np.int64], lengths: NDArray[np.int32]) -> NDArray[np.float32]:
        try:
            request = self._idle.get_nowait()
        except Empty:  # another thread is at work
            request = self._compiled.create_infer_request()
        try:
            answer = request.infer({"input_ids": ids, "lengths": lengths})
            scores: NDArray[np.float32] = np.array(answer[0])  # the request's buffer is used again
        finally:
            self._idle.put(request)
        return scores


def has_bf16() -> bool:
    """Whether the processor multiplies bf16 numbers itself."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _core() -> Any:
    import openvino

    return openvino.Core()
