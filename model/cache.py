"""Folders built once into the user's cache: atomically, safe for several processes, re-made when damaged."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from model.errors import CacheError

MANIFEST = "manifest.json"


def cache_dir() -> Path:
    """The cache folder: ``$THEMEWATCH_CACHE``, else the platform's user cache."""
    override = os.environ.get("THEMEWATCH_CACHE")
    return Path(override) if override else user_cache_path("themewatch")


def progress(message: str) -> None:
    """One progress line on standard error (standard output belongs to results)."""
    print(f"themewatch: {message}", file=sys.stderr, flush=True)


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path) -> None:
    """Record size and digest of every file in ``folder``, and flush them to disk."""
    files = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        files[path.relative_to(folder).as_posix()] = {
            "size": path.stat().st_size,
            "sha256": sha256(path),
        }
    (folder / MANIFEST).write_text(json.dumps({"files": files}, indent=1), "utf-8")


def intact(folder: Path) -> bool:
    """Whether ``folder`` holds exactly the bytes its manifest records."""
    try:
        files = json.loads((folder / MANIFEST).read_text("utf-8"))["files"]
        return all(
            (folder / name).stat().st_size == spec["size"] and sha256(folder / name) == spec["sha256"]
            for name, spec in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def build_once(name: str, build: Callable[[Path], None], what: str) -> Path:
    """The folder ``name`` in the cache, building it with ``build(empty_folder)`` if need be.

    A second process waits for the first; a crash leaves only a temporary folder, never a half
    result; a folder whose bytes do not match its manifest is built again.

    Raises:
        CacheError: the cache cannot be written or the disk is full.
    """
    target = cache_dir() / name
    if intact(target):
        return target
    remedy = "free some space, or set THEMEWATCH_CACHE to a folder you can write"
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            if intact(target):
                return target
            progress(f"{'re-making damaged' if target.exists() else 'preparing'} {what} (once)…")
            temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
            build(temporary)
            write_manifest(temporary)
            shutil.rmtree(target, ignore_errors=True)
            temporary.rename(target)
            progress(f"{what} ready in {target}")
            return target
    except OSError as error:
        reason = error.strerror or str(error)
        raise CacheError(f"cannot write the cache: {reason}", where=target, remedy=remedy) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
