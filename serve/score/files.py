"""Files that are either there as a whole or not at all; errors of files told as ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from model.errors import ThemewatchError
from serve.score.inputs import reason

WRITABLE = "make room or give rights, then run the same command with --resume"
Errors = type[Exception] | tuple[type[Exception], ...]


@contextmanager
def telling(
    what: str, where: object, remedy: str, known: Errors = OSError, kind: type[ThemewatchError] = ThemewatchError
) -> Iterator[None]:
    """Turn ``known`` errors into one line of ours.

    Args:
        what: what then was not possible, such as "cannot be read".
        where: the file or folder.
        remedy: how to go on.
        known: ``Exception`` for network file systems, whose libraries raise what they like.
        kind: the error raised instead.
    """
    try:
        yield
    except (ThemewatchError, MemoryError):
        raise
    except known as error:
        raise kind(f"{what}: {reason(error)}", where=where, remedy=remedy) from error


def writing(where: Path) -> AbstractContextManager[None]:
    """A context that turns an error of writing into one line that says how to go on."""
    return telling("cannot be written", where, WRITABLE)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is either there with all its bytes or not at all, whatever happens meanwhile."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power cut, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
