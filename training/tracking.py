"""Curves for TensorBoard, when asked for: ``themewatch train … --log DIR``, then ``tensorboard --logdir DIR``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from model.errors import MissingExtraError


class Log(Protocol):
    """Takes figures as they come."""

    def scalar(self, name: str, value: float, step: int) -> None: ...
    def close(self) -> None: ...


class NoLog:
    """Keeps nothing."""

    def scalar(self, name: str, value: float, step: int) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class TensorBoardLog:
    """Event files in ``folder``; a run that goes on after an interruption adds to them. Figures only, no texts."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtraError("tensorboard", "track") from error
        self._writer: Any = SummaryWriter(str(folder))

    def scalar(self, name: str, value: float, step: int) -> None:
        self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


def open_log(folder: Path | None) -> Log:
    """The log of a run: TensorBoard's where a folder is given.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """
    return TensorBoardLog(folder) if folder else NoLog()


def log_metrics(log: Log, metrics: dict[str, Any]) -> None:
    """The figures of the finished model: each part's macro-F1 and calibration error."""
    for part, table in metrics.items():
        if isinstance(table, dict) and table.get("macro_f1"):
            log.scalar(f"{part}/macro_f1", float(table["macro_f1"]["value"]), 0)
