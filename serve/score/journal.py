"""What survives a kill: ``OUTPUT.parts/`` with one file a finished chunk, and a journal of what they came from.

Every file appears whole (temporary name, fsync, rename), so a part that is there is finished.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from filelock import FileLock, Timeout

from model.errors import InputError
from serve.score.facts import check_same
from serve.score.files import sync_folder, write_whole, writing
from serve.score.layout import Layout
from serve.score.parts import Part, read_part
from serve.score.rows import Rejected

FORMAT = 1
_OWN = re.compile(r"part-\d{8,}\.(arrow|rejected)(\.tmp)?|joined\.tmp")


class Workspace:
    """The files of one run, locked against a second one.

    Use as a context: leaving it gives the lock back and keeps everything for ``--resume``.
    """

    def __init__(self, output: Path, report: Path | None = None) -> None:
        """Name its files. Raises InputError where ``output`` can only be a folder."""
        if not output.name:
            raise InputError("is a folder", where=output, remedy="name a file")
        self.output = output
        self.rejects = output.with_name(f"{output.name}.rejected.jsonl")
        self.report = report
        self.folder = output.with_name(f"{output.name}.parts")
        self._journal = self.folder / "journal.json"
        self._lock = FileLock(self.folder / "lock", timeout=0)
        self._facts: dict[str, Any] = {}

    @property
    def outputs(self) -> list[Path]:
        """Every file the run writes for the user."""
        return [self.output, self.rejects, *([self.report] if self.report else [])]

    def finished_before(self, resume: bool, overwrite: bool) -> bool:
        """Whether there is nothing left to do: an output without parts, and a wish to resume.

        Raises:
            InputError: there is something that must not be overwritten.
        """
        there = [path for path in self.outputs if path.exists()]
        odd = next((path for path in there if not path.is_file()), None)
        if odd is not None:
            raise InputError("is a folder" if odd.is_dir() else "is no ordinary file", where=odd, remedy="name a file")
        if self.folder.exists() and not (resume or overwrite):
            raise InputError("an unfinished run", where=self.folder, remedy="give --resume, or --overwrite")
        for path in self.outputs:
            if not path.parent.is_dir():
                raise InputError("no such folder", where=path.parent, remedy="create it")
        if len({path.resolve() for path in self.outputs}) < len(self.outputs):
            raise InputError("is output and report at once", where=self.report, remedy="name two files")
        if not there or overwrite or self._journal.exists():
            return False
        if resume and self.output in there:
            self._remove_folder()  # without a journal: killed while clearing up
            return True
        raise InputError("exists already", where=there[0], remedy="give another name, or --overwrite")

    def open(self, facts: dict[str, Any], resume: bool, overwrite: bool) -> dict[str, Any] | None:
        """Start, or go on where the journal's ``facts`` are the same.

        Returns:
            What ``note_joined`` noted, where all that is left to do is to ``clear``.

        Raises:
            InputError: another run is at work, or the unfinished run was another one.
            ThemewatchError: the folder cannot be written.
        """
        with writing(self.folder):
            self.folder.mkdir(exist_ok=True)
            try:
                self._lock.acquire()
            except Timeout as error:
                raise InputError("another run is writing there", where=self.folder, remedy="wait for it") from error
            # through JSON and back, for the comparison with what JSON gave
            self._facts = json.loads(json.dumps({"journal format": FORMAT, **facts}))
            old = self._read() if resume else None
            if old is not None:
                joined: dict[str, Any] | None = old.pop("joined", None)
                check_same(old, self._facts, self.output)
                return joined
            self._journal.unlink(missing_ok=True)
            if overwrite:
                for path in self.outputs:
                    path.unlink(missing_ok=True)
            self._remove_parts()
            self._write_journal()
            return None

    def _read(self) -> dict[str, Any] | None:
        try:
            found = json.loads(self._journal.read_text("utf-8"))
        except FileNotFoundError:
            return None  # killed before its first entry: nothing was scored
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise InputError("damaged", where=self._journal, remedy="give --overwrite without --resume")
        return found

    def has(self, number: int) -> bool:
        """Whether the chunk's part is finished."""
        return self._part(number).exists()

    def read(self, number: int, layout: Layout, with_rows: bool = True) -> Part:
        """A finished part (see ``read_part``).

        Raises:
            InputError: it is damaged.
        """
        path = self._part(number)
        data = path.read_bytes()
        try:
            return read_part(data, layout, with_rows)
        except (ValueError, KeyError, TypeError, OSError) as error:  # Arrow's errors are such
            remedy = "delete it and run the same command with --resume, which scores its rows again"
            raise InputError("damaged", where=path, remedy=remedy) from error

    def write(self, number: int, data: bytes, rejected: list[Rejected]) -> None:
        """Save a part; its rejected rows go first, so where a part stands they do too.

        Raises:
            ThemewatchError: it cannot be written, such as on a full disk.
        """
        with writing(self.output):
            if rejected:
                lines = "".join(f"{item.to_json()}\n" for item in rejected)
                write_whole(self._rejects(number), lines.encode("utf-8"))
            write_whole(self._part(number), data)

    def rejected(self, number: int) -> bytes:
        """The lines of a finished part's rejected rows."""
        path = self._rejects(number)
        return path.read_bytes() if path.exists() else b""

    @contextmanager
    def replacing(self, path: Path) -> Iterator[IO[bytes]]:
        """A file that takes the place of ``path`` when the block ends well.

        Raises:
            ThemewatchError: it cannot be written.
        """
        temporary = self.folder / "joined.tmp"
        with writing(path):
            try:
                with temporary.open("wb") as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(path)
                sync_folder(path.parent)
            finally:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)

    def note_joined(self, about: dict[str, Any]) -> None:
        """Note that the output is whole, with what the summary needs of the parts."""
        with writing(self.folder):
            self._write_journal(joined=about)

    def clear(self) -> None:
        """Remove the parts."""
        with writing(self.folder):
            self._remove_parts()
            self._journal.unlink()
            self._lock.release()
            self._remove_folder()

    def _write_journal(self, **more: Any) -> None:
        text = json.dumps(self._facts | more, indent=1)
        write_whole(self._journal, text.encode("utf-8"))

    def _remove_parts(self) -> None:
        for path in self.folder.iterdir():
            if _OWN.fullmatch(path.name):
                path.unlink()

    def _remove_folder(self) -> None:
        """Remove the folder unless somebody else keeps something there."""
        with suppress(OSError):
            for name in ("lock", f"{self._journal.name}.tmp"):
                (self.folder / name).unlink(missing_ok=True)
            self.folder.rmdir()

    def _part(self, number: int) -> Path:
        return self.folder / f"part-{number:08d}.arrow"

    def _rejects(self, number: int) -> Path:
        return self.folder / f"part-{number:08d}.rejected"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
