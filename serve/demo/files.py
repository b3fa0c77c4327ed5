"""Uploaded and offered files: in a folder that only this user of the machine can read, gone when the page ends."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr
from filelock import FileLock, Timeout

_VARIABLE = "GRADIO_TEMP_DIR"
_PREFIX, _LOCK = "themewatch-", "in-use.lock"
_held: list[FileLock] = []  # as long as the process lives


def private_folder() -> Path:
    """Where Gradio keeps files; made once in a process. To be called before any component is made."""
    if _VARIABLE not in os.environ:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        _held.append(FileLock(folder / _LOCK))
        _held[-1].acquire(timeout=0)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ[_VARIABLE] = str(folder)
        _sweep(folder)
    return Path(os.environ[_VARIABLE]).resolve()


def _sweep(own: Path) -> None:
    """Remove what processes of this user left behind when they were killed."""
    for other in own.parent.glob(f"{_PREFIX}*"):
        with suppress(OSError, Timeout):
            lock = other / _LOCK
            # Another user's folder could hold links to files of ours.
            if other == own or other.is_symlink() or other.stat().st_uid != own.stat().st_uid or not lock.is_file():
                continue
            with FileLock(lock, timeout=0):
                shutil.rmtree(other, ignore_errors=True)


def new_folder() -> Path:
    """A folder with a name that cannot be guessed, for files to offer."""
    folder = private_folder() / secrets.token_hex(16)
    folder.mkdir(mode=0o700, parents=True)
    return folder


def forget(path: Path | str | None) -> None:
    """Remove an uploaded file, or a folder of offered ones."""
    if not path or private_folder() not in Path(path).resolve().parents:
        return
    with suppress(OSError):
        shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()


def upload_box(label: str, suffixes: tuple[str, ...], name: str) -> gr.File:
    """Where the reader drops a file. Unlike Gradio's own, it never fetches an address that a request names."""

    async def own_later(given: object) -> str | None:
        return _own(given)

    box: Any = gr.File(label=label, file_types=list(suffixes), height=130, elem_id=name)
    # On the component itself: a class of its own would make Gradio write a stub file beside this one.
    box.move_resource_to_block_cache = _own
    box.async_move_resource_to_block_cache = own_later
    box.preprocess = lambda payload: None if payload is None else _own(payload.path)
    made: gr.File = box
    return made


def _own(given: object) -> str | None:
    """The path, if it is that of an uploaded file."""
    if given is None:
        return None
    path = Path(str(given)).resolve()
    if private_folder() not in path.parents or not path.is_file():
        raise gr.Error("This file is not there any more. Upload it again.", print_exception=False)
    return str(path)
