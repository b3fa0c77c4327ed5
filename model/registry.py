"""The model registry: a local folder of artifacts that never change, a journal, and a pointer to the one that serves.

``models/NAME-VERSION-DIGEST/`` artifacts, ``journal.jsonl`` what happened to them, ``current`` the
name of the one that serves.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from platformdirs import user_data_path

from model.artifact import Artifact
from model.errors import ArtifactError
from model.journal import append_journal, read_journal
from model.layout import LAYOUT

VARIABLE = "THEMEWATCH_REGISTRY"
_DIGITS = 12  # of an artifact's digest, in its name
_REMEDY = f"set {VARIABLE} to a folder you can write"


def registry_dir() -> Path:
    """The registry folder: ``$THEMEWATCH_REGISTRY``, else ``models`` in the user's data folder."""
    override = os.environ.get(VARIABLE)
    return Path(override) if override else user_data_path("themewatch") / "models"


def current_model(registry: Path | None = None) -> Path:
    """The artifact folder that serves; ``Artifact.load`` checks it.

    Raises:
        ArtifactError: no model was promoted, or the one that was is gone.
    """
    own = Registry(registry)
    name = own.current()
    if not name:
        raise ArtifactError("no model was promoted", where=own.folder, remedy="`themewatch models promote NAME`")
    return own.path(name)


class Registry:
    """Keeps artifacts. Several processes may use one folder; nothing is created before the first ``add``."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or registry_dir()

    def names(self) -> list[str]:
        """All artifacts, by name."""
        models = self.folder / "models"
        return sorted(p.name for p in models.iterdir() if _plain(p.name)) if models.is_dir() else []

    def path(self, name: str) -> Path:
        """The folder of an artifact.

        Args:
            name: its name or the beginning of it, or of its digest.

        Raises:
            ArtifactError: none, or several, are called so.
        """
        names = self.names()
        found = [n for n in names if n == name] or [n for n in names if n.startswith(name)]
        found = found or [n for n in names if n.rpartition("-")[2].startswith(name)]
        if len(found) != 1 or not name:
            problem = f"{name!r} may be {' or '.join(found)}" if found else f"no model {name!r}"
            raise ArtifactError(problem, where=self.folder, remedy="`themewatch models list` names them")
        return self.folder / "models" / found[0]

    def current(self) -> str:
        """The name of the model that serves; empty before the first promotion."""
        try:
            return (self.folder / "current").read_text("utf-8").strip()
        except FileNotFoundError:
            return ""

    def add(self, source: Path, parent: str = "", reason: str = "") -> str:
        """Copy an artifact in, checked and read-only; one that is in already stays as it is.

        Args:
            parent: the artifact it was made from; default: the one that serves.

        Returns:
            Its name here.

        Raises:
            ArtifactError: it is damaged or foreign, or the registry cannot be written.
        """
        artifact = Artifact.load(source)
        name = re.sub(r"[^\w.-]+", "_", f"{artifact.name}-{artifact.version}").lstrip(".")
        name = f"{name}-{artifact.digest[:_DIGITS]}"
        target = self.folder / "models" / name
        parent = self.path(parent).name if parent else self.current()
        with self._writing():
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.is_dir():
                Artifact.load(target)
                return name
            _copy(artifact, target)
            self.note("add", name, digest=artifact.digest, parent=parent, reason=reason)
        return name

    def point(self, name: str, expected: str, action: str, **facts: Any) -> None:
        """Let ``name`` serve, from one instant to the next, and record it.

        Args:
            expected: the model that is meant to serve until now.

        Raises:
            ArtifactError: the artifact is damaged, or another model was promoted meanwhile.
        """
        artifact = Artifact.load(self.path(name))
        with self._writing():
            if self.current() != expected:
                raise ArtifactError("another model was promoted meanwhile", where=self.folder, remedy="try again")
            self._set_current(name)
            try:
                self.note(action, name, digest=artifact.digest, parent=expected, **facts)
            except OSError:  # what is not on record must not serve
                self._set_current(expected)
                raise

    def rollback(self, reason: str = "") -> str:
        """Let the model serve again that served before the present one.

        Returns:
            Its name.

        Raises:
            ArtifactError: there was none, or it is damaged.
        """
        served: list[str] = []
        for row in self.journal():
            if row.get("action") == "promote":
                served.append(str(row["model"]))
            elif row.get("action") == "rollback" and len(served) > 1:
                served.pop()
        now = self.current()
        earlier = [name for name in served if name != now]
        if not earlier:
            raise ArtifactError("no model served before this one", where=self.folder)
        self.point(earlier[-1], now, "rollback", reason=reason)
        return earlier[-1]

    def journal(self) -> list[dict[str, Any]]:
        """What happened, oldest first; a line cut off by a crash is named on standard error and passed over."""
        return read_journal(self.folder / "journal.jsonl")

    def note(self, action: str, name: str, **facts: Any) -> None:
        """Add a line to the journal: who, when (UTC), what, which model, and ``facts``."""
        append_journal(self.folder / "journal.jsonl", {"action": action, "model": name, **facts})

    def _set_current(self, name: str) -> None:
        if not name:
            (self.folder / "current").unlink(missing_ok=True)
            return
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=".current.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(f"{name}\n")
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, self.folder / "current")
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One writer at a time.

        Raises:
            ArtifactError: the registry cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / ".lock"):
                yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise ArtifactError(f"cannot write the registry: {reason}", where=self.folder, remedy=_REMEDY) from error


def _copy(artifact: Artifact, target: Path) -> None:
    """Copy what the manifest names, read-only, and let it appear in one move."""
    manifest = json.loads((artifact.folder / LAYOUT.manifest).read_text("utf-8"))
    temporary = Path(tempfile.mkdtemp(prefix=".", dir=target.parent))
    try:
        for name in [*manifest["files"], LAYOUT.manifest]:
            to = temporary / name
            if not to.resolve().is_relative_to(temporary.resolve()):
                raise ArtifactError(f"its manifest names {name!r}, outside of it", where=artifact.folder)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(artifact.folder / name, to)
            to.chmod(0o444)
        if Artifact.load(temporary).digest != artifact.digest:
            raise ArtifactError("it changed while it was copied", where=artifact.folder, remedy="try again")
        temporary.chmod(0o755)
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _plain(name: str) -> bool:
    return not name.startswith(".")
