"""The columns that scoring adds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from serve.score.rows import dumps
from serve.score.scorer import Scored

PREFIX = "tw_"


@dataclass(frozen=True)
class Layout:
    """Which columns the output has beside those of the input.

    ``keys`` are the taxonomy's themes, ``model`` is name/version; ``explain`` and ``clusters`` say
    whether the optional columns are there.
    """

    keys: tuple[str, ...]
    model: str
    explain: bool = False
    clusters: bool = False

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the added columns, in order."""
        names: list[tuple[str, Any]] = [(f"{PREFIX}themes", pa.list_(pa.string()))]
        for key in self.keys:
            names += [(f"{PREFIX}score_{key}", pa.float64()), (f"{PREFIX}decision_{key}", pa.string())]
        names += [
            (f"{PREFIX}language", pa.string()), (f"{PREFIX}windows", pa.int64()), (f"{PREFIX}truncated", pa.bool_()),
        ]  # fmt: skip
        names += [(f"{PREFIX}evidence", pa.string())] if self.explain else []
        names += [(f"{PREFIX}model", pa.string())]
        names += [(f"{PREFIX}cluster", pa.int64())] if self.clusters else []
        return pa.schema(names)

    @property
    def reserved(self) -> frozenset[str]:
        """Names no input column may have, whichever options are on."""
        full = Layout(self.keys, self.model, True, True)
        return frozenset(full.schema.names)

    def values(self, scored: Scored, evidence: str, cluster: int) -> list[Any]:
        """One row of the added columns, in order."""
        out: list[Any] = [list(scored.themes)]
        for score, decision in zip(scored.scores, scored.decisions, strict=True):
            out += [score, decision]
        out += [scored.language, scored.windows, scored.truncated]
        out += [evidence] if self.explain else []
        out += [self.model]
        out += [cluster] if self.clusters else []
        return out


def relocated(evidence: str, title: str, text: str) -> str:
    """Evidence found in a near copy, with the places where the same sentences stand in this article."""
    out: dict[str, list[dict[str, Any]]] = {}
    for key, sentences in json.loads(evidence).items():
        kept = []
        for item in sentences:
            at = (title if item.get("field") == "title" else text).find(item["text"])
            if at >= 0:
                kept.append({**item, "start": at, "end": at + len(item["text"])})
        if kept:
            out[key] = kept
    return dumps(out)
