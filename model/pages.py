"""Read what a user has: text, Markdown or HTML files, or a stream; HTML boilerplate is removed."""

from __future__ import annotations

from pathlib import Path

from model.errors import InputError
from model.text import Article

MAX_BYTES = 20_000_000
SUFFIXES = (".txt", ".md", ".markdown", ".html", ".htm", "")
_HTML = (b"<!doctype html", b"<html", b"<head", b"<body", b"<article")


def read_page(path: Path) -> Article:
    """An article from a file; its ``id`` is the path as given.

    Raises:
        InputError: missing, unreadable, binary, not UTF-8, empty, too large or of an unknown kind.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"cannot read {path.suffix} files", where=path, remedy="give .txt, .md or .html")
    try:
        if path.is_dir():
            raise InputError("is a folder", where=path, remedy="give files, for example DIR/*.txt")
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"larger than {MAX_BYTES // 1_000_000} MB", where=path, remedy="split it")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error
    return page_article(data, str(path))


def page_article(data: bytes, name: str) -> Article:
    """An article from a page's bytes; HTML is recognised by its beginning or the name."""
    text = decode(data, name)
    head = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if name.lower().endswith((".html", ".htm")) or head.startswith(_HTML):
        return _from_html(text, name)
    if not text.strip():
        raise InputError("the text is empty", where=name, remedy="give a file with some text")
    return Article(text=text, id=name)


def decode(data: bytes, name: str) -> str:
    """Bytes to text: UTF-8 (a byte-order mark also announces UTF-16), nothing guessed.

    Raises:
        InputError: binary data, or another encoding.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif b"\0" in data[:65536] or data[:5] == b"%PDF-" or data[:2] == b"PK":
        raise InputError("binary data, not text", where=name, remedy="save the article as text or HTML")
    else:
        encoding = "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"not {encoding.removesuffix('-sig').upper()} text (byte {error.start})", where=name,
            remedy="save the file as UTF-8 (for example: iconv -f WINDOWS-1252 -t UTF-8)",
        ) from error  # fmt: skip


def _from_html(page: str, name: str) -> Article:
    import trafilatura

    found = trafilatura.bare_extraction(page, with_metadata=True, include_comments=False)
    text = (getattr(found, "text", None) or "").strip()
    if not text:
        raise InputError("no article found in the page", where=name, remedy="paste its text instead")
    title = (getattr(found, "title", None) or "").strip()
    return Article(text=text, title="" if text.startswith(title) else title, id=name)
