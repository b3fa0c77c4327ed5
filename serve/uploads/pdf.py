"""The text of a PDF."""

from __future__ import annotations

import io
import logging

from model.errors import InputError

MAX_PAGES = 200


def pdf_text(data: bytes, name: str, most: int) -> tuple[str, str]:
    """Text of the first pages, and a note where some were left out.

    Args:
        most: characters after which reading ends.

    Raises:
        InputError: no PDF, damaged, locked or protected.
    """
    from pypdf import PdfReader
    from pypdf.errors import DependencyError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # its warnings quote the file
    if b"%PDF-" not in data[:1024]:
        raise InputError("not a PDF", where=name)
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise InputError("locked with a password", where=name, remedy="unlock it first")
        pages: list[str] = []
        count, length = len(reader.pages), 0
        for number in range(min(count, MAX_PAGES)):
            pages.append(reader.pages[number].extract_text().strip())
            length += len(pages[-1])
            if length > most:
                break
    except (InputError, MemoryError):
        raise
    except DependencyError as error:  # AES needs a library more
        raise InputError(
            "locked or protected (AES encryption)", where=name, remedy="print it to a new PDF, or paste its text"
        ) from error
    except Exception as error:  # pypdf meets a broken file with any error there is
        raise InputError(
            f"a damaged PDF ({type(error).__name__})", where=name, remedy="print it to a new PDF, or paste its text"
        ) from error
    note = f"Only the first {len(pages):,} of {count:,} pages were read." if len(pages) < count else ""
    return "\n\n".join(page for page in pages if page), note
