"""Engines: one seam (``Engine``), chosen here."""

from __future__ import annotations

from model.artifact import Artifact
from model.engines.base import Engine
from model.errors import EngineError, MissingExtraError

ENGINES = ("auto", "torch")


def load_engine(artifact: Artifact, name: str = "auto") -> Engine:
    """The engine called ``name`` for an artifact; ``auto`` takes the fastest that is right.

    Raises:
        EngineError: no engine of that name.
        MissingExtraError: the engine's library is not installed.
    """
    if name not in ENGINES:
        raise EngineError(f"no engine {name!r}", remedy=f"use one of {', '.join(ENGINES)}")
    try:
        from model.engines.torch_engine import TorchEngine
    except ImportError as error:
        raise MissingExtraError("torch", "train") from error
    return TorchEngine.from_artifact(artifact)


__all__ = ["ENGINES", "Engine", "load_engine"]
