"""Logs that hold nothing of a text: no messages of exceptions, no paths or queries that clients made up."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace, TracebackType

_FRAMES = 6  # innermost ones told


class PlainFormatter(logging.Formatter):
    """One line a record; of an exception its kind and place only."""

    def formatException(  # noqa: N802 - logging's own name
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        return told(ei[1]) if ei[1] is not None else ""

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's own name
        return ""


def told(error: BaseException) -> str:
    """An error for the log: what kind, and where; never its message, which may hold a piece of a text."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{Path(code.co_filename).name}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return f"{type(error).__name__} at {' < '.join(reversed(frames[-6:])) or 'unknown'}"


def quiet(*modules: ModuleType) -> None:
    """Make libraries that print tracebacks themselves log them our way: their messages quote what was sent."""

    def print_exc(*_: object, **__: object) -> None:
        error = sys.exception()
        if error is not None:
            logging.getLogger("themewatch.serve").error("%s", told(error))

    for module in modules:
        if hasattr(module, "traceback"):
            vars(module)["traceback"] = SimpleNamespace(print_exc=print_exc, format_exc=lambda: "")


def set_up(level: int = logging.INFO) -> None:
    """Send every log to standard error; libraries' own only from warnings on."""
    handler = logging.StreamHandler()
    handler.setFormatter(PlainFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("themewatch").setLevel(level)
