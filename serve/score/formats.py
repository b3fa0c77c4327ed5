"""Which format a file has, told by its name or by the user."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from model.errors import InputError

_KINDS = {
    "csv": "csv", "tsv": "tsv", "jsonl": "jsonl", "ndjson": "jsonl", "parquet": "parquet", "pq": "parquet",
}  # fmt: skip
_COMPRESSIONS = {"gz": "gz", "gzip": "gz", "zst": "zst", "zstd": "zst"}
NAMES = "csv, tsv, jsonl or parquet, with .gz or .zst after it where compressed"


@dataclass(frozen=True)
class Format:
    """What the bytes mean: ``kind`` is csv, tsv, jsonl or parquet; ``compression`` is gz, zst or empty."""

    kind: str
    compression: str = ""

    def __str__(self) -> str:
        return f"{self.kind}.{self.compression}" if self.compression else self.kind


def format_of(name: str) -> Format | None:
    """The format a file's name tells, or ``None`` where it tells none."""
    suffixes = [suffix[1:].lower() for suffix in PurePosixPath(name.replace("\\", "/")).suffixes]
    compression = _COMPRESSIONS.get(suffixes[-1], "") if suffixes else ""
    if compression:
        suffixes.pop()
    kind = _KINDS.get(suffixes[-1], "") if suffixes else ""
    return Format(kind, compression) if kind else None


def parse_format(option: str, given: str) -> Format:
    """The format that the option named ``option`` asks for, like ``jsonl`` or ``csv.gz``.

    Raises:
        InputError: no such format.
    """
    found = format_of(f"x.{given.strip().lower().lstrip('.')}")
    if found is None:
        raise InputError(f"no format {given!r}", where=option, remedy=f"use {NAMES}")
    return found


def output_format(path: str, given: str) -> Format:
    """The format to write ``path`` in: the option's, with the name's compression, or the name's.

    Raises:
        InputError: neither tells one, or Parquet is to be compressed once more.
    """
    by_name = format_of(path)
    found = parse_format("--format", given) if given else by_name
    if found is None:
        raise InputError("the name tells no output format", where=path, remedy=f"give --format: {NAMES}")
    last = path.rsplit(".", 1)[-1].lower()
    if not found.compression and last in _COMPRESSIONS:
        found = Format(found.kind, _COMPRESSIONS[last])
    if found.kind == "parquet" and found.compression:
        raise InputError("Parquet compresses itself", where=path, remedy="leave .gz or .zst out")
    return found
