"""What the engines that run the artifact's filled graph share: building it once, batches, the check."""

from __future__ import annotations

import contextlib
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from model.artifact import Artifact
from model.cache import build_once, progress
from model.engines.base import batches, bucket, padded
from model.errors import EngineError
from model.layout import LAYOUT

_CHECKED = "checked"  # beside an engine's files: it gave the reference's answers on this machine
_BUDGET = 4096  # padded tokens a batch: enough to keep two cores busy, small enough for their caches


class GraphEngine(ABC):
    """An engine for the filled graph; a subclass says how a library builds, opens and runs it."""

    library: ClassVar[str]
    folder: Path | None = None  # in the cache; set by ``from_artifact``

    def __init__(self, bias: NDArray[np.float32], precision: str) -> None:
        self.name = f"{self.library}-{precision}"
        self._bias = bias

    @classmethod
    def from_artifact(cls, artifact: Artifact, precision: str, threads: int | None = None) -> Self:
        """Build (once, into the cache) and open the engine of an artifact.

        Raises:
            EngineError: the artifact has no graph.
            CacheError: the cache cannot be written.
        """
        if not (artifact.folder / LAYOUT.graph).is_file():
            raise EngineError("the model has no ONNX graph", where=artifact.folder, remedy="use --engine torch")
        bias = load_file(artifact.folder / LAYOUT.head)["bias"].astype(np.float32)
        parts = [artifact.digest, cls.library, cls.version(), precision, processor_features()]
        key = f"{artifact.name}-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:16]}"
        what = f"the {cls.library} {precision} engine of {artifact.name} {artifact.version}"
        folder = build_once(f"engines/{key}", lambda into: cls.build(artifact, precision, into), what)
        engine = cls.open(folder, bias, precision, threads)
        engine.folder = folder
        return engine

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """The library's version; another version builds another engine."""

    @classmethod
    @abstractmethod
    def build(cls, artifact: Artifact, precision: str, folder: Path) -> None:
        """Write the engine's files into an empty folder."""

    @classmethod
    @abstractmethod
    def open(cls, folder: Path, bias: NDArray[np.float32], precision: str, threads: int | None) -> Self:
        """Open what ``build`` wrote."""

    @abstractmethod
    def run(self, ids: NDArray[np.int64], lengths: NDArray[np.int32]) -> NDArray[np.float32]:
        """Head outputs ``[rows, tokens, width]`` of padded ids ``[rows, tokens]`` of ``lengths`` ``[rows]``."""

    def token_scores(self, windows: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        out: list[NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(windows)
        for group in batches([len(w) for w in windows], _BUDGET, bucket):
            ids, lengths = padded([windows[i] for i in group], bucket)
            scores = self.run(ids, lengths)
            for row, index in enumerate(group):
                out[index] = scores[row, : lengths[row]]
        return out

    def bias(self) -> NDArray[np.float32]:
        return self._bias


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


def checked(engine: GraphEngine, artifact: Artifact, tolerance: float) -> bool:
    """``agrees_with_reference``, asked once a build: a mark beside the engine's files remembers a yes.

    Safe, because the folder is named by all that the answers depend on (artifact, library and its version,
    precision, processor features), its bytes are compared on each start, and a new build removes the mark.
    A no is not remembered: whoever mends the machine should not have to empty a cache.
    """
    mark = engine.folder / _CHECKED if engine.folder is not None else None
    if mark is not None and mark.is_file() and mark.read_text("utf-8") == str(tolerance):
        return True
    agrees = agrees_with_reference(engine, artifact, tolerance)
    if agrees and mark is not None:
        with contextlib.suppress(OSError):  # a cache that cannot be written costs a check a start, no more
            mark.write_text(str(tolerance), "utf-8")
    return agrees


def agrees_with_reference(engine: GraphEngine, artifact: Artifact, tolerance: float) -> bool:
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
