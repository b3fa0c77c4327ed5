"""The one seam between an article cut into windows and the numbers a network gives for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Engine(Protocol):
    """Scores windows; any number of threads may ask. Implementations give equal results up to their precision."""

    name: str

    def token_scores(self, windows: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        """Head outputs of each window's every token.

        Args:
            windows: token ids, specials included; lengths may differ.

        Returns:
            One float32 ``[tokens, width]`` array a window, in the order given.
        """
        ...

    def bias(self) -> NDArray[np.float32]:
        """The themes' biases, float32 ``[themes]``."""
        ...


def bucket(tokens: int) -> int:
    """The padded length for windows of up to ``tokens`` tokens: the next multiple of 8, 16 or 32, longer ones coarser.

    Few lengths (24 up to 512 tokens), because a library prepares every input shape anew; 3 % of padding on average.
    """
    step = 8 if tokens <= 64 else 16 if tokens <= 128 else 32
    return -(-tokens // step) * step


def exact(tokens: int) -> int:
    """No padding beyond the longest window: for libraries to which one shape is as good as another."""
    return tokens


def batches(lengths: Sequence[int], budget: int, size: Callable[[int], int] = exact) -> list[list[int]]:
    """Indices grouped so that each batch, padded to ``size``, holds at most ``budget`` tokens, longest first."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    out: list[list[int]] = []
    for index in order:
        if out and (len(out[-1]) + 1) * size(lengths[out[-1][0]]) <= budget:
            out[-1].append(index)
        else:
            out.append([index])
    return out


def padded(
    windows: Sequence[Sequence[int]], size: Callable[[int], int] = exact
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Windows side by side: ids ``[windows, size]``, padded with 1, and each one's length ``[windows]``."""
    lengths = np.asarray([len(window) for window in windows], dtype=np.int32)
    ids = np.ones((len(windows), size(int(lengths.max()))), dtype=np.int64)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = window
    return ids, lengths
