"""What the corpus must not hold, and that the bundled one does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.taxonomy import Taxonomy
from training.config import CORPUS
from training.corpus_check import BANNED, CHILD_AGE
from training.data import load_items

THEMES = Path(__file__).parent.parent / "configs" / "themes.yaml"


@pytest.mark.parametrize(
    "text",
    ["a 14-year-old girl", "the Thirteen-year-old", "ein 12-jähriges Kind", "eine Dreizehnjährige", "een 15-jarige",
     "вместе с 13-летней", "un niño de 9 años", "un adolescente di 16 anni", "une fille de 15 ans", "en 11-åring"],
)  # fmt: skip
def test_the_exact_age_of_one_child_is_found(text: str) -> None:
    assert CHILD_AGE.search(text)


@pytest.mark.parametrize(
    "text",
    ["a 34-year-old man", "a 114-year-old", "girls under 16", "between 5 and 13 years old", "ein 42-jähriger Mann",
     "3 ans de prison", "condenado a 14 años", "einundzwanzigjährig", "7 anni di carcere", "девятнадцатилетний"],
)  # fmt: skip
def test_ranges_terms_and_the_ages_of_grown_ups_are_not(text: str) -> None:
    assert not CHILD_AGE.search(text)


def test_the_bundled_corpus_holds_neither_ages_of_children_nor_what_is_banned() -> None:
    items = load_items([CORPUS], Taxonomy.load(THEMES).keys)
    assert len(items) > 2000
    written = [item for item in items if item.extra["kind"] != "general"]
    assert not [item.id for item in written if CHILD_AGE.search(item.article.full_text)]
    assert not [item.id for item in items if any(p.search(item.text) for p in BANNED.values())]
