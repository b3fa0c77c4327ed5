"""Engines: one seam (``Engine``), chosen here.

``auto`` takes the fastest that is installed, at the precision the artifact was released with, checks it
against the recorded reference (once a build), and falls back to the next exact engine, saying so; with CUDA
it takes PyTorch.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from model.artifact import Artifact
from model.cache import progress
from model.engines.base import Engine
from model.engines.graph import GraphEngine, checked
from model.engines.onnx_engine import OnnxEngine
from model.engines.openvino_engine import OpenVinoEngine, has_bf16
from model.errors import EngineError, MissingExtraError
from model.layout import LAYOUT

ENGINES = ("auto", "openvino-bf16", "openvino-fp32", "onnx-int8", "onnx-fp32", "torch")
TOLERANCE = {"fp32": 1e-3, "bf16": 0.03, "int8": 0.35}  # see ``agrees_with_reference``
# By precision of the decisions that must agree with the exact network's, fastest first.
FAST_ENGINES = {"bf16": "openvino-bf16", "int8": "onnx-int8"}
_LIBRARIES: dict[str, type[GraphEngine]] = {"openvino": OpenVinoEngine, "onnx": OnnxEngine}


def load_engine(artifact: Artifact, name: str = "auto", threads: int | None = None) -> Engine:
    """The engine called ``name`` for an artifact; ``auto`` takes the fastest that is right.

    Raises:
        EngineError: no engine of that name, or it cannot serve this artifact.
        MissingExtraError: the engine's library is not installed.
    """
    if name not in ENGINES:
        raise EngineError(f"no engine {name!r}", remedy=f"use one of {', '.join(ENGINES)}")
    if name == "torch" or (name == "auto" and _has_cuda()):
        return _torch(artifact)
    library, _, precision = name.partition("-")
    if library in _LIBRARIES:
        return _LIBRARIES[library].from_artifact(artifact, precision, threads)
    if not (artifact.folder / LAYOUT.graph).is_file():
        return _torch(artifact)
    for library, precision in _candidates(artifact.precision):
        engine = _LIBRARIES[library].from_artifact(artifact, precision, threads)
        if checked(engine, artifact, TOLERANCE[precision]):
            return engine
        progress("taking the next exact engine")
    return _torch(artifact)


def _candidates(released: str) -> list[tuple[str, str]]:
    """Libraries and precisions in the order tried, for an artifact released at a precision."""
    out = [("onnx", released)] if released == "int8" else []
    if importlib.util.find_spec("openvino") is not None:
        out += [("openvino", "bf16")] if released == "bf16" and has_bf16() else []
        out.append(("openvino", "fp32"))
    return [*out, ("onnx", "fp32")]


def _torch(artifact: Artifact) -> Engine:
    try:
        from model.engines.torch_engine import TorchEngine
    except ImportError as error:
        raise MissingExtraError("torch", "train") from error
    return TorchEngine.from_artifact(artifact)


def _has_cuda() -> bool:
    """Whether a CUDA device is there, without importing torch on machines that have none."""
    if not Path("/dev/nvidia0").exists() or importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


__all__ = ["ENGINES", "FAST_ENGINES", "Engine", "load_engine"]
