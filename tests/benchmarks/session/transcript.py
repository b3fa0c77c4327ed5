"""Commands run as typed, their output trimmed, and what was found, kept as Markdown."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests" / "data" / "session"
_NOISE = re.compile(
    r"Loading weights|warnings\.warn|\w*Warning:|it/s\]|^\s*$|^reading .*%|^themewatch: (preparing )?the .* engine of "
)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_WIDTH = 150  # characters of a line shown


class StepError(Exception):
    """A step after which the session cannot go on."""


class Transcript:
    """Runs commands in ``folder`` and keeps what was typed, told and found.

    Args:
        folder: where commands run; also what paths shown are relative to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []
        self.failures: list[str] = []
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "COLUMNS": "120"}
        self.environment = os.environ | offline | {"PATH": path, "THEMEWATCH_REGISTRY": str(folder / "registry")}

    def say(self, text: str) -> None:
        """A paragraph of the record."""
        print(f"\n{text}\n", flush=True)
        self.lines += [text, ""]

    def block(self, lines: Sequence[str], kind: str = "console") -> None:
        print("\n".join(lines), flush=True)
        self.lines += [f"```{kind}", *lines, "```", ""]

    def run(
        self, command: str, wanted: int = 0, most: int = 14, keep: Sequence[str] = (),
        show: Callable[[str], list[str]] | None = None,
    ) -> str:  # fmt: skip
        """Run a command line and record it with its output.

        Args:
            wanted: the exit code it should end with.
            most: lines of output shown; those that hold a word of ``keep`` always are.
            show: makes the lines shown from the whole output, instead.

        Returns:
            Its whole output, both streams.

        Raises:
            StepError: it ended with another exit code.
        """
        begun = time.monotonic()
        code, told = self.quiet(command)
        seconds = time.monotonic() - begun
        right = code == wanted
        shown = show(told) if show and right else trimmed(told, self.folder, most, keep)
        ending = f"[{seconds:.0f} s]" if code == 0 else f"[exit code {code}, {seconds:.0f} s]"
        self.block([f"$ {command}", *shown, ending])
        if not right:
            raise StepError(f"`{command}` ended with {code}, not {wanted}: {told[-2000:]}")
        return told

    def quiet(self, command: str) -> tuple[int, str]:
        """Run a command line unrecorded; gives exit code and output."""
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, env=self.environment, text=True, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    def check(self, holds: bool, claim: str) -> None:
        """Record what was found; a claim that does not hold fails the session, which goes on."""
        self.say(f"**{'Seen' if holds else 'NOT SO'}:** {claim}")
        if not holds:
            self.failures.append(claim)


def trimmed(told: str, folder: Path, most: int, keep: Sequence[str] = ()) -> list[str]:
    """Output without progress bars and library warnings, in at most ``most`` lines and those to ``keep``."""
    plain = _ANSI.sub("", told).replace(f"{folder}/", "").replace(f"{ROOT}/", "")
    lines = [line.rstrip().rpartition("\r")[2] for line in plain.split("\n")]
    lines = [line if len(line) <= _WIDTH else f"{line[:_WIDTH]}…" for line in lines if not _NOISE.search(line)]
    if len(lines) <= most:
        return lines
    wanted = {i for i, line in enumerate(lines) if i < most - 2 or i >= len(lines) - 2 or any(k in line for k in keep)}
    out: list[str] = []
    for i, line in enumerate(lines):
        if i in wanted:
            out.append(line)
        elif out[-1] != "…":
            out.append("…")
    return out


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def prepare_folder(folder: Path) -> None:
    """Put the session's data and the training configurations where its commands look for them."""
    shutil.copytree(DATA, folder, dirs_exist_ok=True)
    shutil.copytree(ROOT / "configs", folder / "configs", dirs_exist_ok=True)


def write_record(path: Path, title: str, parts: dict[str, list[str]]) -> None:
    """Write the record; parts that were not run this time stay as they stand in the file."""
    old = path.read_text("utf-8") if path.is_file() else ""
    found = dict(re.findall(r"<!-- part (\w+) -->\n(.*?)<!-- end -->", old, re.S))
    found |= {name: "\n".join(lines).rstrip() + "\n" for name, lines in parts.items()}
    order = [name for name in ("session", "theme", "gate") if name in found]
    text = title + "".join(f"\n<!-- part {name} -->\n{found[name]}<!-- end -->\n" for name in order)
    path.write_text(text, "utf-8")
