"""An article out of a text, Markdown, HTML, PDF or Word file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from model.errors import InputError
from model.pages import MAX_BYTES, page_article
from serve.feedback.record import storable
from serve.uploads.docx import docx_text
from serve.uploads.pdf import pdf_text

SUFFIXES = (".txt", ".html", ".htm", ".md", ".markdown", ".pdf", ".docx")
MAX_CHARACTERS = 500_000  # of one article: far more than the model reads, which says so itself


@dataclass(frozen=True)
class Document:
    """The text of a file, its title first; ``note`` says what was left out, if anything."""

    text: str
    note: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", storable(self.text))  # halves of characters, which PDFs can hold: not shown


def read_document(data: bytes, name: str) -> Document:
    """The text of a file's bytes; its name's ending says what it is.

    Raises:
        InputError: of an unknown kind, too large, damaged, locked, or without text.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError("not a kind of file that can be read", where=name, remedy=f"give {', '.join(SUFFIXES)}")
    if len(data) > MAX_BYTES:
        raise InputError(f"larger than {MAX_BYTES // 1_000_000} MB", where=name, remedy="give a smaller part of it")
    note = ""
    if suffix == ".pdf":
        text, note = pdf_text(data, name, MAX_CHARACTERS)
    elif suffix == ".docx":
        text = docx_text(data, name)
    else:
        article = page_article(data, name)
        text = article.full_text
    if not text.strip():
        raise InputError("no text in it", where=name, remedy="if it is a scan, recognise its text first, or paste it")
    if len(text) > MAX_CHARACTERS:
        note = note or f"Only the first {MAX_CHARACTERS:,} characters were taken."
    return Document(text[:MAX_CHARACTERS].strip(), note)
