"""Text preparation: the one place where an article is cleaned and cut into sentences."""

from __future__ import annotations

from dataclasses import dataclass

from model.errors import InputError

TITLE_BREAK = "\n\n"
_SAMPLE = 4000  # characters that tell whether a text is all in capitals
_FEW_LETTERS = 20  # below, capitals may be a name or an acronym
_MAX_SENTENCE = 400  # characters; a longer one (no punctuation at all) is cut at a space
# Lone surrogates and NUL cannot be encoded or tokenised; replaced one for one, so offsets hold.
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")


@dataclass(frozen=True)
class Article:
    """What is classified: a text, and a title if it has one of its own."""

    text: str
    title: str = ""
    id: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not isinstance(self.title, str):
            raise InputError("text and title must be strings", where=self.id or None)
        if not self.full_text.strip():
            raise InputError("the text is empty", where=self.id or None, remedy="give some text")

    @property
    def full_text(self) -> str:
        """Title, a paragraph break and text, of the same length as the parts given."""
        joined = f"{self.title}{TITLE_BREAK}{self.text}" if self.title.strip() else self.text
        joined = joined.replace("\0", " ")
        try:
            joined.encode()  # hundreds of times as fast as looking at each character
        except UnicodeEncodeError:
            return joined.translate(_SURROGATES)
        return joined

    @property
    def text_start(self) -> int:
        """Offset of ``text`` in ``full_text``, in characters."""
        return len(self.title) + len(TITLE_BREAK) if self.title.strip() else 0


def calmed(text: str) -> str:
    """A text that is shouted from end to end, in small letters; any other as it is. Lengths hold.

    Encoders know words in capitals badly. Told from the first characters, and from cased scripts only.
    """
    head = text[:_SAMPLE]
    upper, lower = sum(map(str.isupper, head)), sum(map(str.islower, head))
    if upper < _FEW_LETTERS or upper < 4 * lower:
        return text
    plain = text.replace("İ", "i")  # its small form is two characters long
    small = plain.lower()
    return small if len(small) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in plain)


def sentence_spans(text: str, language: str) -> list[tuple[int, int]]:
    """``(start, end)`` character offsets of the sentences of ``text``, in order, no blank ones.

    Sentence ends come from ``sentencex`` (rules for some 250 languages); line breaks end a
    sentence too, since titles, list items and captions carry no full stop.
    """
    import sentencex

    spans: list[tuple[int, int]] = []
    start = 0
    for line in text.splitlines(keepends=True):
        if line.strip():
            bounds = sentencex.get_sentence_boundaries(language or "en", line)
            at = 0
            for bound in bounds:  # lengths, not indices: these hold for any script
                length = len(bound["text"])
                spans.extend(_trimmed(text, start + at, start + at + length))
                at += length
        start += len(line)
    return spans


def _trimmed(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The span without outer white space, in pieces of bounded length."""
    pieces = []
    while end - start > _MAX_SENTENCE:
        cut = text.rfind(" ", start + _MAX_SENTENCE // 2, start + _MAX_SENTENCE)
        cut = cut if cut > 0 else start + _MAX_SENTENCE
        pieces.append((start, cut))
        start = cut
    pieces.append((start, end))
    out = []
    for a, b in pieces:
        part = text[a:b]
        a, b = a + len(part) - len(part.lstrip()), b - len(part) + len(part.rstrip())
        if a < b:
            out.append((a, b))
    return out
