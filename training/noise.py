"""Page noise and text damage that leave the label as it is: for augmentation and for robustness tests.

Training and testing draw their snippets from different halves of ``noise_snippets.yaml`` and their
headlines from different parts of the data, so a test never meets a line that was trained on.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from model.text import TITLE_BREAK, Article, sentence_spans
from training.config import Augment

SNIPPETS = Path(__file__).parent / "noise_snippets.yaml"
_OCR = {"rn": "m", "m": "rn", "l": "1", "O": "0", "o": "0", "i": "l", "е": "c", "и": "н", "ו": "ן", "ر": "ز"}
_QUOTES = {"“": "â€œ", "”": "â€", "’": "â€™", "'": "â€™", "«": "?", "»": "?", '"': "?", "„": "?"}
_BARE_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC", "ARABIC")  # others lose letters, not marks


@dataclass(frozen=True)
class Noise:
    """What is strewn around articles: page snippets by language, headlines of other articles, whole plain ones."""

    snippets: dict[str, list[str]]
    headlines: dict[str, list[str]]
    plain: dict[str, list[Article]] = field(default_factory=dict)

    @classmethod
    def load(cls, headlines: Sequence[tuple[str, str]], half: str, plain: Sequence[tuple[str, Article]] = ()) -> Noise:
        """Snippets of one half (``train`` or ``test``), and by language headlines and articles without any theme."""
        data: dict[str, dict[str, list[str]]] = yaml.safe_load(SNIPPETS.read_text("utf-8"))
        by_language: dict[str, list[str]] = {}
        for language, headline in headlines:
            if headline.strip():
                by_language.setdefault(language, []).append(headline.strip())
        articles: dict[str, list[Article]] = {}
        for language, article in plain:
            articles.setdefault(language, []).append(article)
        return cls(data[half], by_language, articles)

    def page(self, article: Article, language: str, rng: random.Random) -> Article:
        """Cookie, share, sign-up and comment lines before or after the text."""
        pool = self.snippets.get(language) or self.snippets["en"]
        lines = rng.sample(pool, min(len(pool), rng.randint(1, 3)))
        cut = rng.randint(0, len(lines))
        return replace(article, text="\n".join([*lines[:cut], article.text, *lines[cut:]]))

    def sidebar(self, article: Article, language: str, rng: random.Random) -> Article:
        """Two to four headlines of other articles, after the text or between its paragraphs."""
        pool = self.headlines.get(language) or [h for hs in self.headlines.values() for h in hs]
        pool = [h for h in pool if h != article.title]
        if not pool:
            return article
        block = "\n".join(
            f"{rng.choice(['', '- ', '>> ', '• '])}{h}" for h in rng.sample(pool, min(len(pool), rng.randint(2, 4)))
        )
        paragraphs = article.text.split("\n\n")
        at = rng.choice([len(paragraphs), rng.randint(1, len(paragraphs))])
        return replace(article, text="\n\n".join([*paragraphs[:at], block, *paragraphs[at:]]))

    def others(self, article: Article, language: str, rng: random.Random) -> Article:
        """One to three whole articles without any theme before or after the text, as in round-ups and live blogs.

        Written corpora are short; so length says nothing of themes, and nor does the place in a long page.
        """
        pool = [other for other in self.plain.get(language, ()) if other.id != article.id]
        pieces = [other.full_text for other in rng.sample(pool, min(len(pool), rng.randint(1, 3)))]
        at = rng.randint(0, len(pieces))
        return replace(article, text=TITLE_BREAK.join([*pieces[:at], article.text, *pieces[at:]]))


def strip_diacritics(article: Article) -> Article:
    """Accents and vowel marks dropped, where the script reads on without them."""

    def bare(text: str) -> str:
        out = []
        for character in text:
            parts = unicodedata.normalize("NFD", character)
            name = unicodedata.name(parts[0], "")
            marks = name.startswith(_BARE_SCRIPTS) or name.startswith("COMBINING")
            out.append("".join(c for c in parts if not unicodedata.combining(c)) if marks else character)
        return "".join(out)

    return replace(article, text=bare(article.text), title=bare(article.title))


def capitals(article: Article) -> Article:
    """Everything in capitals, where the script has them."""
    return replace(article, text=article.text.upper(), title=article.title.upper())


def ocr_errors(article: Article, rng: random.Random, rate: float = 0.02) -> Article:
    """Misread letters, lost and doubled spaces, at ``rate`` per character."""

    def damage(text: str) -> str:
        out, at = [], 0
        while at < len(text):
            pair, one = text[at : at + 2], text[at]
            hit = rng.random() < rate
            if hit and pair in _OCR:
                out.append(_OCR[pair])
                at += 1
            elif hit and one in _OCR:
                out.append(_OCR[one])
            elif hit and one == " ":
                out.append(rng.choice(["", "  "]))
            elif not (hit and one.isalpha() and rng.random() < 0.3):
                out.append(one)
            at += 1
        return "".join(out)

    return replace(article, text=damage(article.text) or article.text, title=damage(article.title))


def broken_quotes(article: Article, rng: random.Random) -> Article:
    """Quotation marks lost, or left as the debris of a wrong encoding."""
    table: dict[int, Any] = str.maketrans(_QUOTES if rng.random() < 0.5 else dict.fromkeys(_QUOTES, ""))
    return replace(article, text=article.text.translate(table), title=article.title.translate(table))


def other_numbers(article: Article, rng: random.Random) -> Article:
    """Every digit redrawn: no helpline, article or amount can become a cue."""

    def redraw(text: str) -> str:
        return re.sub(r"[0-9]", lambda _: rng.choice("0123456789"), text)

    return replace(article, text=redraw(article.text), title=redraw(article.title))


def crop(article: Article, language: str, rng: random.Random, themed: bool) -> Article:
    """Some sentences cut off at the end; a piece that carries a theme keeps its first two thirds."""
    spans = sentence_spans(article.text, language)
    least = round(len(spans) * (0.67 if themed else 0.3))
    if len(spans) < 5:
        return article
    keep = rng.randint(max(3, least), len(spans))
    return replace(article, text=article.text[: spans[keep - 1][1]])


class Augmenter:
    """Changes each article anew every epoch; the same seed gives the same changes."""

    def __init__(self, config: Augment, noise: Noise, seed: int) -> None:
        self._config, self._noise, self._seed = config, noise, seed

    def __call__(self, article: Article, language: str, themed: bool, epoch: int, croppable: bool = True) -> Article:
        rng = random.Random(f"{self._seed}:{epoch}:{article.id}")
        chance = self._config
        steps: list[tuple[float, Callable[[Article], Article]]] = [
            (chance.crop if croppable else 0.0, lambda a: crop(a, language, rng, themed)),
            (chance.untitled, lambda a: replace(a, title="") if a.text.strip() else a),
            (chance.others, lambda a: self._noise.others(a, language, rng)),
            (chance.headlines, lambda a: self._noise.sidebar(a, language, rng)),
            (chance.page, lambda a: self._noise.page(a, language, rng)),
            (chance.quotes, lambda a: broken_quotes(a, rng)),
            (chance.numbers, lambda a: other_numbers(a, rng)),
            (chance.diacritics, strip_diacritics),
            (chance.capitals, capitals),
            (chance.ocr, lambda a: ocr_errors(a, rng)),
        ]
        for probability, change in steps:
            if rng.random() < probability:
                article = change(article)
        return article
