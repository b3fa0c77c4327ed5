"""The text of a Word file: one member of a ZIP archive is read, and none of its XML may define entities."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

from model.errors import InputError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_XML = 30_000_000  # bytes of the text's XML, unpacked
_DOCUMENT = "word/document.xml"
_WORDS = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_MARKS = {f"{_WORDS}tab": "\t", f"{_WORDS}br": "\n", f"{_WORDS}cr": "\n", f"{_WORDS}noBreakHyphen": "-"}


def docx_text(data: bytes, name: str) -> str:
    """Paragraphs of the document's body, tables and text boxes included, one a line.

    Raises:
        InputError: no Word file, damaged, locked, too large when unpacked, or with XML entities.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root: Any = fromstring(_member(data, name), forbid_dtd=True)
    except DefusedXmlException as error:
        raise InputError("holds XML entities, which no honest Word file does", where=name) from error
    except (ParseError, ValueError, LookupError) as error:
        raise InputError("a damaged Word file: its XML cannot be read", where=name) from error
    return "\n".join(_lines(root)).strip()


def _member(data: bytes, name: str) -> bytes:
    """The text's XML. What the archive says of its size is not relied on."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(_DOCUMENT) as member:
            xml = member.read(MAX_XML + 1)
    except KeyError as error:
        raise InputError("not a Word document (.docx)", where=name, remedy="save it as .docx or text") from error
    except RuntimeError as error:  # zipfile's way to say that a password is needed
        raise InputError("locked with a password", where=name, remedy="unlock it first") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise InputError("a damaged Word file, or none", where=name, remedy="save it again as .docx") from error
    if len(xml) > MAX_XML:
        raise InputError(f"more than {MAX_XML // 1_000_000} MB when unpacked", where=name, remedy="paste its text")
    return xml


def _lines(root: Element) -> Iterator[str]:
    for paragraph in _paragraphs(root):
        text = "".join(_pieces(paragraph)).strip()
        if text:
            yield text


def _paragraphs(root: Element) -> Iterator[Element]:
    """All paragraphs in order; what Word keeps twice for older readers only once."""
    stack = [root]
    while stack:
        element = stack.pop()
        if element.tag == _FALLBACK:
            continue
        if element.tag == f"{_WORDS}p":
            yield element
        stack.extend(reversed(element))


def _pieces(paragraph: Element) -> Iterator[str]:
    """A paragraph's own text: a text box inside it has paragraphs of its own."""
    stack = list(reversed(paragraph))
    while stack:
        element = stack.pop()
        if element.tag == f"{_WORDS}t":
            yield element.text or ""
        elif element.tag in _MARKS:
            yield _MARKS[element.tag]
        elif element.tag not in (f"{_WORDS}p", _FALLBACK):
            stack.extend(reversed(element))
