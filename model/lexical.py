"""A linear part over word pieces beside the network: what single words say.

Words and sentences err in different places: a network sees a theme in news that only sounds like it, words know what
is said of nothing else. Both logits are added up. A piece's part in a theme's logit is exact, as the network's is (see
``model.pooling``), so evidence is found in the same way.

Of words never seen in training it knows nothing. So its logits count by the share of an article that it knows (nearly
all in a language it was fitted on, about half or nothing in others), and the network decides where it does not.

``ThemeNetwork.from_pretrained`` gives the network's logits alone.

Pieces are weighed by sublinear TF-IDF of unit length (Salton & Buckley 1988).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.errors import ArtifactError
from model.layout import LAYOUT
from model.windows import Encoded


def piece_counts(encoded: Encoded, lead: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The pieces of an article.

    Args:
        lead: tokens before the content of each window.

    Returns:
        The article's distinct token ids, sorted; for each entry the place of its id among them; for each id how often
        it occurs (a token that two windows share counts once).
    """
    windows = zip(encoded.windows, encoded.spans, strict=True)
    tokens = np.concatenate([np.asarray(ids[lead : lead + b - a], dtype=np.int64) for ids, (a, b) in windows])
    pieces, places = np.unique(tokens, return_inverse=True)
    return pieces, places.astype(np.int64), np.bincount(places, weights=encoded.weights).astype(np.float64)


@dataclass(frozen=True)
class Lexical:
    """Weights of the pieces seen in training; others say nothing, and take from what the part counts.

    Attributes:
        pieces: int64 ``[pieces]``, token ids, sorted.
        rarity: float32 ``[pieces]``, inverse document frequency in training.
        weights: float32 ``[pieces, themes]``, of a unit vector of pieces; in logits.
        bias: float32 ``[themes]``, in logits.
        unseen: inverse document frequency of a piece not seen in training; 0 in files of format 2, where such pieces
            do not count at all.
    """

    pieces: NDArray[np.int64]
    rarity: NDArray[np.float32]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    unseen: float = 0.0

    @classmethod
    def load(cls, folder: Path) -> Lexical | None:
        """The linear part of the artifact in ``folder``; None where it has none.

        Raises:
            ArtifactError: the file does not hold what it should.
        """
        file = folder / LAYOUT.lexical
        if not file.is_file():
            return None
        from safetensors.numpy import load_file

        try:
            saved = load_file(file)
            rarity, weights, bias = (saved[name].astype(np.float32) for name in ("rarity", "weights", "bias"))
            return cls(
                saved["pieces"].astype(np.int64), rarity, weights, bias, float(saved.get("unseen", np.zeros(1))[0])
            )
        except (KeyError, ValueError, IndexError) as error:
            raise ArtifactError(f"its file {LAYOUT.lexical} cannot be read ({error})", where=folder) from error

    def save(self, folder: Path) -> None:
        """Write the artifact's file (weights as fp16: a few megabytes at most)."""
        from safetensors.numpy import save_file

        weights = self.weights.astype(np.float16)
        tensors: dict[str, NDArray[Any]] = {
            "pieces": self.pieces.astype(np.int32),
            "rarity": self.rarity,
            "weights": weights,
            "bias": self.bias,
            "unseen": np.asarray([self.unseen], dtype=np.float32),
        }
        save_file(tensors, folder / LAYOUT.lexical)

    def scaled(self, by: float) -> Lexical:
        """The same with logits ``by`` times as large."""
        return replace(self, weights=self.weights * np.float32(by), bias=self.bias * np.float32(by))

    def widened(self, themes: int) -> Lexical:
        """The same for ``themes`` themes, of which the last, new ones are left to the network."""
        more = themes - len(self.bias)
        return replace(self, weights=np.pad(self.weights, ((0, 0), (0, more))), bias=np.pad(self.bias, (0, more)))

    def knowing(self, pieces: NDArray[np.int64]) -> Lexical:
        """The same with further pieces (token ids), which count as known and say nothing as yet."""
        union = np.union1d(self.pieces, pieces).astype(np.int64)
        at = np.searchsorted(union, self.pieces)
        rarity = np.full(len(union), self.unseen, dtype=np.float32)
        weights = np.zeros((len(union), len(self.bias)), dtype=np.float32)
        rarity[at], weights[at] = self.rarity, self.weights
        return replace(self, pieces=union, rarity=rarity, weights=weights)

    def vector(self, encoded: Encoded, lead: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """An article's known pieces: their places in ``pieces``, and what their ``weights`` are multiplied by."""
        found, _, times = piece_counts(encoded, lead)
        at, values, _ = self._values(found, times)
        known = values > 0
        return at[known], values[known]

    def contributions(self, encoded: Encoded, lead: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Its share in an article's logits: by entry, and what no entry accounts for.

        Returns:
            float32 ``[entries, themes]`` and float32 ``[themes]``: the former's sum over entries, plus the latter, is
            this part's logit.
        """
        found, places, times = piece_counts(encoded, lead)
        at, values, share = self._values(found, times)
        each = values / times  # of one occurrence
        parts = (each[:, None] * self.weights[at])[places] * encoded.weights[:, None]
        return np.asarray(parts, dtype=np.float32), np.asarray(share * self.bias, dtype=np.float32)

    def _values(
        self, found: NDArray[np.int64], times: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], float]:
        """Of an article's pieces: places in ``pieces``, values (0 if unknown); and the share of it that is known."""
        at = np.minimum(np.searchsorted(self.pieces, found), len(self.pieces) - 1)
        known = self.pieces[at] == found
        values = (1.0 + np.log(np.maximum(times, 1.0))) * np.where(known, self.rarity[at], self.unseen)
        whole = float(values @ values) or 1.0
        values = np.where(known, values, 0.0)
        share = float(values @ values) / whole
        return at.astype(np.int64), share * values / np.sqrt(whole), share

    def logits(self, encoded: Encoded, lead: int) -> NDArray[np.float32]:
        """float32 ``[themes]``: what it adds to an article's logits."""
        parts, rest = self.contributions(encoded, lead)
        return np.asarray(parts.sum(axis=0) + rest, dtype=np.float32)
