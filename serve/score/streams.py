"""Bytes of an input: counted, decompressed, in lines of bounded length; every reading error told as ours."""

from __future__ import annotations

import gzip
import io
import shutil
import tempfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO, Any

from model.errors import InputError
from serve.score.files import telling
from serve.score.inputs import Input

MAX_LINE = 32_000_000  # bytes; also the most one CSV record may span
KEPT = 1_000_000  # bytes of a longer line that are kept to show it
_NOT_TEXT = {
    b"\xff\xfe": "UTF-16 text", b"\xfe\xff": "UTF-16 text", b"\x1f\x8b": "gzip data",
    b"\x28\xb5\x2f\xfd": "Zstandard data", b"PAR1": "Parquet data", b"PK\x03\x04": "a ZIP archive or spreadsheet",
}  # fmt: skip


class _Counted(io.RawIOBase):
    """Passes bytes on and tells how many there were."""

    def __init__(self, file: IO[bytes], tell: Callable[[int], None]) -> None:
        self._file, self._tell = file, tell

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._tell(len(data))
        return len(data)


class _Zstd(io.RawIOBase):
    """Decompresses Zstandard frames; unlike the library's own reader, it notices a cut-off file."""

    _STEP = 1024  # compressed bytes at a time: even the densest frame then expands to a few MB at most

    def __init__(self, file: IO[bytes]) -> None:
        import zstandard

        self._file = file
        self._library = zstandard.ZstdDecompressor(max_window_size=2**31)
        self._frame = self._library.decompressobj()
        self._inside = False
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            data = self._file.read(self._STEP)
            if not data:
                if self._inside:
                    raise EOFError("the Zstandard data ends too early")
                return 0
            self._ready = memoryview(self._expanded(data))
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _expanded(self, data: bytes) -> bytes:
        out = b""
        while data:
            out += self._frame.decompress(data)
            self._inside = not self._frame.eof
            data = b"" if self._inside else self._frame.unused_data
            if not self._inside:
                self._frame = self._library.decompressobj()
        return out


def reading(item: Input) -> AbstractContextManager[None]:
    """A context that turns every error of reading ``item`` into one ``InputError`` that names it."""
    import pyarrow as pa
    import zstandard

    known = (OSError, EOFError, zlib.error, zstandard.ZstdError, pa.ArrowException)
    remedy = "when it can be read again, the same command with --resume goes on"
    return telling("cannot be read", item.name, remedy, known if item.fs is None else Exception, InputError)


@contextmanager
def opened(item: Input, tell: Callable[[int], None] = lambda _: None) -> Iterator[io.BufferedReader]:
    """The decompressed bytes of ``item``; ``tell`` hears how many stored bytes were read."""
    file = item.open()
    try:
        stored = io.BufferedReader(_Counted(file, tell), 1 << 16)
        raw: Any = stored
        if item.format.compression == "gz":
            raw = gzip.GzipFile(fileobj=stored)
        elif item.format.compression == "zst":
            raw = _Zstd(stored)
        yield stored if raw is stored else io.BufferedReader(raw, 1 << 16)
    finally:
        if item.repeatable:
            file.close()


@contextmanager
def seekable(item: Input, tell: Callable[[int], None]) -> Iterator[IO[bytes]]:
    """A file of ``item``'s bytes to jump about in; what cannot jump is copied to a temporary file first."""
    if item.repeatable and not item.format.compression:
        with item.open() as file:
            yield file
        return
    with tempfile.TemporaryFile() as copy:
        with opened(item, tell) as stream:
            shutil.copyfileobj(stream, copy)
        copy.seek(0)
        yield copy


@dataclass(frozen=True, slots=True)
class Line:
    """A physical line with its end. ``data`` holds only the first ``KEPT`` of ``size`` bytes of an over-long one."""

    number: int
    data: bytes
    size: int

    @property
    def overlong(self) -> bool:
        return self.size > MAX_LINE


class Lines:
    """The lines of a stream, numbered from 1; lines may be handed back."""

    def __init__(self, stream: io.BufferedReader, item: Input) -> None:
        head = stream.peek(4)[:4]
        for magic, what in _NOT_TEXT.items():
            if head.startswith(magic):
                raise InputError(
                    f"holds {what}, not {item.format.kind} as UTF-8 text", where=item.name,
                    remedy="name or convert it accordingly, or give --input-format",
                )  # fmt: skip
        if head.startswith(b"\xef\xbb\xbf"):
            stream.read(3)
        self._stream = stream
        self._number = 0
        self._back: deque[Line] = deque()

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        if self._back:
            return self._back.popleft()
        data = self._stream.readline(MAX_LINE + 1)
        if not data:
            raise StopIteration
        self._number += 1
        size = len(data)
        if size > MAX_LINE:
            rest = data
            while rest and not rest.endswith(b"\n"):
                rest = self._stream.readline(1 << 20)
                size += len(rest)
            data = data[:KEPT]
        return Line(self._number, data, size)

    def give_back(self, lines: Iterable[Line]) -> None:
        """Hand back lines just taken, in their order."""
        self._back.extendleft(reversed(list(lines)))
