"""The folder that a run on a cluster writes: shards of Parquet, and beside them what a resumed run needs.

``OUTPUT/part-00000000.parquet``, … are the shards; a shard is finished once its receipt
``OUTPUT/_themewatch/part-00000000.json`` is there, which is written after it. Readers of Parquet folders
pass over names that begin with an underscore. The folder may be anywhere that all machines of the
cluster see: a shared disk, or an address that fsspec knows.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from filelock import FileLock, Timeout

from model.errors import InputError, ThemewatchError
from serve.score.facts import check_same
from serve.score.files import WRITABLE, sync_folder, telling
from serve.score.inputs import Input, reason

FORMAT = 1
_OWN = "_themewatch"
_RUN = f"{_OWN}/run.json"


class Store:
    """Files of one run under ``address``, each written as a whole; can be sent to other machines."""

    def __init__(self, address: str) -> None:
        """Open it. Raises InputError where the address cannot be reached."""
        from fsspec.core import url_to_fs
        from fsspec.implementations.local import LocalFileSystem

        self.name = address.rstrip("/") or address
        try:
            self._fs, root = url_to_fs(self.name if "://" in self.name else os.path.abspath(self.name))
        except Exception as error:  # each file system has errors of its own
            raise InputError(f"cannot be reached: {reason(error)}", where=self.name) from error
        self._root = str(root).rstrip("/")
        self._local = isinstance(self._fs, LocalFileSystem)
        self._facts: dict[str, Any] = {}

    @property
    def folders(self) -> list[Path]:
        """The folder, where this machine sees it: nothing below it is an input."""
        return [Path(self._root)] if self._local else []

    @property
    def rejects(self) -> str:
        """The file of the rejected rows, beside the folder."""
        return f"{self.name}.rejected.jsonl"

    def check_apart(self, inputs: Sequence[Input]) -> None:
        """Refuse inputs inside the folder. Raises InputError."""
        for item in inputs:
            inside = os.path.realpath(item.path) if item.fs is None else str(item.path)
            root = os.path.realpath(self._root) if self._local else self._root
            if self._local == (item.fs is None) and inside.startswith(f"{root}/"):
                raise InputError("lies in the output folder", where=item.name, remedy="write to another folder")

    def finished_before(self, resume: bool, overwrite: bool) -> bool:
        """Whether there is nothing left to do: a finished run, and a wish to resume.

        Raises:
            InputError: there is something that must not be overwritten.
        """
        with self._reaching():
            if self._fs.exists(self._root) and not self._fs.isdir(self._root):
                raise InputError("is a file", where=self.name, remedy="name a folder, for the shards")
            names = self._names()
        foreign = [name for name in names if not name.startswith(("part-", _OWN))]
        if foreign:
            raise InputError(f"holds other files, such as {foreign[0]}", where=self.name, remedy="name a new folder")
        old = self.read(_RUN)
        if overwrite and not resume:
            return False
        if old is None and any(name != _OWN for name in names):
            raise InputError("exists already", where=self.name, remedy="give another name, or --overwrite")
        if old is not None and not resume:
            what = "exists already" if "finished" in old else "an unfinished run"
            raise InputError(what, where=self.name, remedy="give --resume, another name, or --overwrite")
        return old is not None and "finished" in old

    @contextmanager
    def begin(self, facts: dict[str, Any], resume: bool) -> Iterator[None]:
        """Start, or go on where the ``facts`` of the unfinished run are the same; keeps a second run out.

        Raises:
            InputError: another run is at work, or the unfinished run was another one.
            ThemewatchError: the folder cannot be written.
        """
        self._facts = json.loads(json.dumps({"format": FORMAT, **facts}))
        with self._reaching():
            self._fs.makedirs(f"{self._root}/{_OWN}", exist_ok=True)
        with self._locked():
            old = self.read(_RUN) if resume else None
            if old is not None:
                check_same(old, self._facts, Path(self.name))
            else:
                self._clear()
                self.write_json(_RUN, self._facts)
            yield

    def finish(self, about: dict[str, Any]) -> None:
        """Note that all is there, and remove what only an unfinished run needs."""
        self.write_json(_RUN, {**self._facts, "finished": about})
        with self._reaching():
            for path in self._fs.glob(f"{self._root}/{_OWN}/part-*"):
                self._fs.rm_file(path)

    def rejected(self, number: int) -> list[str]:
        """The lines of a finished shard's rejected rows. Raises ThemewatchError where its receipt is gone."""
        receipt = self.receipt(number)
        if receipt is None:
            raise ThemewatchError(
                "the receipt is gone", where=f"{self._root}/{_receipt(number)}",
                remedy="the same command with --resume scores its shard again",
            )  # fmt: skip
        return list(receipt["rejected"])

    def receipt(self, number: int) -> dict[str, Any] | None:
        """What was noted when the shard was finished, or nothing."""
        return self.read(_receipt(number))

    def write_receipt(self, number: int, about: dict[str, Any]) -> None:
        """Note that the shard is finished."""
        self.write_json(_receipt(number), about)

    def read(self, name: str) -> dict[str, Any] | None:
        """A JSON object, ``None`` where there is none, or only a piece of one."""
        with self._reaching():
            try:
                found = json.loads(self._fs.cat_file(f"{self._root}/{name}"))
            except (FileNotFoundError, NotADirectoryError, ValueError):
                return None
        return found if isinstance(found, dict) else None

    def write_json(self, name: str, value: dict[str, Any]) -> None:
        with self.replacing(f"{self._root}/{name}") as file:
            file.write(json.dumps(value).encode("utf-8"))

    def has_rejects(self) -> bool:
        """Whether some rows were rejected."""
        with self._reaching():
            return bool(self._fs.exists(f"{self._root}.rejected.jsonl"))

    def writing_shard(self, number: int) -> Any:
        """A context: the file that becomes the shard when the block ends well."""
        return self.replacing(f"{self._root}/{shard_name(number)}")

    def writing_rejects(self) -> Any:
        """A context: the file that becomes that of the rejected rows."""
        return self.replacing(f"{self._root}.rejected.jsonl")

    @contextmanager
    def replacing(self, path: str) -> Iterator[IO[bytes]]:
        """A file that takes the place of ``path`` when the block ends well.

        Its own name is used by nobody else: a machine that was given up may still be writing the same.

        Raises:
            ThemewatchError: it cannot be written.
        """
        folder = f"{self._root}/{_OWN}" if self._local else tempfile.gettempdir()
        temporary = Path(folder) / f"part-{uuid4().hex}.tmp"
        with self._reaching("written"):
            try:
                with temporary.open("wb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                if self._local:
                    temporary.replace(path)
                    sync_folder(Path(path).parent)  # or a power cut might keep the receipt and lose the shard
                else:
                    self._fs.put_file(str(temporary), path)
            finally:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)

    def _reaching(self, what: str = "reached") -> AbstractContextManager[None]:
        return telling(f"cannot be {what}", self.name, WRITABLE, OSError if self._local else Exception)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._local:
            yield
            return
        try:
            with FileLock(f"{self._root}/{_OWN}/lock", timeout=0):
                yield
        except Timeout as error:
            raise InputError("another run is writing there", where=self.name, remedy="wait for it") from error

    def _names(self) -> list[str]:
        """Names of what lies in the folder."""
        if not self._fs.exists(self._root):
            return []
        self._fs.invalidate_cache()
        paths = (str(path).rstrip("/") for path in self._fs.ls(self._root, detail=False))
        return [path.rpartition("/")[2] for path in paths if path != self._root]

    def _clear(self) -> None:
        with self._reaching():
            if self._fs.exists(f"{self._root}/{_RUN}"):
                self._fs.rm_file(f"{self._root}/{_RUN}")
            for path in [*self._fs.glob(f"{self._root}/part-*"), *self._fs.glob(f"{self._root}/{_OWN}/part-*")]:
                self._fs.rm_file(path)
            if self._fs.exists(f"{self._root}.rejected.jsonl"):
                self._fs.rm_file(f"{self._root}.rejected.jsonl")


def shard_name(number: int) -> str:
    """The file of a shard."""
    return f"part-{number:08d}.parquet"


def _receipt(number: int) -> str:
    return f"{_OWN}/part-{number:08d}.json"
