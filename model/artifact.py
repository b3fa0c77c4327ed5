"""The artifact: a folder with a declared layout that carries all that serving needs.

``Artifact.load`` checks the folder; ``seal`` writes the manifest that makes a folder an artifact.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from model.cache import sha256
from model.decisions import Decisions
from model.errors import ArtifactError
from model.layout import FORMAT, LAYOUT
from model.taxonomy import Taxonomy
from model.windows import WindowConfig

PRETRAINED = Path(__file__).parent / "pretrained"
RELEASED = "released"  # names it wherever a model folder is asked for


@dataclass(frozen=True)
class Artifact:
    """A checked artifact folder, weights not loaded yet."""

    folder: Path
    name: str
    version: str
    backbone: str
    backbone_sha256: str
    pooling: str
    precision: str  # of the fast engine: the best that passed the parity gate
    windows: WindowConfig
    taxonomy: Taxonomy
    decisions: Decisions
    training: dict[str, Any]
    digest: str  # SHA-256 of the manifest: names this very artifact

    @classmethod
    def load(cls, folder: Path | str | None = None) -> Artifact:
        """Read and check an artifact; without ``folder``, or for ``released``, the one that comes with the package.

        Raises:
            ArtifactError: not an artifact, of a newer format, or any byte changed.
        """
        path = Path(folder) if folder is not None else PRETRAINED
        if str(path) == RELEASED and not path.exists():
            path = PRETRAINED
        manifest = _read_manifest(path)
        _check_files(path, manifest)
        try:
            return cls(
                folder=path,
                name=manifest["name"],
                version=manifest["version"],
                backbone=manifest["backbone"],
                backbone_sha256=manifest["backbone_sha256"],
                pooling=manifest["pooling"],
                precision=manifest["precision"],
                windows=WindowConfig(**manifest["windows"]),
                taxonomy=Taxonomy.load(path / LAYOUT.taxonomy),
                decisions=Decisions.from_dict(read_json(path / LAYOUT.decisions)),
                training=read_json(path / LAYOUT.training),
                digest=sha256(path / LAYOUT.manifest),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"its contents do not fit together ({error})", where=path) from error

    def label(self) -> dict[str, str]:
        """How answers name it; the digest, its first 12 digits, tells retrained models of one version apart."""
        return {"name": self.name, "version": self.version, "digest": self.digest[:12]}

    def card(self) -> str:
        """The model card, Markdown."""
        return (self.folder / LAYOUT.card).read_text("utf-8")


def read_json(path: Path) -> Any:
    """Parsed JSON of a file of an artifact."""
    return json.loads(path.read_text("utf-8"))


def _read_manifest(path: Path) -> dict[str, Any]:
    file = path / LAYOUT.manifest
    remedy = "give a folder written by `themewatch train`, or leave --model out"
    try:
        manifest = json.loads(file.read_text("utf-8"))
        written, _ = int(manifest["format"]), dict(manifest["files"])
        if manifest["kind"] != "themewatch":
            raise ArtifactError("not a themewatch model", where=path, remedy=remedy)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError("not a themewatch model", where=path, remedy=remedy) from error
    if written > FORMAT:
        raise ArtifactError(
            f"model format {written} is newer than this version reads ({FORMAT})",
            where=path, remedy="upgrade themewatch",
        )  # fmt: skip
    return dict(manifest)


def _check_files(path: Path, manifest: dict[str, Any]) -> None:
    for name, digest in manifest["files"].items():
        file = path / name
        if not file.is_file() or sha256(file) != digest:
            problem = "damaged" if file.is_file() else "missing"
            raise ArtifactError(
                f"the model's file {name} is {problem}", where=path,
                remedy="copy the model again, or reinstall themewatch",
            )  # fmt: skip


def artifact_files(folder: Path) -> list[Path]:
    """Every file of an artifact but its manifest, sorted."""
    skip = {LAYOUT.manifest}
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in skip and "__pycache__" not in p.parts)


def seal(folder: Path, facts: dict[str, Any]) -> Artifact:
    """Write the manifest (``facts`` plus checksums) over a finished folder and load it back."""
    manifest = {
        "kind": "themewatch",
        "format": FORMAT if (folder / LAYOUT.lexical).is_file() else 1,
        "written_by": f"themewatch {metadata.version('themewatch')}",
        **facts,
        "files": {p.relative_to(folder).as_posix(): sha256(p) for p in artifact_files(folder)},
    }
    text = json.dumps(manifest, indent=1, ensure_ascii=False, sort_keys=True)
    (folder / LAYOUT.manifest).write_text(text + "\n", "utf-8")
    return Artifact.load(folder)
