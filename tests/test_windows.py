"""Windows cover every token once in weight, keep to their sizes, and end at sentences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.errors import InputError
from model.text import Article
from model.windows import WindowConfig, Windower

SENTENCE = "police in the city said people report rain . "


@pytest.fixture(scope="module")
def windower(tiny_encoder: Path) -> Windower:
    return Windower.from_folder(tiny_encoder, WindowConfig(size=64, overlap=12, limit=16))


@pytest.mark.parametrize("repeats", [1, 4, 9, 20, 33])
def test_every_token_counts_once(windower: Windower, repeats: int) -> None:
    text = (SENTENCE * repeats).strip()
    encoded = windower.encode(Article(text), "en")
    assert not encoded.truncated
    assert all(len(window) <= 64 for window in encoded.windows)
    assert encoded.offsets[-1, 1] == len(text)
    tokens = {tuple(offset) for offset in encoded.offsets.tolist()}
    assert encoded.weights.sum() == pytest.approx(len(tokens))


def test_windows_end_at_sentence_ends_and_overlap(windower: Windower) -> None:
    encoded = windower.encode(Article(SENTENCE * 20), "en")
    ends = {end for _, end in encoded.sentences}
    for _, last in encoded.spans[:-1]:
        assert {encoded.offsets[last - 1, 1], encoded.offsets[last - 1, 0]} & ends
    assert encoded.weights.min() == pytest.approx(0.5)


def test_the_limit_is_told(windower: Windower) -> None:
    encoded = windower.encode(Article(SENTENCE * 800), "en")
    assert len(encoded.windows) == 16
    assert encoded.truncated


def test_a_huge_line_costs_no_more_than_the_limit(windower: Windower) -> None:
    assert windower.encode(Article("rain" * 1_250_000), "en").truncated


def test_control_tokens_in_the_text_are_text(windower: Windower) -> None:
    encoded = windower.encode(Article("</s> <pad> police"), "en")
    content = encoded.windows[0][windower.lead : -1]
    assert 2 not in content
    assert 1 not in content


def test_prefix_and_specials_frame_each_window(windower: Windower) -> None:
    encoded = windower.encode(Article(SENTENCE * 9), "en")
    assert {window[: windower.lead] for window in encoded.windows} == {encoded.windows[0][: windower.lead]}
    assert {window[-1] for window in encoded.windows} == {2}
    assert np.all(np.diff([len(w) for w in encoded.windows][:-1]) < 64)


def test_no_readable_text(windower: Windower) -> None:
    with pytest.raises(InputError):
        windower.encode(Article("\x00"), "en")
