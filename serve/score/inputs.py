"""From what a user names (files, folders, globs, addresses, standard input) to a list of inputs."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from model.errors import InputError
from serve.score.formats import NAMES, Format, format_of, parse_format

STDIN = "-"
_HERE = ("file://", "local://")
_EDGE = 65_536  # bytes of head and of tail that a fingerprint covers
_VERSION_KEYS = ("mtime", "LastModified", "last_modified", "updated", "ETag", "etag", "created")


@dataclass(frozen=True)
class Input:
    """One file to read.

    ``fs`` is its fsspec file system, ``None`` for a local path or standard input. ``rows`` are the
    first row to read, from 0, and the one to stop before (Parquet only); ``None`` for all.
    """

    name: str
    path: str
    format: Format
    fs: Any = None
    rows: tuple[int, int] | None = None

    def open(self) -> IO[bytes]:
        """Its bytes as stored. Raises whatever the file system raises."""
        import sys

        if self.path == STDIN:
            return sys.stdin.buffer
        opened: IO[bytes] = open(self.path, "rb") if self.fs is None else self.fs.open(self.path, "rb")  # noqa: SIM115
        return opened

    @property
    def repeatable(self) -> bool:
        """Whether it can be read twice; pipes and standard input cannot."""
        return self.path != STDIN and (self.fs is not None or stat.S_ISREG(os.stat(self.path).st_mode))

    def size(self) -> int | None:
        """Size in bytes as stored, ``None`` where nobody can say."""
        if not self.repeatable:
            return None
        size = os.stat(self.path).st_size if self.fs is None else self.fs.info(self.path).get("size")
        return int(size) if size is not None else None

    def fingerprint(self) -> dict[str, Any]:
        """What tells on ``--resume`` whether it changed: size, time, digest of its first and last 64 KiB."""
        if not self.repeatable:
            return {"name": self.name}
        size = self.size()
        if self.fs is None:
            version = str(os.stat(self.path).st_mtime_ns)
        else:
            info = self.fs.info(self.path)
            version = next((str(info[key]) for key in _VERSION_KEYS if info.get(key)), "")
        digest = hashlib.sha256()
        with self.open() as file:
            digest.update(file.read(_EDGE))
            if size is not None and size > _EDGE:
                file.seek(max(size - _EDGE, _EDGE))
                digest.update(file.read(_EDGE))
        return {"name": self.name, "size": size, "mtime": version, "digest": digest.hexdigest()}


def expand(given: Sequence[str], input_format: str, outputs: Collection[Path]) -> list[Input]:
    """All inputs that ``given`` names, folders and globs in sorted order.

    Args:
        given: files, folders, globs, fsspec addresses, or ``-``.
        input_format: the ``--input-format`` option, or empty.
        outputs: files and folders that the run writes; folders and globs pass over these and what is below.

    Raises:
        InputError: nothing there, no known format, a file named twice, or one that is an output.
    """
    forced = parse_format("--input-format", input_format) if input_format else None
    found: list[Input] = []
    for name in given:
        if name == STDIN:
            if forced is None:
                raise InputError("standard input tells no format", where=STDIN, remedy="give --input-format")
            found.append(Input("stdin", STDIN, forced))
        elif "://" in name and not name.startswith(_HERE):
            found += _remote(name, forced)
        else:
            found += _local(_path(name), forced, {path.resolve() for path in outputs})
    seen: set[str] = set()
    for item in found:
        place = os.path.abspath(item.path) if item.fs is None and item.path != STDIN else item.name
        if place in seen:
            raise InputError("named twice among the inputs", where=item.name, remedy="name each file once")
        seen.add(place)
    return found


def _path(name: str) -> str:
    """The path that a local address means; anything else as it is."""
    if not name.startswith(_HERE):
        return name
    from fsspec.implementations.local import LocalFileSystem

    return str(LocalFileSystem._strip_protocol(name))


def _local(name: str, forced: Format | None, outputs: set[Path]) -> list[Input]:
    path = Path(name)
    if path.is_dir():
        files = [p for p in _below(path) if p.is_file() and (forced or format_of(p.name))]
    elif path.exists():
        if path.resolve() in outputs:
            raise InputError("is an input and an output", where=name, remedy="write to another file")
        return [_known(name, name, forced)]
    elif glob.has_magic(name):
        files = [Path(p) for p in sorted(glob.glob(name, recursive=True)) if Path(p).is_file()]
    else:
        raise InputError("no such file or folder", where=name)
    files = [p for p in files if outputs.isdisjoint([p.resolve(), *p.resolve().parents])]
    files = [p for p in files if not p.name.endswith(".rejected.jsonl")]
    if not files:
        raise InputError("no file to score there", where=name, remedy=f"formats: {NAMES}")
    return [_known(str(p), str(p), forced) for p in files]


def _below(folder: Path) -> list[Path]:
    """All files in a folder and those in it, but hidden ones. Raises OSError where one cannot be listed."""

    def fail(error: OSError) -> None:
        raise error  # pathlib would pass over it in silence, and rows would be missing

    found: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in names if not name.startswith(".")]
    return sorted(found)


def _remote(url: str, forced: Format | None) -> list[Input]:
    shown = _without_password(url)
    try:
        from fsspec.core import url_to_fs

        fs, path = url_to_fs(url)
        try:
            kind = fs.info(path)["type"]
        except FileNotFoundError:
            paths = sorted(fs.glob(path)) if glob.has_magic(path) else []
        else:
            paths = sorted(fs.find(path)) if kind == "directory" else [path]
            if kind == "directory" and not forced:
                paths = [p for p in paths if format_of(p)]
    except ImportError as error:
        raise InputError(
            f"needs {error.name or error}", where=shown, remedy="install the package for this kind of address"
        ) from error
    except Exception as error:  # each file system has errors of its own
        raise InputError(f"cannot be reached: {reason(error)}", where=shown) from error
    if not paths:
        raise InputError("nothing there", where=shown)
    if paths == [path]:
        return [_known(shown, path, forced, fs)]
    return [_known(_without_password(fs.unstrip_protocol(p)), p, forced, fs) for p in paths]


def _known(name: str, path: str, forced: Format | None, fs: Any = None) -> Input:
    by_name = format_of(path)
    if forced is not None:
        last = path.rsplit(".", 1)[-1].lower()
        compression = forced.compression or (last if last in ("gz", "zst") else "")
        return Input(name, path, Format(forced.kind, compression), fs)
    if by_name is None:
        raise InputError("its name tells no format", where=name, remedy=f"give --input-format: {NAMES}")
    return Input(name, path, by_name, fs)


def _without_password(url: str) -> str:
    return re.sub(r"(?<=//)[^/@]*@", "", url)


def reason(error: BaseException) -> str:
    """An error of a library or of the system in few words."""
    told = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(told).split())[:200]
