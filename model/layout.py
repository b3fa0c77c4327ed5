"""What lies where in an artifact folder."""

from __future__ import annotations

from dataclasses import dataclass

FORMAT = 1  # raised when an older version of this package could not read a newer folder


@dataclass(frozen=True)
class Layout:
    """Names inside an artifact folder; ``adapter`` is a folder, the rest are files."""

    manifest: str = "manifest.json"
    config: str = "config.json"
    adapter: str = "adapter"
    head: str = "head.safetensors"
    taxonomy: str = "taxonomy.yaml"
    decisions: str = "decisions.json"
    training: str = "training.json"
    card: str = "README.md"
    graph: str = "graph.onnx"  # weightless; absent where the encoder's kind is not covered
    reference: str = "reference.json"  # what the network answers for a few texts


LAYOUT = Layout()
