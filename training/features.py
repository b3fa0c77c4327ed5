"""What a frozen encoder makes of each window, kept on disk, so that training a head again takes seconds.

One safetensors file a window in the user's cache, named by the digest of its token ids (text, prefix and window
settings are all in these) under a folder named by the digest of encoder, adapter and precision. Each file appears
whole or not at all, so several processes share the cache, and an interrupted run goes on where it stopped. The files
used longest ago go when the cache outgrows its limit; deleting the whole folder does no harm.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from model.artifact import Artifact
from model.backbone import backbone_digest
from model.cache import cache_dir, progress, sha256
from model.engines.base import batches
from model.engines.torch_engine import padded_tensors
from model.errors import CacheError
from model.layout import LAYOUT
from model.windows import Encoded

_TOKENS = 4096  # padded tokens a forward pass
_VERSION = 1  # raised when the same key would mean other numbers

Window = tuple[int, ...]


class FeatureStore:
    """Last hidden states of a frozen encoder, float16 ``[tokens, hidden]`` a window, computed once."""

    def __init__(self, encoder: Any, key: str, dtype: torch.dtype | None = None, limit_gb: float = 4.0) -> None:
        """``dtype``: of the products where it is not float32; ``key`` names encoder, adapter and precision."""
        self.folder = cache_dir() / "features" / key[:24]
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._encoder, self._dtype, self._limit = encoder.to(self._device).eval(), dtype, limit_gb * 1e9
        self._started = time.time()

    def fill(self, windows: Iterable[Window], what: str) -> None:
        """Compute what is not there yet, and make room by the limit.

        Raises:
            CacheError: the cache cannot be written, or the disk is full.
        """
        wanted = {self._path(window): window for window in windows}
        missing = [window for path, window in wanted.items() if not _touch(path)]
        if not missing:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            done = batches([len(window) for window in missing], _TOKENS)
            for group in track(done, description=f"reading {what}", disable=len(done) < 3):
                for index, hidden in zip(group, self._compute([missing[i] for i in group]), strict=True):
                    _write(self._path(missing[index]), hidden)
        except OSError as error:
            raise CacheError(
                f"cannot write the cache: {error.strerror or error}", where=self.folder,
                remedy="free some space, or set THEMEWATCH_CACHE to a folder you can write",
            ) from error  # fmt: skip
        trim(self.folder.parent, self._limit, self._started)

    def get(self, window: Window) -> Tensor:
        """Float16 ``[tokens, hidden]``, from the cache or, where it is gone or damaged, from the encoder."""
        try:
            return load(self._path(window).read_bytes())["hidden"]
        except (OSError, SafetensorError, KeyError):
            return self._compute([window])[0]

    def content(self, windows: Sequence[Window], spans: Sequence[tuple[int, int]], lead: int) -> Tensor:
        """Float32 ``[entries, hidden]``: the content tokens of an article's windows, one after the other."""
        parts = [self.get(w)[lead : lead + b - a] for w, (a, b) in zip(windows, spans, strict=True)]
        return torch.cat(parts).float()

    def _compute(self, windows: Sequence[Window]) -> list[Tensor]:
        ids, mask = padded_tensors(windows, self._device)
        lower = self._dtype is not None
        with torch.inference_mode(), torch.autocast(self._device, dtype=self._dtype or torch.bfloat16, enabled=lower):
            hidden = self._encoder(input_ids=ids, attention_mask=mask)[0]
        return [hidden[row, : len(window)].half().cpu().clone() for row, window in enumerate(windows)]

    def _path(self, window: Window) -> Path:
        return self.folder / f"{hashlib.sha256(np.asarray(window, dtype=np.int32).tobytes()).hexdigest()}.safetensors"


def mean_vectors(store: FeatureStore, encoded: Sequence[Encoded], lead: int) -> NDArray[np.float32]:
    """Mean token vector of each article, overlaps counted once: float32 ``[articles, hidden]``."""
    rows = []
    for item in encoded:
        weights = torch.from_numpy(np.ascontiguousarray(item.weights))
        rows.append((weights @ store.content(item.windows, item.spans, lead) / weights.sum()).numpy())
    return np.asarray(rows, dtype=np.float32)


def encoder_key(backbone: Path, start: Artifact | None, dtype: torch.dtype | None) -> str:
    """Names what the features depend on besides the window: encoder, adapter and precision."""
    parts = [str(_VERSION), backbone_digest(backbone), str(dtype)]
    if start is not None:
        parts += [sha256(p) for p in sorted((start.folder / LAYOUT.adapter).glob("adapter_*"))]
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def trim(folder: Path, limit: float, before: float) -> None:
    """Delete the files used longest ago until ``limit`` bytes are left; none used after ``before`` (Unix time)."""
    files = []
    for path in folder.glob("*/*.safetensors"):
        try:
            status = path.stat()
        except OSError:
            continue  # another process was faster
        files.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in files)
    for used, size, path in sorted(files):
        if total <= limit:
            return
        if used >= before:
            progress(f"the features of this run alone take {total / 1e9:.1f} GB, over the limit; they are kept for now")
            return
        path.unlink(missing_ok=True)
        total -= size


def _touch(path: Path) -> bool:
    """Whether the file is there; marks it as used."""
    try:
        os.utime(path)
    except OSError:
        return False
    return True


def _write(path: Path, hidden: Tensor) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(save({"hidden": hidden.contiguous()}))
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
