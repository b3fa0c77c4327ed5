"""Files that are either there as a whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from model.errors import ThemewatchError
from serve.score.inputs import reason

_RESUME = "run the same command with --resume"


@contextmanager
def writing(where: Path) -> Iterator[None]:
    """Turn an error of writing into one line that says how to go on."""
    try:
        yield
    except OSError as error:
        raise ThemewatchError(
            f"cannot be written: {reason(error)}", where=where, remedy=f"make room or give rights, then {_RESUME}"
        ) from error


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
