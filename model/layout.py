"""What lies where in an artifact folder."""

from __future__ import annotations

from dataclasses import dataclass

FORMAT = 3  # the newest this version reads; a folder has the lowest that fits (3: with ``lexical``; 2: its first form)


@dataclass(frozen=True)
class Layout:
    """Names inside an artifact folder; ``adapter`` is a folder, the rest are files."""

    manifest: str = "manifest.json"
    config: str = "config.json"
    adapter: str = "adapter"
    head: str = "head.safetensors"
    lexical: str = "lexical.safetensors"  # where words count beside the network (see model.lexical)
    taxonomy: str = "taxonomy.yaml"
    decisions: str = "decisions.json"
    training: str = "training.json"
    card: str = "README.md"
    graph: str = "graph.onnx"  # weightless; absent where the encoder's kind is not covered
    reference: str = "reference.json"  # what the network answers for a few texts


LAYOUT = Layout()
