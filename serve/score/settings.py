"""A run as the user asked for it, whichever engine does it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from model.artifact import Artifact
from serve.score.duplicates import NearDuplicates
from serve.score.formats import Format
from serve.score.inputs import Input
from serve.score.layout import Layout
from serve.score.progress import Meter
from serve.score.rows import Columns
from serve.score.scorer import ModelChoice, with_thresholds
from serve.score.streams import reading
from serve.score.summary import Counts, Summary


@dataclass(frozen=True)
class Settings:
    """A run as the user asked for it. ``chunk`` is the most rows scored and saved together."""

    inputs: tuple[Input, ...]
    output: Path | str
    format: Format
    columns: Columns
    choice: ModelChoice
    chunk: int
    near: NearDuplicates | None = None
    workers: int = 1
    resume: bool = False
    overwrite: bool = False

    def layout(self, artifact: Artifact) -> Layout:
        """The columns that the run adds.

        Raises:
            InputError: a threshold is for a theme that the model does not know.
        """
        with_thresholds(artifact, self.choice.thresholds)
        model = f"{artifact.name}/{artifact.version}"
        return Layout(artifact.taxonomy.keys, model, self.choice.explain, bool(self.near))

    def facts(self, artifact: Artifact, engine: str) -> dict[str, Any]:
        """What an unfinished run must have in common with the one that goes on with it.

        Raises:
            InputError: an input cannot be read.
        """
        facts: dict[str, Any] = {
            "themewatch version": metadata.version("themewatch"), "model": artifact.digest,
            "options": self.options(engine), "inputs": [],
        }  # fmt: skip
        if self.near:
            facts["datasketch version"] = metadata.version("datasketch")
        for item in self.inputs:
            with reading(item):
                facts["inputs"].append(item.fingerprint())
        return facts

    def summary(self, artifact: Artifact, counts: Counts, rejects: str, meter: Meter) -> Summary:
        """What the run found; ``rejects`` names the file of the rejected rows."""
        return Summary(
            counts, {theme.key: theme.name() for theme in artifact.taxonomy.themes},
            f"{artifact.name}/{artifact.version} ({artifact.digest[:12]})",
            tuple(item.name for item in self.inputs), str(self.output), rejects,
            meter.articles, meter.tokens, meter.seconds,
        )  # fmt: skip

    def options(self, engine: str) -> dict[str, Any]:
        """All that changes the output, by option name; the number of workers does not."""
        return {
            "format": str(self.format), "input_format": [str(item.format) for item in self.inputs],
            "text_column": self.columns.text, "title_column": self.columns.title, "id_column": self.columns.id,
            "threshold": sorted(self.choice.thresholds), "explain": self.choice.explain, "model_engine": engine,
            "near_duplicates": self.near and str(self.near), "chunk": self.chunk,
        }  # fmt: skip
