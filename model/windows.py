"""Cut an article of any length into windows the encoder can read, at sentence ends where possible."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model.errors import InputError
from model.language import detect_language
from model.text import Article, calmed, sentence_spans

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_CHARS_PER_TOKEN = 12  # no natural text needs more; bounds the work on a 5 MB line


@dataclass(frozen=True)
class WindowConfig:
    """How articles are cut; all sizes in tokens.

    ``size`` counts everything the encoder sees; ``overlap`` is the most that two neighbouring
    windows share; ``limit`` is the most windows one article may have.
    """

    size: int = 512
    overlap: int = 64
    limit: int = 64
    prefix: str = "query: "

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Encoded:
    """One article ready for an engine.

    An *entry* is a content token in a window; a token that two windows share makes two entries.

    Attributes:
        windows: token ids of each window, with specials and prefix.
        spans: ``(first, last+1)`` entry of each window.
        offsets: int64 ``[entries, 2]``, character offsets into ``full_text``.
        weights: float32 ``[entries]``, 1 / (number of windows the token stands in).
        sentences: character spans in ``full_text``.
        truncated: whether text beyond the last window was left out.
    """

    article: Article
    language: str
    windows: tuple[tuple[int, ...], ...]
    spans: tuple[tuple[int, int], ...]
    offsets: NDArray[np.int64]
    weights: NDArray[np.float32]
    sentences: tuple[tuple[int, int], ...]
    truncated: bool


class Windower:
    """Tokenises and cuts articles; holds the tokenizer of one encoder."""

    def __init__(self, tokenizer: Tokenizer, config: WindowConfig) -> None:
        self.config = config
        self._tokenizer = tokenizer
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode_special_tokens = True
        # "</s>" in an article is text: a unigram vocabulary would still find the control piece
        controls = tokenizer.get_added_tokens_decoder()
        unknown = next((i for i, token in controls.items() if "unk" in token.content), 0)
        self._as_text = {i: unknown for i, token in controls.items() if token.special}
        frame = tokenizer.encode("", add_special_tokens=True).ids
        half = len(frame) // 2
        self._before = (*frame[:half], *tokenizer.encode(config.prefix, add_special_tokens=False).ids)
        self._after = tuple(frame[half:])
        self.capacity = config.size - len(self._before) - len(self._after)

    @classmethod
    def from_folder(cls, folder: Path, config: WindowConfig) -> Windower:
        """The windower of a Transformers folder's ``tokenizer.json``."""
        from tokenizers import Tokenizer

        return cls(Tokenizer.from_file(str(folder / "tokenizer.json")), config)

    @property
    def lead(self) -> int:
        """Tokens before the content of each window (specials and prefix)."""
        return len(self._before)

    def encode(self, article: Article, language: str = "") -> Encoded:
        """Tokenise ``article``, split sentences and cut windows."""
        full = article.full_text
        most = self.config.limit * self.capacity * _CHARS_PER_TOKEN
        text = full[:most]
        calm = calmed(text)
        language = language or detect_language(calm)
        encoding = self._tokenizer.encode(calm, add_special_tokens=False)
        if not encoding.ids:
            raise InputError("no readable text", where=article.id or None, remedy="give some text")
        ids = [self._as_text.get(i, i) for i in encoding.ids]
        offsets = np.asarray(encoding.offsets, dtype=np.int64).reshape(-1, 2)
        sentences = sentence_spans(text, language)
        ends = np.searchsorted(offsets[:, 0], [end for _, end in sentences], side="left")
        spans = self._cut(len(ids), [int(end) for end in ends])
        used = spans[-1][1]
        times = np.zeros(used, dtype=np.float32)
        for first, last in spans:
            times[first:last] += 1.0
        entries = np.concatenate([np.arange(a, b) for a, b in spans])
        edges = np.cumsum([0, *(b - a for a, b in spans)]).tolist()
        return Encoded(
            article=article, language=language,
            windows=tuple((*self._before, *ids[a:b], *self._after) for a, b in spans),
            spans=tuple(pairwise(edges)), offsets=offsets[entries],
            weights=(1.0 / np.maximum(times, 1.0))[entries], sentences=tuple(sentences),
            truncated=used < len(ids) or len(text) < len(full),
        )  # fmt: skip

    def _cut(self, total: int, ends: list[int]) -> list[tuple[int, int]]:
        """Token spans: each as long as fits, cut back to a sentence end in its last quarter."""
        spans: list[tuple[int, int]] = []
        start = 0
        while len(spans) < self.config.limit:
            stop = min(start + self.capacity, total)
            if stop < total:
                at = bisect_right(ends, stop) - 1
                if at >= 0 and ends[at] > start + self.capacity * 3 // 4:
                    stop = ends[at]
            spans.append((start, stop))
            if stop >= total:
                break
            # step back over whole sentences, at most `overlap` tokens
            at = bisect_right(ends, stop - self.config.overlap)
            back = ends[at] if at < len(ends) and ends[at] < stop else stop
            start = back if back > start else stop
        return spans
